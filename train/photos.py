"""Train a network that names the garment in a photo, from the view in colour around it.

    python -m train.photos --run runs/photos --segmentation runs/segmentation --photos PHOTOS --street STREET
    python -m train.photos --look faded --run runs/faded ...

A bundle has two of them, another one for either look at a photo, whose answers are averaged: networks that differ err less
often together. Both are trained on both kinds of views.

--segmentation is a finished run of train.segmentation, or a bundle. The same command continues a run that was interrupted.

Garments come from the phone photos (masks by the segmentation network), from the street photos (their true masks, or what the
segmentation network finds), and from Fashion-MNIST, enlarged, dark on white: most of the bags and of the named shoes that
nobody carries or wears. Tops of the phone photos and of Fashion-MNIST are also drawn over those that people wear, and
garments dyed: their kind does not depend on their cloth. Pictures without a garment ask the network to be undecided.
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
from fashion_classifier.manifest import FormName
from fashion_classifier.preprocessing import PLAIN_DISTANCE, SIZE, VIEW_SIZE, Segment, canonicalize, fade
from fashion_classifier.segmentation import Segmenter, as_input
from train.networks.architectures import LOGITS
from train.networks.efficientnet import LITE0, LITE1, Variant, features, freeze, load_imagenet_weights
from train.networks.lineage import descent
from train.networks.losses import SetCrossEntropy
from train.networks.runs import OneCycle, finish, open_run, typed_command, weights_of
from train.pictures.boxes import box_of, widened
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
from train.pictures.feedback import feedback_pictures, feedback_target
from train.pictures.garments import TOPS, Garment, dressed, worn_garment
from train.pictures.outliers import FITTED, outliers
from train.pictures.phone import PhonePhoto, phone_photos
from train.pictures.photo_augmentation import (
    COARSE,
    COARSE_SIDE,
    Framing,
    background,
    coarsen,
    dye,
    erase,
    frame,
    put_on,
    recolour,
)
from train.pictures.splits import Split
from train.pictures.street import street_garments
from train.pictures.targets import balanced, target
from train.reports.photos import iou

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

SMALLEST = 0.004  # share of a street photo that a garment needs to be learnt
OUTLIERS = 60  # of each kind of picture without a garment


PHONE_BALANCE, STREET_BALANCE = 0.4, 0.25  # 1: as frequent as they are; 0: all alike
THUMBNAILS, PHONES, STREETS = 0.15, 0.53, 0.32  # share of the views from each source
FRAMING = Framing((0.9, 1.45), shift=0.07, rotation=12, aspect=1.4, quarter_turns=0.05)
SHOE_TURNS = 0.6  # share of the phone views of shoes with a quarter turn or more: they lie in any direction
AROUND_GARMENT = 0.7  # of the phone views; the others show the whole photo
NEW_SURFACE = 0.2  # of the phone views show the garment on another surface
DRESSED = 0.5  # of the tops that people wear are covered with another top
IN_MINIATURE = 0.4  # of those tops are Fashion-MNIST's, and the view is as coarse as they are; the others are phone photos'
MINIATURE_SIDE = (28, 60)  # px of such a view
ON_WHITE = 0.4  # of the street views show the person cut out on white, as shops do
ALONE = 0.4  # of the bags and shoes in the street are cut out of what is around them, as shops show them
FOUND_MASK = 0.5  # of the masks of the street views are the segmentation's, in a crop around the garment
CROP_MARGIN = (0.05, 0.5)  # of that crop, of the longer side of the garment's box
RIGHT = 0.5  # intersection over union with the true mask, from which on the segmentation has found the garment
CHANGED_MASK = 0.4  # of the masks are too large or too small, as found ones may be
MASK_CHANGE = (3, 8)  # px
UNFADED = {"phone": 0.4, "street": 0.3}  # share of the views whose surroundings keep their colours
FADING = (0.3, 1.0)
BORDER = 2  # px around an image of Fashion-MNIST before it is enlarged
TONED = 0.7  # of the thumbnails have a colour in place of black


@dataclass(frozen=True)
class Look:
    """Which network names photos at this look, and what form of them it takes."""

    variant: Variant
    form: FormName


LOOKS = {
    "plain": Look(LITE0, "plain"),
    "faded": Look(LITE1, "faded mirrored"),
}


@dataclass(frozen=True)
class Recipe:
    """What decides the outcome, but for the data."""

    epochs: int = 16
    batches: int = 125  # an epoch
    batch_size: int = 32
    learning_rate: float = 4e-4
    weight_decay: float = 2e-2
    averaging: float = 0.995  # momentum of the exponential moving average of the weights
    label_smoothing: float = 0.05
    dropout: float = 0.3
    frozen_blocks: int = 3
    look: str = "plain"
    seed: int = 0


class Source:
    """Garments to draw from at random: a set of acceptable classes with n garments is drawn in proportion to n ** share."""

    def __init__(self, garments: Sequence[Garment], share: float) -> None:
        self.garments = garments
        self.probabilities = balanced(np.stack([garment.target for garment in garments]), share)

    def draw(self, rng: np.random.Generator) -> Garment:
        return self.garments[rng.choice(len(self.garments), p=self.probabilities)]


def phone_garment(phone: PhonePhoto, segmenter: Segmenter) -> Garment:
    mask = segmenter(phone.photo).astype(np.uint8) * 255
    return Garment(phone.photo, mask, None, None, target(phone.accepted))


def feedback_garments(folder: Path, segmenter: Segmenter) -> list[Garment]:
    """The photos among the pictures that visitors corrected; thumbnails are for `train.thumbnails`."""
    corrected = [(canonicalize(picture, segmenter), label) for picture, label in feedback_pictures(folder)]
    return [
        Garment(to_rgb(image.photo), image.mask.astype(np.uint8) * 255, None, None, target(feedback_target(label)))
        for image, label in corrected
        if image.is_photo
    ]


def outlier_garments(segmenter: Segmenter) -> list[Garment]:
    """Pictures without any garment, of the kinds that are for training, masked as such pictures will be."""
    pictures = np.concatenate(list(outliers(FITTED, OUTLIERS).values()))
    return [Garment(picture, segmenter(picture).astype(np.uint8) * 255, None, None, target(())) for picture in pictures]


def network(look: str = Recipe.look, dropout: float = Recipe.dropout) -> keras.Model:
    """EfficientNet-Lite with ten outputs: (n, 224, 224, 3) in [-1, 1] -> (n, 10) logits; 3.43 or 4.20 M parameters."""
    variant = LOOKS[look].variant
    inputs = keras.Input((VIEW_SIZE, VIEW_SIZE, 3))
    x = layers.GlobalAveragePooling2D()(features(inputs, variant)[-1])
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(len(LABELS), name=LOGITS)(x), name=variant.name)


class Batches(keras.utils.PyDataset):
    """Random views of garments; each batch depends on (seed, epoch, its index) alone."""

    def __init__(
        self,
        phones: Sequence[Garment],
        streets: Sequence[Garment],
        thumbnails: Pictures,
        recipe: Recipe,
        segment: Segment,
    ) -> None:
        super().__init__()
        self.thumbnails, self.recipe, self.segment = thumbnails, recipe, segment
        self.phones, self.streets = Source(phones, PHONE_BALANCE), Source(streets, STREET_BALANCE)
        self.tops = Source([garment for garment in phones if garment.is_top], PHONE_BALANCE)
        columns = [LABELS.index(label) for label in TOPS]
        self.miniatures = np.flatnonzero(thumbnails.targets[:, columns].any(axis=1))
        self.photos = [garment.photo for garment in phones]
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
        source = rng.choice(3, p=(THUMBNAILS, PHONES, STREETS))
        coarse = COARSE, COARSE_SIDE
        if source == 0:
            number = rng.integers(len(self.thumbnails))
            view, truth = _enlarged(self.thumbnails.images[number], rng), self.thumbnails.targets[number]
        elif source == 1:
            garment = self.phones.draw(rng)
            view, truth = self._lying(garment, rng), garment.target
        else:
            garment = self.streets.draw(rng)
            if garment.is_top and garment.is_main and rng.random() < DRESSED:
                if rng.random() < IN_MINIATURE:
                    number = rng.choice(self.miniatures)
                    top = miniature(self.thumbnails.images[number], self.thumbnails.targets[number], rng)
                    coarse = 1.0, MINIATURE_SIDE
                else:
                    top = self.tops.draw(rng)
                garment = dressed(garment, top, rng)
            view, truth = self._worn(garment, rng), garment.target
        return erase(coarsen(recolour(view, rng), rng, *coarse), rng), truth

    def _lying(self, garment: Garment, rng: np.random.Generator) -> UInt8Array:
        whole = 0, 0, garment.photo.shape[1], garment.photo.shape[0]
        box = garment.box if rng.random() < AROUND_GARMENT else whole
        framing = replace(FRAMING, quarter_turns=SHOE_TURNS) if garment.is_shoe else FRAMING
        view, mask = _framed(dye(garment.photo, garment.mask, rng), garment.mask, box, framing, rng)
        if rng.random() < NEW_SURFACE:
            view = put_on(view, mask // 255, background(VIEW_SIZE, self.photos, rng))
        return _faded(view, mask, UNFADED["phone"], rng)

    def _worn(self, garment: Garment, rng: np.random.Generator) -> UInt8Array:
        photo, mask = dye(garment.photo, garment.mask, rng), garment.mask
        alone = garment.is_sold_alone and rng.random() < ALONE
        if not alone and garment.figure is not None and rng.random() < ON_WHITE:
            photo = put_on(photo, garment.figure // 255, np.full_like(photo, rng.integers(235, 256)))
        if not alone and rng.random() < FOUND_MASK:
            mask = found_mask(photo, mask, rng.uniform(*CROP_MARGIN), self.segment)
        view, mask = _framed(photo, mask, box_of(mask), FRAMING, rng)
        if alone:
            view = put_on(view, mask // 255, background(VIEW_SIZE, self.photos, rng))
        # with all its surroundings a shirt under a coat looks as the coat does
        return _faded(view, mask, UNFADED["street"] if garment.is_main else 0.0, rng)


def found_mask(photo: UInt8Array, mask: UInt8Array, margin: float, segment: Segment) -> UInt8Array:
    """What the segmentation marks in a crop around the garment, where it is that garment; else the true mask."""
    around = widened(box_of(mask), margin)
    found = np.zeros_like(mask)
    found[around] = segment(photo[around]) * np.uint8(255)
    return found if iou(found > 0, mask > 0) >= RIGHT else mask


def miniature(thumbnail: UInt8Array, accepted: Float32Array, rng: np.random.Generator) -> Garment:
    """A Fashion-MNIST image as a garment that can be drawn over another one."""
    picture = _shop_picture(thumbnail, rng)
    mask = (picture.min(axis=2) < 255 - PLAIN_DISTANCE).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mask, outlines, -1, (255,), cv2.FILLED)  # what is white inside belongs to it
    pixel = VIEW_SIZE // (SIZE + 2 * BORDER)  # the outermost is half white
    return Garment(picture, cv2.erode(mask, np.ones((pixel, pixel))).astype(np.uint8), None, None, accepted)


def _enlarged(thumbnail: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    view = _shop_picture(thumbnail, rng)
    return frame([(view, cv2.INTER_LINEAR)], (0, 0, VIEW_SIZE, VIEW_SIZE), VIEW_SIZE, FRAMING, rng)[0]


def _shop_picture(thumbnail: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """A Fashion-MNIST image as a shop's picture: dark, or of one colour, on white; (224, 224, 3)."""
    bordered = np.pad(~thumbnail, BORDER, constant_values=255)
    large = cv2.resize(bordered, (VIEW_SIZE, VIEW_SIZE), interpolation=cv2.INTER_CUBIC)
    darkest = rng.uniform(0, 120, 3) if rng.random() < TONED else np.zeros(3)
    return (darkest + large[..., np.newaxis] / 255 * (255 - darkest)).astype(np.uint8)


def _framed(
    photo: UInt8Array, mask: UInt8Array, box: tuple[int, int, int, int], framing: Framing, rng: np.random.Generator
) -> list[UInt8Array]:
    if rng.random() < CHANGED_MASK:
        change = cv2.dilate if rng.random() < 0.6 else cv2.erode
        side = int(rng.integers(*MASK_CHANGE))
        mask = change(mask, np.ones((side, side), np.uint8)).astype(np.uint8)
    return frame([(photo, cv2.INTER_LINEAR), (mask, cv2.INTER_LINEAR)], box, VIEW_SIZE, framing, rng)


def _faded(view: UInt8Array, mask: UInt8Array, unfaded: float, rng: np.random.Generator) -> UInt8Array:
    return view if rng.random() < unfaded else fade(view, mask, rng.uniform(*FADING))


def fit(
    recipe: Recipe,
    phones: Sequence[Garment],
    streets: Sequence[Garment],
    others: Sequence[Garment],
    thumbnails: Pictures,
    segment: Segment,
    run: Path,
    *,
    initial: Path | None = None,
    command: str = "",
) -> None:
    """Train to the recipe's end, and keep the weights; `others` are pictures without a garment.

    Starts from ImageNet's weights, from those of `initial`, a finished run or a bundle, or from where the run folder stopped.
    """
    look = LOOKS[recipe.look]
    config = {
        "recipe": dataclasses.asdict(recipe),
        "data": {
            "phone photos": len(phones),
            "street garments": len(streets),
            "without a garment": len(others),
            "fashion-mnist": len(thumbnails),
        },
        "command": command,
    } | descent([] if initial is None else [(initial, 1.0)], look.form)
    if not open_run(run, config):
        return
    keras.utils.set_random_seed(recipe.seed)
    model = network(recipe.look, recipe.dropout)
    if initial is None:
        load_imagenet_weights(model, look.variant)
    else:
        model.load_weights(weights_of(initial, look.form))
    freeze(model, recipe.frozen_blocks)
    optimizer = keras.optimizers.AdamW(
        OneCycle(recipe.learning_rate, recipe.epochs * recipe.batches),
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=recipe.averaging,
    )
    model.compile(optimizer, SetCrossEntropy(recipe.label_smoothing), jit_compile=False)
    batches = Batches([*phones, *others], streets, thumbnails, recipe, segment)
    finish(run, model, batches, recipe.epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of this run")
    parser.add_argument("--segmentation", type=Path, required=True, help="a finished run of train.segmentation, or a bundle")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the phone photos (photos.csv, images/)")
    parser.add_argument("--street", type=Path, required=True, help="folder of the street photos (labels.json, photos/, masks/)")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--feedback", type=Path, help="folder of a journal with visitors' corrections")
    parser.add_argument("--initial", type=Path, help="a finished run of this network, or a bundle, to start from")
    parser.add_argument("--look", choices=list(LOOKS), default=Recipe.look, help="which of the two networks")
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--batches", type=int, default=Recipe.batches, help="to an epoch")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument(
        "--refit", action="store_true", help="learn from the validation street photos too: the last run, when all is chosen"
    )
    arguments = parser.parse_args()
    splits: tuple[Split, ...] = ("training", "validation") if arguments.refit else ("training",)
    streets = [garment for split in splits for garment in street_garments(arguments.street, split, smallest=SMALLEST)]
    segmenter = Segmenter(arguments.segmentation / SEGMENTATION_MODEL)
    phones = [phone_garment(phone, segmenter) for phone in phone_photos(arguments.photos, "training")]
    corrected = feedback_garments(arguments.feedback, segmenter) if arguments.feedback else []
    fit(
        Recipe(
            epochs=arguments.epochs,
            batches=arguments.batches,
            learning_rate=arguments.learning_rate,
            look=arguments.look,
            seed=arguments.seed,
        ),
        phones + corrected,
        [worn_garment(street) for street in streets],
        outlier_garments(segmenter),
        load_fashion_mnist(arguments.data).training,
        segmenter,
        arguments.run,
        initial=arguments.initial,
        command=typed_command("train.photos", parser, arguments),
    )


if __name__ == "__main__":
    main()
