"""Train the network that finds the main garment in a photo, and write it for LiteRT.

    python -m train.segmentation --run runs/segmentation --photos PHOTOS --street STREET

The same command continues a run that was interrupted. The run folder gets segmentation.tflite, which `train.photos` and
`train.export` take.

The main garment is the one that a view is framed around, as who means one garment of several crops to it; in a view of
whatever is worn it is the largest, most central one (area weighted by a Gaussian on the view's centre). The network learns
it from the true masks of the street photos and from GrabCut's masks of the phone photos, where GrabCut did well; both also
cut out and put on other surfaces.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from fashion_classifier.bundle import SEGMENTATION_MODEL
from fashion_classifier.segmentation import MAP_SIDE, SIDE, as_input
from train.networks.efficientnet import LITE0, features, freeze, load_imagenet_weights
from train.networks.lineage import descent
from train.networks.runs import WEIGHTS, OneCycle, export_float16, finish, open_run, typed_command
from train.pictures.boxes import box_of, widened
from train.pictures.grabcut import grabcut_mask
from train.pictures.phone import PhonePhoto, phone_photos
from train.pictures.photo_augmentation import Framing, background, coarsen, frame, put_on, recolour
from train.pictures.street import NO_GARMENT, StreetPhoto, street_photos

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

GARMENT, UNKNOWN = 1, 255  # values of a target; the rest is 0
CENTRE_WIDTH = 0.55  # standard deviation of the Gaussian that weighs areas, in halves of the view's side

STREET_SHARE = 0.6  # of the views
AROUND_ONE = 0.7  # of the street views are framed around one garment, the others anywhere
CROPPED = 0.6  # of those framed around one are cropped to its box and a margin, as callers crop
CROP_MARGIN = (0.03, 0.3)  # of that crop, of the longer side of the box
SMALLEST = 0.004  # share of a street photo that a garment needs to be framed
CUT_OUT = {"street": 0.45, "phone": 0.25}  # share of the views put on another surface
ALONE = 0.25  # of the street views put on another surface show one garment only

BELIEVABLE = (0.06, 0.75)  # share of a phone photo that GrabCut's mask must cover to be learnt from
AT_BORDER = 0.3  # share of the photo's border that it may cover
IN_ONE_PART = 0.45  # share of it that its largest part must hold

ANYWHERE = Framing((0.3, 1.0), shift=0.3, rotation=10, aspect=2.0, quarter_turns=0)
AROUND = Framing((1.0, 1.7), shift=0.12, rotation=10, aspect=1.3, quarter_turns=0)
CROP = Framing((1.0, 1.0), shift=0.02, rotation=3, aspect=1.05, quarter_turns=0)
PHONE = Framing((0.75, 1.05), shift=0.08, rotation=15, aspect=1.4, quarter_turns=0.3)


@dataclass(frozen=True)
class Recipe:
    """What decides the outcome, but for the data."""

    epochs: int = 24
    batches: int = 100  # an epoch
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    frozen_blocks: int = 3
    seed: int = 0


def network() -> keras.Model:
    """A U-Net (Ronneberger, Fischer, Brox 2015) of separable convolutions on EfficientNet-Lite0's first five stages.

    (n, 160, 160, 3) in [-1, 1] -> (n, 80, 80, 1) logits of the main garment; 0.76 M parameters.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    *finer, x = features(inputs, LITE0, stages=5)
    x = _separable(x, 96, "decode_10")
    for skipped, filters in zip(reversed(finer), (64, 48, 32), strict=True):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Concatenate()([x, skipped])
        x = _separable(x, filters, f"decode_{x.shape[1]}")
        if x.shape[1] < MAP_SIDE:
            x = _separable(x, filters, f"refine_{x.shape[1]}")
    return keras.Model(inputs, layers.Conv2D(1, 1, name="logits")(x), name="segmentation")


def _separable(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


class MaskLoss(keras.losses.Loss):
    """Binary cross-entropy plus Dice loss (Milletari, Navab, Ahmadi 2016, arXiv 1606.04797), over the known pixels."""

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        known = ops.cast(ops.less(y_true, UNKNOWN), "float32")
        truth = ops.cast(y_true, "float32") * known
        found = ops.sigmoid(y_pred) * known

        def total(values: keras.KerasTensor) -> keras.KerasTensor:
            return ops.sum(values, axis=(1, 2, 3))

        entropy = ops.relu(y_pred) - y_pred * truth + ops.softplus(-ops.abs(y_pred))
        # the constant keeps views without a garment from dividing by zero, and tiny garments from shouting
        dice = (2.0 * total(found * truth) + 20.0) / (total(found) + total(truth) + 20.0)
        return total(entropy * known) / ops.maximum(1.0, total(known)) + 1.0 - dice


def main_garment(labels: UInt8Array, garments: Sequence[int]) -> BoolArray:
    """Where the largest, most central of the garments is in an (h, w) map of labels; nowhere where there is none."""
    rows, columns = (np.linspace(-1, 1, side) for side in labels.shape)
    weights = np.exp(-(rows[:, np.newaxis] ** 2 + columns**2) / (2 * CENTRE_WIDTH**2))
    areas = np.bincount(labels.ravel(), weights.ravel(), minlength=256)
    best = max(garments, key=lambda value: areas[value])
    found: BoolArray = (labels == best) & (areas[best] > 0)
    return found


def believable(mask: BoolArray) -> bool:
    """Whether GrabCut's mask looks like one garment: neither specks nor the floor."""
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if not BELIEVABLE[0] < mask.mean() < BELIEVABLE[1] or border.mean() > AT_BORDER:
        return False
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return bool(areas.max() > IN_ONE_PART * areas.sum())


class Batches(keras.utils.PyDataset):
    """Random views of photos with their main garment; each batch depends on (seed, epoch, its index) alone."""

    def __init__(self, phones: Sequence[PhonePhoto], streets: Sequence[StreetPhoto], recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.streets = recipe, list(streets)
        self.phones = [(phone.photo, target) for phone in phones if (target := _target(phone.photo)) is not None]
        self.garments = [i for i, name in enumerate(self.streets[0].names) if name not in NO_GARMENT]
        self.start(epoch=0)

    def start(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.recipe.batches

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], UInt8Array]:
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        views, targets = zip(*(self._view(rng) for _ in range(self.recipe.batch_size)), strict=True)
        step = SIDE // MAP_SIDE
        return as_input(np.stack(views)), np.stack(targets)[:, ::step, ::step, np.newaxis]

    def _view(self, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        view, target = self._street(rng) if rng.random() < STREET_SHARE else self._phone(rng)
        return coarsen(recolour(view, rng), rng), target

    def _street(self, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        street = self.streets[rng.integers(len(self.streets))]
        photo, labels = street.photo, street.labels
        framing, meant = ANYWHERE, None
        box = 0, 0, labels.shape[1], labels.shape[0]
        present = [value for value in self.garments if (labels == value).mean() >= SMALLEST]
        if present and rng.random() < AROUND_ONE:
            meant = rng.choice(present)
            box, framing = box_of((labels == meant).astype(np.uint8)), AROUND
            if rng.random() < CROPPED:
                crop = widened(box, rng.uniform(*CROP_MARGIN))
                photo, labels = photo[crop], labels[crop]
                box, framing = (0, 0, labels.shape[1], labels.shape[0]), CROP
        view, labels = self._framed(photo, labels, box, framing, rng)
        if rng.random() < CUT_OUT["street"]:
            seen = [meant] if meant is not None else [value for value in self.garments if (labels == value).any()]
            alone = seen and rng.random() < ALONE
            kept = labels == rng.choice(seen) if alone else labels > 0
            labels = np.where(kept, labels, 0)
            view = put_on(view, kept.astype(np.uint8), self._surface(rng))
        main = main_garment(labels, self.garments) if meant is None else labels == meant
        return view, main.astype(np.uint8)

    def _phone(self, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        photo, target = self.phones[rng.integers(len(self.phones))]
        view, target = self._framed(photo, target, (0, 0, photo.shape[1], photo.shape[0]), PHONE, rng)
        if rng.random() < CUT_OUT["phone"]:
            view = put_on(view, (target > 0).astype(np.uint8), self._surface(rng))
        return view, target

    def _framed(
        self, photo: UInt8Array, target: UInt8Array, box: tuple[int, int, int, int], framing: Framing, rng: np.random.Generator
    ) -> list[UInt8Array]:
        layers_ = [(photo, cv2.INTER_LINEAR), (target, cv2.INTER_NEAREST)]
        return frame(layers_, box, SIDE, framing, rng, square=False)

    def _surface(self, rng: np.random.Generator) -> UInt8Array:
        return background(SIDE, [photo for photo, _ in self.phones], rng)


def _target(photo: UInt8Array) -> UInt8Array | None:
    """GrabCut's mask of a photo, unknown along its edge; None where it is not believable."""
    mask = grabcut_mask(photo)
    if not believable(mask):
        return None
    inner, outer = (change(mask.astype(np.uint8), np.ones((5, 5))) for change in (cv2.erode, cv2.dilate))
    return np.where(inner > 0, GARMENT, np.where(outer > 0, UNKNOWN, 0)).astype(np.uint8)


def fit(recipe: Recipe, phones: Sequence[PhonePhoto], streets: Sequence[StreetPhoto], run: Path, *, command: str = "") -> None:
    """Train to the recipe's end, from ImageNet's weights or from where the run folder stopped; keep weights and .tflite."""
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {"phone photos": len(phones), "street photos": len(streets)},
        "command": command,
    } | descent([])
    if open_run(run, config):
        keras.utils.set_random_seed(recipe.seed)
        model = network()
        load_imagenet_weights(model, LITE0)
        freeze(model, recipe.frozen_blocks)
        schedule = OneCycle(recipe.learning_rate, recipe.epochs * recipe.batches)
        model.compile(keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay), MaskLoss(), jit_compile=False)
        finish(run, model, Batches(phones, streets, recipe), recipe.epochs)
    if not (run / SEGMENTATION_MODEL).is_file():  # else it was finished before
        model = network()
        model.load_weights(run / WEIGHTS)
        export_float16(model, run / SEGMENTATION_MODEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the phone photos (photos.csv, images/)")
    parser.add_argument("--street", type=Path, required=True, help="folder of the street photos (labels.json, photos/, masks/)")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--batches", type=int, default=Recipe.batches, help="to an epoch")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    fit(
        Recipe(epochs=arguments.epochs, batches=arguments.batches, seed=arguments.seed),
        list(phone_photos(arguments.photos, "training")),
        list(street_photos(arguments.street, "training")),
        arguments.run,
        command=typed_command("train.segmentation", parser, arguments),
    )


if __name__ == "__main__":
    main()
