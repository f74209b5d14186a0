"""Training the network that names the garment in a photo, which `train.photos` is the command of."""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from fashion_classifier.images import to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.manifest import PREPROCESSING_VERSION
from fashion_classifier.preprocessing import VIEW_SIZE, canonicalize
from fashion_classifier.segmentation import Segmenter, as_input
from train.networks.architectures import LOGITS
from train.networks.efficientnet import LITE1, features, freeze, load_imagenet_weights
from train.networks.lineage import descent
from train.networks.losses import OpenSetCrossEntropy
from train.networks.recipes import PhotoRecipe, Views
from train.networks.runs import finish, load_weights, open_run
from train.networks.schedules import OneCycle
from train.pictures import folder, people, phone, shop, things
from train.pictures.fashion_mnist import Pictures
from train.pictures.feedback import feedback_pictures
from train.pictures.garments import Garment, found_garment, on_white, product, single_garment, worn_garments
from train.pictures.outliers import FITTED, outliers
from train.pictures.photo_augmentation import background, coarsen, dye, erase, frame, put_on, recolour
from train.pictures.street import street_photos
from train.pictures.targets import balanced, target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

MINIATURE_BORDER = 2  # px around an image of Fashion-MNIST before it is enlarged


class Source:
    """Garments to draw from at random."""

    def __init__(self, garments: Sequence[Garment], balance: float) -> None:
        self.garments = garments
        self.probabilities = balanced(np.stack([garment.target for garment in garments]), balance)

    def draw(self, rng: np.random.Generator) -> Garment:
        return self.garments[rng.choice(len(self.garments), p=self.probabilities)]


def network(side: int = VIEW_SIZE, dropout: float = 0.0) -> keras.Model:
    """EfficientNet-Lite1 with ten outputs: (n, side, side, 4) in [-1, 1], RGB and mask -> (n, 10) logits; 4.20 M parameters."""
    inputs = keras.Input((side, side, 4))
    x = layers.GlobalAveragePooling2D()(features(inputs, LITE1)[-1])
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(len(LABELS), name=LOGITS)(x), name=LITE1.name)


class Batches(keras.utils.PyDataset):
    """Random views of garments; each batch depends on (seed, epoch, its index) alone."""

    def __init__(self, garments: dict[str, Sequence[Garment]], recipe: PhotoRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.sources = {name: Source(given, recipe.sources[name].balance) for name, given in garments.items() if given}
        shares = np.array([recipe.sources[name].share for name in self.sources])
        self.shares = shares / shares.sum()
        self.photos = [garment.photo for given in garments.values() for garment in given]
        self.start(epoch=0)

    def start(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.recipe.batches

    def __getitem__(self, index: int) -> tuple[Float32Array, Float32Array]:
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        views, targets = zip(*(self._view(rng) for _ in range(self.recipe.batch_size)), strict=True)
        return as_input(np.stack(views)), np.stack(targets)

    def _view(self, rng: np.random.Generator) -> tuple[UInt8Array, Float32Array]:
        source = list(self.sources)[rng.choice(len(self.sources), p=self.shares)]
        garment = self.sources[source].draw(rng)
        return self.view(garment, source, rng), garment.target

    def view(self, garment: Garment, source: str, rng: np.random.Generator) -> UInt8Array:
        """A random view of a garment, as those of its source are shown: (side, side, 4) uint8, RGB and mask."""
        changes = self.recipe.changes
        view, mask = self._framed(garment, self.recipe.sources[source], rng)
        return np.dstack([erase(coarsen(recolour(view, changes, rng), changes, rng), changes, rng), mask])

    def _framed(self, garment: Garment, views: Views, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
        recipe = self.recipe
        photo, mask, framing = garment.photo, garment.mask, views.framing
        if rng.random() < views.shrunk:
            photo = _shrunk(photo, int(rng.integers(*recipe.shrunk_side)))
        photo = dye(photo, mask, recipe.changes, rng)
        whole = 0, 0, photo.shape[1], photo.shape[0]
        box = garment.box if mask.any() and rng.random() < views.around else whole
        if garment.is_shoe:
            framing = replace(framing, quarter_turns=max(framing.quarter_turns, views.shoe_turns))
        figure = garment.figure if garment.figure is not None else mask
        layers_ = [(photo, cv2.INTER_LINEAR), (mask, cv2.INTER_LINEAR), (figure, cv2.INTER_LINEAR)]
        view, mask, figure = frame(layers_, box, recipe.side, framing, rng)
        if garment.is_sold_alone and rng.random() < views.alone:
            view = put_on(view, mask // 255, self._surface(rng))
        elif garment.figure is not None and rng.random() < views.new_surface:
            view = put_on(view, figure // 255, self._surface(rng))
        return view, self._changed(mask, rng)

    def _changed(self, mask: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The mask as the segmentation might have drawn it."""
        if rng.random() < self.recipe.unmasked:
            return np.full_like(mask, 255)
        if rng.random() < self.recipe.changed_mask:
            change = cv2.dilate if rng.random() < 0.6 else cv2.erode
            side = int(rng.integers(*self.recipe.mask_change))
            mask = change(mask, np.ones((side, side), np.uint8)).astype(np.uint8)
        return mask

    def _surface(self, rng: np.random.Generator) -> UInt8Array:
        return background(self.recipe.side, self.photos, rng)


def _shrunk(photo: UInt8Array, side: int) -> UInt8Array:
    """The photo as if its longer side had had so many pixels."""
    height, width = photo.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return photo
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def enlarged(thumbnail: UInt8Array, accepted: Float32Array, toned: float, rng: np.random.Generator) -> Garment:
    """A Fashion-MNIST image as a shop's picture: dark, or of one colour, on white."""
    bordered = np.pad(~thumbnail, MINIATURE_BORDER, constant_values=255)
    large = cv2.resize(bordered, (VIEW_SIZE, VIEW_SIZE), interpolation=cv2.INTER_CUBIC)
    darkest = rng.uniform(0, 120, 3) if rng.random() < toned else np.zeros(3)
    photo = (darkest + large[..., np.newaxis] / 255 * (255 - darkest)).astype(np.uint8)
    mask = on_white(photo) * np.uint8(255)
    return Garment(photo, mask, mask, accepted)


def feedback_garments(journal: Path, segmenter: Segmenter) -> list[Garment]:
    """The photos among the pictures that visitors corrected; thumbnails are for `train.thumbnails`."""
    corrected = [(canonicalize(one.path, segmenter, box=one.box), one) for one in feedback_pictures(journal)]
    return [
        Garment(to_rgb(image.photo), mask, mask, target(one.accepted))
        for image, one in corrected
        if image.is_photo
        for mask in [image.mask.astype(np.uint8) * np.uint8(255)]
    ]


def outlier_garments(segmenter: Segmenter, n: int) -> list[Garment]:
    """Pictures without any garment, of the kinds that are for training, masked as such pictures will be."""
    pictures = np.concatenate(list(outliers(FITTED, n).values()))
    return [Garment(picture, segmenter(picture).astype(np.uint8) * 255, None, target(())) for picture in pictures]


@dataclass(frozen=True)
class Folders:
    """Where the pictures are; None where there are none."""

    photos: Path
    street: Path
    shop: Path | None = None
    people: Path | None = None
    things: Path | None = None
    pictures: Path | None = None
    feedback: Path | None = None


def garments_of(
    folders: Folders, thumbnails: Pictures, segmenter: Segmenter, recipe: PhotoRecipe
) -> dict[str, Sequence[Garment]]:
    """All garments to train on, by source."""
    rng = np.random.default_rng(recipe.seed)
    own = [] if folders.pictures is None else folder.rows(folders.pictures, "training")
    return {
        "phone": [single_garment(row, segmenter) for row in phone.rows(folders.photos, "training")],
        "shop": [product(row, segmenter) for row in shop.rows(folders.shop, "training")] if folders.shop else [],
        "street": [
            garment
            for photo in street_photos(folders.street, "training")
            for garment in worn_garments(photo, list(photo.garments(recipe.smallest)), segmenter)
        ],
        "people": [found_garment(row, segmenter) for row in people.rows(folders.people, "training")] if folders.people else [],
        "people's crops": [found_garment(row, segmenter) for row in people.crop_rows(folders.people, "training")]
        if folders.people
        else [],
        "fashion-mnist": [
            enlarged(thumbnails.images[number], thumbnails.targets[number], recipe.toned, rng)
            for number in rng.choice(len(thumbnails), min(len(thumbnails), 3_000), replace=False)
        ],
        "own": [single_garment(row, segmenter) for row in own]
        + (feedback_garments(folders.feedback, segmenter) if folders.feedback else []),
        "things": [found_garment(row, segmenter) for row in things.rows(folders.things, "training")] if folders.things else [],
        "outliers": outlier_garments(segmenter, recipe.outliers),
    }


def fit(
    recipe: PhotoRecipe,
    garments: dict[str, Sequence[Garment]],
    run: Path,
    *,
    initial: Path | None = None,
    masks: str = "",
    command: str = "",
) -> None:
    """Train from ImageNet's or another network's weights, or from where the run folder stopped, to the recipe's end.

    Args:
        recipe: What to do.
        garments: By source, as `garments_of` gives them.
        run: The run folder, which keeps the weights.
        initial: A finished run, or a bundle, whose network to start from; None for ImageNet's weights.
        masks: Key of the run whose network found the garments, for the record.
        command: What was typed, likewise.
    """
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {name: len(given) for name, given in garments.items()},
        "masks": masks,
        "preprocessing": PREPROCESSING_VERSION,
        "command": command,
    } | descent([] if initial is None else [(initial, 1.0)], "photo")
    if not open_run(run, config):
        return
    keras.utils.set_random_seed(recipe.seed)
    model = network(recipe.side, recipe.dropout)
    if initial is None:
        load_imagenet_weights(model, LITE1)
    else:
        load_weights(model, initial, "photo")  # before compile, which would load the optimizer's state as well
    freeze(model)
    optimizer = keras.optimizers.AdamW(
        OneCycle(recipe.learning_rate, recipe.epochs * recipe.batches),
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=recipe.averaging,
    )
    model.compile(optimizer, OpenSetCrossEntropy(recipe.label_smoothing), jit_compile=False)
    finish(run, model, Batches(garments, recipe), recipe.epochs)


def folders_of(arguments: argparse.Namespace) -> Folders:
    """The folders that a command was given."""
    return Folders(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Folders)})
