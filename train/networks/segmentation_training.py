"""Training the network that finds the garment that is meant, which `train.segmentation` is the command of."""

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from fashion_classifier.bundle import SEGMENTATION_MODEL
from fashion_classifier.masks import box_of, widened
from fashion_classifier.segmentation import MAP_SIDE, MAPS, SIDE, as_input, hint
from train.networks.efficientnet import LITE0, features, freeze, load_imagenet_weights
from train.networks.lineage import descent
from train.networks.recipes import SegmentationRecipe
from train.networks.runs import WEIGHTS, finish, open_run
from train.networks.schedules import OneCycle
from train.networks.serving import export_float16
from train.pictures import phone, shop
from train.pictures.garments import on_white
from train.pictures.grabcut import grabcut_mask
from train.pictures.photo_augmentation import Framing, background, coarsen, frame, put_on, recolour
from train.pictures.street import NO_GARMENT, STREET_LABELS, StreetPhoto, street_photos
from train.pictures.targets import SHOES

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Masked = tuple[UInt8Array, UInt8Array]  # a photo (H, W, 3), and where in it the one garment is: values of a target (H, W)

GARMENT, UNKNOWN = 1, 255  # values of a target; the rest is 0
ALONE_ON_WHITE = ("Bag", *SHOES)  # what the shop shows without anybody: all that stands out from white is the garment


def network() -> keras.Model:
    """A U-Net (Ronneberger, Fischer, Brox 2015) of separable convolutions on EfficientNet-Lite0's first five stages.

    (n, 160, 160, 4) in [-1, 1], RGB and the hint -> (n, 80, 80, 2) logits: of the garment that is meant, and of any; 0.76 M
    parameters.
    """
    inputs = keras.Input((SIDE, SIDE, 4))
    *finer, x = features(inputs, LITE0, stages=5)
    x = _separable(x, 96, "decode_10")
    for skipped, filters in zip(reversed(finer), (64, 48, 32), strict=True):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Concatenate()([x, skipped])
        x = _separable(x, filters, f"decode_{x.shape[1]}")
        if x.shape[1] < MAP_SIDE:
            x = _separable(x, filters, f"refine_{x.shape[1]}")
    return keras.Model(inputs, layers.Conv2D(MAPS, 1, name="logits")(x), name="segmentation")


def _separable(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


class MaskLoss(keras.losses.Loss):
    """Binary cross-entropy plus Dice loss (Milletari, Navab, Ahmadi 2016, arXiv 1606.04797), over the known pixels of each map.

    The mean over the maps of (n, rows, columns, maps): targets uint8, and logits.
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        known = ops.cast(ops.less(y_true, UNKNOWN), "float32")
        truth = ops.cast(y_true, "float32") * known
        found = ops.sigmoid(y_pred) * known

        def total(values: keras.KerasTensor) -> keras.KerasTensor:
            return ops.sum(values, axis=(1, 2))

        entropy = ops.relu(y_pred) - y_pred * truth + ops.softplus(-ops.abs(y_pred))
        # the constant keeps views without a garment from dividing by zero, and tiny garments from shouting
        dice = (2.0 * total(found * truth) + 20.0) / (total(found) + total(truth) + 20.0)
        return ops.mean(total(entropy * known) / ops.maximum(1.0, total(known)) + 1.0 - dice, axis=-1)


def main_garment(labels: UInt8Array, layers_of: dict[int, int], recipe: SegmentationRecipe) -> BoolArray:
    """Where the garment is that is meant when nothing is said: True on it in an (h, w) map of labels, nowhere if there is none.

    Args:
        labels: The garments' values; what is no key of `layers_of` is none.
        layers_of: For each garment how far out it is worn (`layer_of`).
        recipe: Says how areas are weighed, and from which on a garment further out comes before a larger one.
    """
    rows, columns = (np.linspace(-1, 1, side) for side in labels.shape)
    weights = np.exp(-(rows[:, np.newaxis] ** 2 + columns**2) / (2 * recipe.centre_width**2))
    areas = np.bincount(labels.ravel(), weights.ravel(), minlength=256)
    largest = max(areas[value] for value in layers_of)
    claiming = [value for value in layers_of if areas[value] >= recipe.claim * largest]
    best = max(claiming, key=lambda value: (layers_of[value], areas[value]))
    found: BoolArray = (labels == best) & (areas[best] > 0)
    return found


def layer_of(label: str) -> int:
    """How far out a garment of this label is worn above the waist: 2 a coat, 1 a dress or a top, 0 anything else."""
    accepted = STREET_LABELS.get(label, ())
    if "Coat" in accepted:
        return 2
    return int(bool({"T-shirt/top", "Pullover", "Dress", "Shirt"}.intersection(accepted)))


def believable(mask: BoolArray, recipe: SegmentationRecipe) -> bool:
    """Whether a mask looks like one garment: neither specks nor the floor."""
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    smallest, largest = recipe.believable
    if not smallest < mask.mean() < largest or border.mean() > recipe.at_border:
        return False
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return bool(areas.max() > recipe.in_one_part * areas.sum())


class Batches(keras.utils.PyDataset):
    """Random views of photos with the garment that is meant; each batch depends on (seed, epoch, its index) alone."""

    def __init__(
        self, streets: Sequence[StreetPhoto], phones: Sequence[Masked], products: Sequence[Masked], recipe: SegmentationRecipe
    ) -> None:
        super().__init__()
        self.recipe, self.streets, self.phones, self.products = recipe, streets, phones, products
        shares = np.array(recipe.sources) * [bool(streets), bool(phones), bool(products)]
        self.shares = shares / shares.sum()
        names = streets[0].names if streets else ()
        self.layers_of = {value: layer_of(name) for value, name in enumerate(names) if name not in NO_GARMENT}
        self.start(epoch=0)

    def start(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.recipe.batches

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], UInt8Array]:
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        views, targets = zip(*(self._view(rng) for _ in range(self.recipe.batch_size)), strict=True)
        step = SIDE // MAP_SIDE
        return as_input(np.stack(views)), np.stack(targets)[:, ::step, ::step]

    def _view(self, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        source = rng.choice(3, p=self.shares)
        hinted = rng.random() < self.recipe.hinted[source]
        if source == 0:
            view, *targets = self._street(rng, hinted=hinted)
        else:
            masked = (self.phones, self.products)[source - 1]
            view, target = self._single(masked[int(rng.integers(len(masked)))], self.recipe.cut_out[source], rng)
            targets = [target, target]  # it is the only one
        point = point_on(targets[0] == GARMENT, rng) if hinted else None
        view = coarsen(recolour(view, self.recipe.changes, rng), self.recipe.changes, rng)
        return np.dstack([view, hint(point)]), np.dstack(targets)

    def _street(self, rng: np.random.Generator, *, hinted: bool) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
        """A view, the garment that is meant in it, and all garments."""
        recipe, street = self.recipe, self.streets[int(rng.integers(len(self.streets)))]
        photo, labels = street.photo, street.labels
        framing, meant = recipe.framed_anywhere, None
        box = 0, 0, labels.shape[1], labels.shape[0]
        present = self._shown(labels, recipe.smallest)
        kind = rng.random()
        if kind < recipe.whole:
            framing = recipe.framed_whole
        elif kind < recipe.whole + recipe.around_one and present:
            meant = rng.choice(present)
            box, framing = box_of(labels == meant), recipe.framed_around
            if rng.random() < recipe.cropped:
                crop = widened(box, rng.uniform(*recipe.crop_margin))
                photo, labels = photo[crop], labels[crop]
                box, framing = (0, 0, labels.shape[1], labels.shape[0]), recipe.framed_crop
        view, labels = self._framed(photo, labels, box, framing, rng)
        if rng.random() < recipe.cut_out[0]:
            seen = [meant] if meant is not None else self._shown(labels)
            alone = seen and rng.random() < recipe.alone
            kept = labels == rng.choice(seen) if alone else labels > 0
            labels = np.where(kept, labels, 0)
            view = put_on(view, kept.astype(np.uint8), self._surface(rng))
        if hinted:
            seen = self._shown(labels, recipe.smallest)
            meant = rng.choice(seen) if seen else meant
        main = main_garment(labels, self.layers_of, recipe) if meant is None else labels == meant
        return view, main.astype(np.uint8), np.isin(labels, list(self.layers_of)).astype(np.uint8)

    def _shown(self, labels: UInt8Array, smallest: float = 0.0) -> list[int]:
        """The garments in an (h, w) map of labels, those that cover at least such a share of it."""
        shares = np.bincount(labels.ravel(), minlength=256) / labels.size
        return [value for value in self.layers_of if shares[value] >= smallest and shares[value] > 0]

    def _single(self, masked: Masked, cut_out: float, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        photo, target = masked
        whole = 0, 0, photo.shape[1], photo.shape[0]
        view, target = self._framed(photo, target, whole, self.recipe.framed_single, rng)
        if rng.random() < cut_out:
            view = put_on(view, (target > 0).astype(np.uint8), self._surface(rng))
        return view, target

    def _framed(
        self, photo: UInt8Array, target: UInt8Array, box: tuple[int, int, int, int], framing: Framing, rng: np.random.Generator
    ) -> list[UInt8Array]:
        layers_ = [(photo, cv2.INTER_LINEAR), (target, cv2.INTER_NEAREST)]
        return frame(layers_, box, SIDE, framing, rng, square=False)

    def _surface(self, rng: np.random.Generator) -> UInt8Array:
        return background(SIDE, [photo for photo, _ in self.phones], rng)


def point_on(mask: BoolArray, rng: np.random.Generator) -> tuple[float, float] | None:
    """A random point well inside a mask, as a person points: (column, row) as shares of the sides; None on an empty one."""
    if not mask.any():
        return None
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= rng.uniform(0, 1) * depth.max())
    chosen = rng.integers(len(rows))
    height, width = mask.shape
    return (columns[chosen] + 0.5) / width, (rows[chosen] + 0.5) / height


def single_garments(photos: Sequence[UInt8Array], masks: Iterable[UInt8Array], recipe: SegmentationRecipe) -> list[Masked]:
    """Photos whose masks, (H, W) of zeros and ones, are believable, each with its target: unknown along the mask's edge."""
    found = []
    for photo, mask in zip(photos, masks, strict=True):
        if believable(mask > 0, recipe):
            edge = np.ones((recipe.edge if min(mask.shape) < SIDE else recipe.edge + 2,) * 2, np.uint8)
            inner, outer = cv2.erode(mask, edge), cv2.dilate(mask, edge)
            found.append((photo, np.where(inner > 0, GARMENT, np.where(outer > 0, UNKNOWN, 0)).astype(np.uint8)))
    return found


def pictures_of(
    photos: Path, street: Path, products: Path | None, recipe: SegmentationRecipe
) -> tuple[list[StreetPhoto], list[Masked], list[Masked]]:
    """All pictures to train on: street photos, phone photos and a shop's bags and shoes, of their folders."""
    phones = [row.load() for row in phone.rows(photos, "training")]
    listed = shop.rows(products, "training") if products else []
    alone = [row.load() for row in listed if row.accepted and set(row.accepted) <= set(ALONE_ON_WHITE)]
    with ThreadPoolExecutor() as cores:
        foregrounds = [mask.astype(np.uint8) for mask in cores.map(grabcut_mask, phones)]
    return (
        list(street_photos(street, "training")),
        single_garments(phones, foregrounds, recipe),
        single_garments(alone, [on_white(photo) for photo in alone], recipe),
    )


def fit(
    recipe: SegmentationRecipe,
    streets: Sequence[StreetPhoto],
    phones: Sequence[Masked],
    products: Sequence[Masked],
    run: Path,
    *,
    command: str = "",
) -> None:
    """Train to the recipe's end, from ImageNet's weights or from where the run folder stopped; keep weights and .tflite."""
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {"street photos": len(streets), "phone photos": len(phones), "products": len(products)},
        "command": command,
    } | descent([])
    if open_run(run, config):
        keras.utils.set_random_seed(recipe.seed)
        model = network()
        load_imagenet_weights(model, LITE0)
        freeze(model)
        schedule = OneCycle(recipe.learning_rate, recipe.epochs * recipe.batches)
        model.compile(keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay), MaskLoss(), jit_compile=False)
        finish(run, model, Batches(streets, phones, products, recipe), recipe.epochs)
    if not (run / SEGMENTATION_MODEL).is_file():  # else it was finished before
        model = network()
        model.load_weights(run / WEIGHTS)
        export_float16(model, run / SEGMENTATION_MODEL)
