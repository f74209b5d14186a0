"""Train one network.

    python -m train.fit resnet --run runs/resnet --photos PHOTOS --street STREET
    python -m train.fit cnn --run runs/cnn

The same command continues a run that was interrupted, from its last whole epoch, and leaves a finished one alone; --initial
starts from another run's weights. `KERAS_BACKEND` chooses TensorFlow
(default), JAX or PyTorch. A run folder holds config.json, history.csv and model.weights.h5.
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.special import softmax

from fashion_classifier.bundle import PREPROCESSING_VERSION
from train.architectures import ARCHITECTURES
from train.augmentation import augment
from train.data import FashionMNIST, Pictures, balanced, load_fashion_mnist, load_feedback, load_photos, load_street
from train.losses import SetCrossEntropy
from train.runs import WEIGHTS, OneCycle, finish, load_config, open_run, typed_command


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a run, but for the data."""

    architecture: str
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "sgd"]
    learning_rate: float  # the peak, where a schedule is used
    weight_decay: float = 0.0  # decoupled: w -= learning rate * weight decay * w
    label_smoothing: float = 0.0
    augmentation: bool = False
    photo_draws: int = 0  # photo renderings and street cut-outs seen an epoch, drawn with replacement
    precision: str = "float32"
    seed: int = 0


RECIPES: dict[str, Recipe] = {
    "ann": Recipe("ann", epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3),
    "cnn": Recipe("cnn", epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3),
    "resnet": Recipe(
        "resnet",
        epochs=14,
        batch_size=256,
        optimizer="sgd",
        learning_rate=0.15,
        weight_decay=2e-3,
        label_smoothing=0.05,
        augmentation=True,
        photo_draws=12_000,
    ),
}


class Batches(keras.utils.PyDataset):
    """Augmented training batches; every one depends on (seed, epoch, its index) alone, so that a resumed run repeats them.

    An epoch is all of Fashion-MNIST's training images, and `photo_draws` of the other pictures, drawn so that a class
    with n pictures counts as sqrt(n).
    """

    def __init__(self, thumbnails: Pictures, others: Pictures | None, recipe: Recipe) -> None:
        super().__init__(workers=1, max_queue_size=16)
        self.recipe = recipe
        sources = [thumbnails] if others is None else [thumbnails, others]
        self.images = np.concatenate([source.images for source in sources])
        self.targets = np.concatenate([source.targets for source in sources])
        self.thumbnail_count = len(thumbnails)
        self.draws = recipe.photo_draws if others is not None else 0
        self.weights = None if others is None else balanced(others.targets)
        self.start(epoch=0)

    def start(self, epoch: int) -> None:
        """Choose and order the pictures of an epoch."""
        self.epoch = epoch
        rng = np.random.default_rng((self.recipe.seed, epoch))
        chosen = [np.arange(self.thumbnail_count)]
        if self.weights is not None:
            chosen.append(self.thumbnail_count + rng.choice(len(self.weights), self.draws, p=self.weights))
        self.order = rng.permutation(np.concatenate(chosen))

    def __len__(self) -> int:
        return (self.thumbnail_count + self.draws) // self.recipe.batch_size

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        size = self.recipe.batch_size
        rows = self.order[index * size : (index + 1) * size]
        images = self.images[rows]
        if self.recipe.augmentation:
            images = augment(images, np.random.default_rng((self.recipe.seed, self.epoch, index)))
        return as_input(images), self.targets[rows]


def as_input(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(n, 28, 28) uint8 -> (n, 28, 28, 1) float32 in [0, 1], what every network takes."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def set_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Share of the predictions that are in their target set."""
    return ops.sum(y_true * ops.one_hot(ops.argmax(y_pred, axis=-1), y_true.shape[-1]), axis=-1)


class Validation(keras.callbacks.Callback):
    """After each epoch the accuracy on named sets of pictures, added to the logs as val_NAME_accuracy."""

    def __init__(self, sets: dict[str, Pictures]) -> None:
        super().__init__()
        self.sets = {name: pictures.of_the_ten() for name, pictures in sets.items()}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, pictures in self.sets.items():
            logits = self.model.predict(as_input(pictures.images), batch_size=500, verbose=0)
            answers, targets = pictures.averaged(softmax(logits, axis=1))
            right = targets[np.arange(len(targets)), answers.argmax(axis=1)]
            if logs is not None:
                logs[f"val_{name}_accuracy"] = float(right.mean())


def compile_model(recipe: Recipe, steps: int, initial: Path | None = None) -> keras.Model:
    """A network with the recipe's loss and optimizer, for a training of so many steps; fresh, or with a run's weights."""
    model = ARCHITECTURES[recipe.architecture]()
    if initial is not None:
        model.load_weights(initial / WEIGHTS)  # before compile, which would load the optimizer's state as well
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(recipe.learning_rate)
        loss: keras.losses.Loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    else:
        schedule = OneCycle(recipe.learning_rate, steps)
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        loss = SetCrossEntropy(recipe.label_smoothing)
    # TensorFlow's XLA is no faster than its own kernels on a CPU and takes a minute to start; JAX needs it.
    jit_compile = "auto" if keras.backend.backend() == "jax" else False
    accuracy = keras.metrics.MeanMetricWrapper(set_accuracy, name="accuracy")
    model.compile(optimizer, loss, metrics=[accuracy], jit_compile=jit_compile)
    return model


def fit(
    recipe: Recipe,
    data: FashionMNIST,
    others: Pictures | None,
    validation: dict[str, Pictures],
    run: Path,
    *,
    initial: Path | None = None,
    command: str = "",
) -> None:
    """Train to the recipe's end, from the start or from where the run folder stopped, and keep the weights in it.

    Args:
        recipe: What to do.
        data: Fashion-MNIST; its test part is not looked at.
        others: Photo renderings and street cut-outs to train on as well.
        validation: Sets to measure after each epoch, by name.
        run: The run folder.
        initial: A finished run of the same architecture whose weights to start from.
        command: What was typed, for the record.
    """
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {
            "training": {"fashion-mnist": len(data.training), "photos and street": 0 if others is None else len(others)},
            "validation": {name: len(pictures.of_the_ten()) for name, pictures in validation.items()},
        },
        "preprocessing": PREPROCESSING_VERSION,
        "command": command,
        "initial": None if initial is None else load_config(initial),
    }
    if not open_run(run, config):
        return
    keras.utils.set_random_seed(recipe.seed)
    keras.mixed_precision.set_global_policy(recipe.precision)
    batches = Batches(data.training, others, recipe)
    model = compile_model(recipe, recipe.epochs * len(batches), initial)
    finish(run, model, batches, recipe.epochs, [Validation(validation)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--photos", type=Path, help="folder of the phone photos (photos.csv, images/)")
    parser.add_argument("--street", type=Path, help="folder of the street photos (labels.json, photos/, masks/)")
    parser.add_argument("--feedback", type=Path, help="folder of a journal with visitors' corrections")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="where canonical photos are kept")
    parser.add_argument("--initial", type=Path, help="a finished run of the same network to start from")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--photo-draws", type=int, help="photo renderings and street cut-outs to see an epoch")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"))
    arguments = parser.parse_args()
    names = {field.name for field in dataclasses.fields(Recipe)} - {"architecture"}
    changes = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    recipe = dataclasses.replace(RECIPES[arguments.recipe], **changes)

    data = load_fashion_mnist(arguments.data)
    validation = {"fashion_mnist": data.validation}
    sources = []
    if recipe.photo_draws and arguments.photos:
        sources.append(load_photos(arguments.photos, "training", cache=arguments.cache))
        validation["photos"] = load_photos(arguments.photos, "validation", cache=arguments.cache)
    if recipe.photo_draws and arguments.street:
        sources.append(load_street(arguments.street, "training", cache=arguments.cache))
        validation["street"] = load_street(arguments.street, "validation", cache=arguments.cache)
    if recipe.photo_draws and arguments.feedback:
        sources.append(load_feedback(arguments.feedback))
    command = typed_command("train.fit", parser, arguments, ["recipe"])
    fit(
        recipe,
        data,
        Pictures.joined(sources) if sources else None,
        validation,
        arguments.run,
        initial=arguments.initial,
        command=command,
    )


if __name__ == "__main__":
    main()
