"""Train the network that tells by how many quarter turns a thumbnail is turned, and write it for LiteRT.

    python -m train.orientation --run runs/orientation

It learns from Fashion-MNIST's training images, turned at random. The same command continues a run that was interrupted. The run
folder gets orientation.tflite, which `train.export` takes. Four minutes on two cores.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from fashion_classifier.bundle import ORIENTATION_MODEL
from fashion_classifier.orientation import TURNS
from fashion_classifier.preprocessing import SIZE
from train.commands import add_data, command_parser, told
from train.networks.lineage import descent
from train.networks.runs import WEIGHTS, export_float16, finish, is_finished, open_run, typed_command
from train.networks.schedules import OneCycle
from train.networks.thumbnail_training import as_input
from train.pictures.fashion_mnist import UInt8Array, load_fashion_mnist
from train.pictures.thumbnail_augmentation import augment


@dataclass(frozen=True)
class Recipe:
    """What decides the outcome, but for the data."""

    epochs: int = 16
    batch_size: int = 256
    learning_rate: float = 3e-3  # the peak of one cycle, AdamW
    weight_decay: float = 1e-3
    seed: int = 0


class Batches(keras.utils.PyDataset):
    """Turned images and by how many quarter turns; each batch depends on (seed, epoch, its index) alone."""

    def __init__(self, images: UInt8Array, recipe: Recipe) -> None:
        super().__init__()
        self.images, self.recipe = images, recipe
        self.start(epoch=0)

    def start(self, epoch: int) -> None:
        """Order the images of an epoch."""
        self.epoch = epoch
        self.order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.images))

    def __len__(self) -> int:
        return len(self.images) // self.recipe.batch_size

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.integer]]:
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        size = self.recipe.batch_size
        images = augment(self.images[self.order[index * size : (index + 1) * size]], rng)
        turns = rng.integers(0, TURNS, len(images))
        turned = np.stack([np.rot90(image, turn) for image, turn in zip(images, turns, strict=True)])
        return as_input(turned), turns


def network() -> keras.Model:
    """(n, 28, 28, 1) float32 in [0, 1] -> (n, 4) logits, of so many quarter turns counterclockwise."""
    inputs = x = keras.Input((SIZE, SIZE, 1))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.3)(layers.Flatten()(x))  # where a sleeve is matters: no global pooling
    return keras.Model(inputs, layers.Dense(TURNS)(layers.Dense(64, activation="relu")(x)))


def fit(recipe: Recipe, images: UInt8Array, run: Path, *, command: str = "") -> None:
    """Train to the recipe's end, from the start or from where the run folder stopped; keep weights and .tflite."""
    config = {"recipe": dataclasses.asdict(recipe), "data": {"training": len(images)}, "command": command} | descent([])
    model = network()
    if open_run(run, config):
        keras.utils.set_random_seed(recipe.seed)
        model, batches = network(), Batches(images, recipe)
        schedule = OneCycle(recipe.learning_rate, recipe.epochs * len(batches))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay), loss, jit_compile=False)
        finish(run, model, batches, recipe.epochs)
    model.load_weights(run / WEIGHTS)
    export_float16(model, run / ORIENTATION_MODEL)


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    add_data(parser)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs, help="to train")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="of all that is random")
    arguments = parser.parse_args(options)
    recipe = Recipe(epochs=arguments.epochs, seed=arguments.seed)
    if is_finished(arguments.run, dataclasses.asdict(recipe), ORIENTATION_MODEL):
        return
    with told(parser):
        images = load_fashion_mnist(arguments.data).training.images
        fit(recipe, images, arguments.run, command=typed_command("train.orientation", parser, arguments))


if __name__ == "__main__":
    main()
