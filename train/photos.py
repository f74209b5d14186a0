"""Train the network that names the garment in a photo, from the view in colour around it and the garment's mask.

    python -m train.photos --run runs/photos --segmentation runs/segmentation --photos PHOTOS --street STREET \\
        [--shop SHOP] [--people PEOPLE] [--things THINGS] [--pictures FOLDER] [--feedback JOURNAL]

--segmentation is a finished run of train.segmentation, or a bundle. The same command continues a run that was interrupted.

Garments come from phone photos, from a shop's products, from people in the street with true masks (PEOPLE: without masks,
named by their upper garment), from Fashion-MNIST, enlarged, dark on white, and from anybody's own folder. Masks are those that
the segmentation finds, as they will be. What is no garment at all, and garments that are none of the ten, train the network to
give them no high answer. Pictures of all sources are cut out, shrunk, dyed and relit alike, so that neither size nor
background nor light gives a class away.
"""

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

from fashion_classifier.bundle import SEGMENTATION_MODEL
from fashion_classifier.images import to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.manifest import PREPROCESSING_VERSION, FormName
from fashion_classifier.preprocessing import VIEW_SIZE, canonicalize
from fashion_classifier.segmentation import Segmenter, as_input
from train.commands import add_data, command_parser
from train.networks.architectures import LOGITS
from train.networks.efficientnet import LITE1, features, freeze, load_imagenet_weights
from train.networks.lineage import descent, lineage_of_serving
from train.networks.losses import OpenSetCrossEntropy
from train.networks.runs import finish, is_finished, open_run, typed_command
from train.networks.schedules import OneCycle
from train.pictures import folder, people, phone, shop, things
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
from train.pictures.feedback import feedback_pictures
from train.pictures.garments import Garment, found_garment, on_white, product, single_garment, worn_garments
from train.pictures.outliers import FITTED, outliers
from train.pictures.photo_augmentation import Changes, Framing, background, coarsen, dye, erase, frame, put_on, recolour
from train.pictures.street import street_photos
from train.pictures.targets import balanced, target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

FORM: FormName = "garment"  # how a photo is rendered for this network (fashion_classifier.forms)
MINIATURE_BORDER = 2  # px around an image of Fashion-MNIST before it is enlarged


@dataclass(frozen=True)
class Views:
    """How the garments of one source are shown. Shares are probabilities in [0, 1].

    Attributes:
        share: Of the views, relative to the other sources that are there.
        balance: A set of acceptable classes with n garments is drawn in proportion to n ** balance.
        framing: How a view lies around the garment's box.
        around: Share framed around the garment; the others show the whole photo.
        shoe_turns: Share of the views of shoes with a quarter turn or more: they lie in any direction.
        new_surface: Share of the figures on another surface.
        alone: Share of the bags and shoes cut out of all that is around them, as shops show them.
        shrunk: Share reduced to `shrunk_side` first, so that no class is known by large pictures.
    """

    share: float
    balance: float
    framing: Framing = Framing((0.9, 1.45), shift=0.07, rotation=12, aspect=1.4, quarter_turns=0)
    around: float = 1.0
    shoe_turns: float = 0.0
    new_surface: float = 0.0
    alone: float = 0.0
    shrunk: float = 0.0


LYING = Framing((0.9, 1.45), shift=0.07, rotation=12, aspect=1.4, quarter_turns=0.05)
SOURCES = {
    "phone": Views(0.26, 0.4, LYING, around=0.75, shoe_turns=0.6, new_surface=0.2),
    "shop": Views(0.29, 0.35, LYING, around=0.9, shoe_turns=0.15, new_surface=0.35, shrunk=0.5),
    "street": Views(0.21, 0.25, new_surface=0.35, alone=0.35),
    "people": Views(0.1, 0.5),
    "people's crops": Views(0.05, 0.4),
    "fashion-mnist": Views(0.04, 1.0),
    "own": Views(0.1, 0.4, LYING, around=0.75, new_surface=0.2),
    "things": Views(0.025, 1.0, around=0.5),
    "outliers": Views(0.025, 1.0, around=0.3),
}


@dataclass(frozen=True)
class Recipe:
    """What decides the outcome, but for the data. Shares are probabilities in [0, 1]."""

    epochs: int = 30
    batches: int = 125  # an epoch
    batch_size: int = 32
    side: int = 192  # px of the views in training
    learning_rate: float = 6e-4
    weight_decay: float = 2e-2
    averaging: float = 0.998  # momentum of the exponential moving average of the weights
    label_smoothing: float = 0.05
    dropout: float = 0.3
    seed: int = 0
    form: str = FORM
    architecture: str = LITE1.name

    sources: dict[str, Views] = dataclasses.field(default_factory=lambda: dict(SOURCES))
    changes: Changes = Changes()
    changed_mask: float = 0.4  # of the masks are too large or too small, as found ones may be
    mask_change: tuple[int, int] = (3, 8)  # px
    unmasked: float = 0.06  # of the masks say nothing
    shrunk_side: tuple[int, int] = (70, 110)  # px
    toned: float = 0.7  # of Fashion-MNIST's images have a colour in place of black
    outliers: int = 60  # of each kind of picture without a garment
    smallest: float = 0.004  # share of a street photo that a garment needs to be learnt


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

    def __init__(self, garments: dict[str, Sequence[Garment]], recipe: Recipe) -> None:
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


def garments_of(folders: Folders, thumbnails: Pictures, segmenter: Segmenter, recipe: Recipe) -> dict[str, Sequence[Garment]]:
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


def fit(recipe: Recipe, garments: dict[str, Sequence[Garment]], run: Path, *, masks: str = "", command: str = "") -> None:
    """Train from ImageNet's weights, or from where the run folder stopped, to the recipe's end, and keep the weights.

    Args:
        recipe: What to do.
        garments: By source, as `garments_of` gives them.
        run: The run folder.
        masks: Key of the run whose network found the garments, for the record.
        command: What was typed, likewise.
    """
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {name: len(given) for name, given in garments.items()},
        "masks": masks,
        "preprocessing": PREPROCESSING_VERSION,
        "command": command,
    } | descent([])
    if not open_run(run, config):
        return
    keras.utils.set_random_seed(recipe.seed)
    model = network(recipe.side, recipe.dropout)
    load_imagenet_weights(model, LITE1)
    freeze(model)
    optimizer = keras.optimizers.AdamW(
        OneCycle(recipe.learning_rate, recipe.epochs * recipe.batches),
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=recipe.averaging,
    )
    model.compile(optimizer, OpenSetCrossEntropy(recipe.label_smoothing), jit_compile=False)
    finish(run, model, Batches(garments, recipe), recipe.epochs)


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The options that name the pictures to train on, and the segmentation that finds garments in them."""
    parser.add_argument("--segmentation", type=Path, required=True, help="a finished run of train.segmentation, or a bundle")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the phone photos (photos.csv, images/)")
    parser.add_argument("--street", type=Path, required=True, help="folder of the street photos (labels.json, photos/, masks/)")
    parser.add_argument("--shop", type=Path, help="folder of a shop's products (shop.csv, images/)")
    parser.add_argument("--people", type=Path, help="folder of people in the street (tags.csv, photos/, crops.csv, crops/)")
    parser.add_argument("--things", type=Path, help="folder of what is no garment (things.csv, images/)")
    parser.add_argument(
        "--pictures", type=Path, help="your own: a folder (pictures.csv: image, group, class) or a Parquet file"
    )
    parser.add_argument("--feedback", type=Path, help="folder of a journal with visitors' corrections")
    add_data(parser)


def folders_of(arguments: argparse.Namespace) -> Folders:
    return Folders(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Folders)})


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    add_folders(parser)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs, help="to train")
    parser.add_argument("--batches", type=int, default=Recipe.batches, help="to an epoch")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="of all that is random")
    arguments = parser.parse_args()
    recipe = Recipe(epochs=arguments.epochs, batches=arguments.batches, seed=arguments.seed)
    if is_finished(arguments.run, dataclasses.asdict(recipe)):
        return
    segmenter = Segmenter(arguments.segmentation / SEGMENTATION_MODEL)
    thumbnails = load_fashion_mnist(arguments.data).training
    garments = garments_of(folders_of(arguments), thumbnails, segmenter, recipe)
    masks = lineage_of_serving(arguments.segmentation, SEGMENTATION_MODEL).key
    fit(recipe, garments, arguments.run, masks=masks, command=typed_command("train.photos", parser, arguments))


if __name__ == "__main__":
    main()
