"""Train a network for thumbnails on Fashion-MNIST.

    python -m train.thumbnails cnn --run runs/cnn
    python -m train.thumbnails resnet --run runs/first
    python -m train.thumbnails resnet-continued --run runs/resnet --initial runs/first

The same command continues a run that was interrupted, from its last whole epoch, and leaves a finished one alone.
`KERAS_BACKEND` chooses TensorFlow (default), JAX or PyTorch. A run folder holds config.json, history.csv and model.weights.h5.
"""

import dataclasses
from pathlib import Path

from train.commands import add_data, command_parser, given_data, load_keras, told
from train.networks.recipes import RECIPES, Recipe


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("recipe", choices=RECIPES, help="of which what follows changes single values")
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    add_data(parser)
    parser.add_argument("--feedback", type=Path, help="folder of a journal with visitors' corrections")
    parser.add_argument("--initial", type=Path, help="a finished run, or a bundle, of the same network to start from")
    parser.add_argument("--epochs", type=int, help=_default("epochs"))
    parser.add_argument(
        "--easy-share", type=float, help=f"of what --initial finds easy, so much is seen an epoch {_default('easy_share')}"
    )
    parser.add_argument("--batch-size", type=int, help=f"images {_default('batch_size')}")
    parser.add_argument("--learning-rate", type=float, help=f"its peak, where a schedule is used {_default('learning_rate')}")
    parser.add_argument("--seed", type=int, help=_default("seed"))
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), help=_default("precision"))
    arguments = parser.parse_args(options)
    names = {field.name for field in dataclasses.fields(Recipe)} - {"architecture"}
    changes = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    recipe = dataclasses.replace(RECIPES[arguments.recipe], **changes)
    with told(parser):
        load_keras()
        from train.networks.runs import typed_command
        from train.networks.thumbnail_training import fit
        from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
        from train.pictures.feedback import load_feedback

        data = load_fashion_mnist(arguments.data)
        if arguments.feedback:
            data = dataclasses.replace(data, training=Pictures.joined([data.training, load_feedback(arguments.feedback)]))
        command = typed_command("train.thumbnails", parser, arguments, ["recipe"])
        fit(recipe, data, arguments.run, initial=arguments.initial, command=command)
    print(f"{arguments.run} holds the trained network. Make a bundle of it, which is what the page and the Hub take:")
    print(f"python -m train.export {arguments.run} {arguments.run / 'bundle'} --version 0.1.0{given_data(arguments)}")


def _default(field: str) -> str:
    """In words, for --help: what the recipes say, each value once."""
    values = dict.fromkeys(f"{getattr(recipe, field)}" for recipe in RECIPES.values())
    return f"(default: the recipe's, {' or '.join(values)})"


if __name__ == "__main__":
    main()
