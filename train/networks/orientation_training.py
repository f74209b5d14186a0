"""Training the network that turns thumbnails upright, which `train.orientation` is the command of."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from fashion_classifier.bundle import ORIENTATION_MODEL
from fashion_classifier.orientation import TURNS
from fashion_classifier.preprocessing import SIZE
from train.networks.lineage import descent
from train.networks.recipes import OrientationRecipe
from train.networks.runs import WEIGHTS, finish, open_run
from train.networks.schedules import OneCycle
from train.networks.serving import export_float16
from train.networks.thumbnail_training import as_input
from train.pictures.fashion_mnist import UInt8Array
from train.pictures.thumbnail_augmentation import augment


class Batches(keras.utils.PyDataset):
    """Turned images and by how many quarter turns; each batch depends on (seed, epoch, its index) alone."""

    def __init__(self, images: UInt8Array, recipe: OrientationRecipe) -> None:
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


def fit(recipe: OrientationRecipe, images: UInt8Array, run: Path, *, command: str = "") -> None:
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
