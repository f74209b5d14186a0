"""Training a network for thumbnails, which `train.thumbnails` is the command of."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.special import softmax

from train.networks.architectures import ARCHITECTURES
from train.networks.lineage import descent
from train.networks.losses import SetCrossEntropy
from train.networks.recipes import Recipe
from train.networks.runs import finish, load_weights, open_run
from train.networks.schedules import OneCycle
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.outliers import outlier_thumbnails
from train.pictures.thumbnail_augmentation import augment

EASY = 0.94  # probability of the right class from which a picture is easy; label smoothing of 0.05 asks for 0.955


class Batches(keras.utils.PyDataset):
    """Augmented training batches; every one depends on (seed, epoch, its index) alone, so that a resumed run repeats them.

    An epoch is all pictures, but for a random part of the easy ones. Easy pictures that are shown weigh more, so that the
    expected gradient is that of all (after InfoBatch, Qin et al. 2024, arXiv 2303.04947).
    """

    def __init__(self, pictures: Pictures, recipe: Recipe, easy: npt.NDArray[np.bool_] | None = None) -> None:
        super().__init__()
        self.pictures, self.recipe = pictures, recipe
        is_easy = np.zeros(len(pictures), bool) if easy is None else easy
        self.weights = np.where(is_easy, 1 / recipe.easy_share, 1).astype(np.float32)
        self.easy, self.hard = np.flatnonzero(is_easy), np.flatnonzero(~is_easy)
        self.shown = round(recipe.easy_share * len(self.easy))  # of the easy ones
        self.start(epoch=0)

    def start(self, epoch: int) -> None:
        """Choose and order the pictures of an epoch."""
        self.epoch = epoch
        rng = np.random.default_rng((self.recipe.seed, epoch))
        shown = rng.choice(self.easy, self.shown, replace=False)
        self.order = rng.permutation(np.concatenate([self.hard, shown]))

    def __len__(self) -> int:
        return (len(self.hard) + self.shown) // self.recipe.batch_size

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        size = self.recipe.batch_size
        rows = self.order[index * size : (index + 1) * size]
        images = self.pictures.images[rows]
        if self.recipe.augmentation:
            images = augment(images, np.random.default_rng((self.recipe.seed, self.epoch, index)))
        return as_input(images), self.pictures.targets[rows], self.weights[rows]


def find_easy(model: keras.Model, pictures: Pictures) -> npt.NDArray[np.bool_]:
    """(n,) bool: True where a network is sure of the right class."""
    probabilities = softmax(model.predict(as_input(pictures.images), batch_size=500, verbose=0), axis=1)
    return np.asarray((probabilities * pictures.targets).sum(axis=1) >= EASY)


def as_input(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(n, 28, 28) uint8 -> (n, 28, 28, 1) float32 in [0, 1]."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def set_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the answer is one of the acceptable classes, for each picture."""
    return ops.sum(y_true * ops.one_hot(ops.argmax(y_pred, axis=-1), y_true.shape[-1]), axis=-1)


class Validation(keras.callbacks.Callback):
    """Accuracy on the validation images after each epoch, one look at each."""

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self.pictures = pictures

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        answers = self.model.predict(as_input(self.pictures.images), batch_size=500, verbose=0).argmax(axis=1)
        if logs is not None:
            logs["val_fashion_mnist_accuracy"] = float(self.pictures.targets[np.arange(len(answers)), answers].mean())


def compile_model(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """Give a network the recipe's loss and optimizer, for a training of so many steps."""
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(recipe.learning_rate)
        loss: keras.losses.Loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    else:
        schedule = OneCycle(recipe.learning_rate, steps)
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        loss = SetCrossEntropy(recipe.label_smoothing)
    # XLA gains nothing on a CPU here and cannot compile every layer
    jit_compile = "auto" if keras.backend.backend() == "jax" else False
    accuracy = keras.metrics.MeanMetricWrapper(set_accuracy, name="accuracy")
    model.compile(optimizer, loss, metrics=[accuracy], jit_compile=jit_compile)


def fit(recipe: Recipe, data: FashionMNIST, run: Path, *, initial: Path | None = None, command: str = "") -> None:
    """Train to the recipe's end, from the start or from where the run folder stopped, and keep the weights.

    Args:
        recipe: What to do.
        data: Its training part is trained on, its validation part measured after each epoch.
        run: The run folder.
        initial: A finished run, or a bundle, of the same architecture whose weights to start from.
        command: What was typed, for the record.

    Raises:
        ValueError: The recipe leaves easy pictures out, and there is no network that finds them; or its share is none.
    """
    if not 0 < recipe.easy_share <= 1:
        raise ValueError(f"The easy share must be above 0 and at most 1, received {recipe.easy_share}.")
    if recipe.easy_share < 1 and initial is None:
        raise ValueError(f"An easy share of {recipe.easy_share} needs a network that says what is easy: give --initial.")
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {"training": len(data.training), "validation": len(data.validation)},
        "command": command,
    } | descent([] if initial is None else [(initial, 1.0)])
    if not open_run(run, config):
        return
    training = Pictures.joined([data.training, outlier_thumbnails(recipe.outliers)]) if recipe.outliers else data.training
    keras.utils.set_random_seed(recipe.seed)
    keras.mixed_precision.set_global_policy(recipe.precision)
    model = ARCHITECTURES[recipe.architecture]()
    easy = None
    if initial is not None:
        load_weights(model, initial)  # before compile, which would load the optimizer's state as well
        easy = find_easy(model, training) if recipe.easy_share < 1 else None
    batches = Batches(training, recipe, easy)
    compile_model(model, recipe, recipe.epochs * len(batches))
    finish(run, model, batches, recipe.epochs, [Validation(data.validation)])
