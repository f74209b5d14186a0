"""Train the network that tells by how many quarter turns a thumbnail is turned, and write it for LiteRT.

    python -m train.orientation --run runs/orientation

It learns from Fashion-MNIST's training images, turned at random. The same command continues a run that was interrupted. The run
folder gets orientation.tflite, which `train.export` takes. Four minutes on two cores.
"""

import dataclasses
from pathlib import Path

from fashion_classifier.bundle import ORIENTATION_MODEL
from train.commands import add_data, command_parser, load_keras, told
from train.networks.recipes import OrientationRecipe
from train.networks.runs import is_finished, typed_command


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    add_data(parser)
    parser.add_argument("--epochs", type=int, default=OrientationRecipe.epochs, help="to train")
    parser.add_argument("--seed", type=int, default=OrientationRecipe.seed, help="of all that is random")
    arguments = parser.parse_args(options)
    recipe = OrientationRecipe(epochs=arguments.epochs, seed=arguments.seed)
    if is_finished(arguments.run, dataclasses.asdict(recipe), ORIENTATION_MODEL):
        return
    with told(parser):
        load_keras()
        from train.networks.orientation_training import fit
        from train.pictures.fashion_mnist import load_fashion_mnist

        images = load_fashion_mnist(arguments.data).training.images
        fit(recipe, images, arguments.run, command=typed_command("train.orientation", parser, arguments))


if __name__ == "__main__":
    main()
