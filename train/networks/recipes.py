"""How the networks are trained: what decides the outcome of a run, but for the data. Loads nothing that takes seconds."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from fashion_classifier.manifest import FormName
from train.pictures.photo_augmentation import Changes, Framing


@dataclass(frozen=True)
class Recipe:
    """Of the networks for thumbnails."""

    architecture: str
    epochs: int
    batch_size: int
    optimizer: Literal["adam", "sgd"]  # sgd: Nesterov 0.9, one cycle
    learning_rate: float  # the peak, where a schedule is used
    weight_decay: float = 0.0  # decoupled: w -= learning rate * weight decay * w
    label_smoothing: float = 0.0
    augmentation: bool = False
    outliers: int = 0  # pictures without a garment, of each kind that is trained on
    easy_share: float = 1.0  # of the pictures that the initial network finds easy, so many are seen an epoch
    precision: str = "float32"
    seed: int = 0


RESNET = Recipe(
    "resnet",
    epochs=16,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=2e-3,
    label_smoothing=0.05,
    augmentation=True,
)
RECIPES: dict[str, Recipe] = {
    "ann": Recipe("ann", epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3),
    "cnn": Recipe("cnn", epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3),
    "resnet": RESNET,
    "resnet-continued": dataclasses.replace(RESNET, epochs=40, learning_rate=0.06, outliers=400, easy_share=0.3),
}


@dataclass(frozen=True)
class OrientationRecipe:
    """Of the network that turns thumbnails upright."""

    epochs: int = 16
    batch_size: int = 256
    learning_rate: float = 3e-3  # the peak of one cycle, AdamW
    weight_decay: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class SegmentationRecipe:
    """Of the network that finds the garment that is meant. Shares are probabilities in [0, 1]."""

    epochs: int = 24
    batches: int = 100  # an epoch
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0

    sources: tuple[float, float, float] = (0.62, 0.28, 0.1)  # shares of the views: street, phone, shop
    whole: float = 0.25  # of the street views show the whole photo
    around_one: float = 0.6  # of them are framed around one garment, the others anywhere
    cropped: float = 0.6  # of those framed around one are cropped to its box and a margin, as callers crop
    crop_margin: tuple[float, float] = (0.03, 0.3)  # of that crop, of the longer side of the box
    hinted: tuple[float, float, float] = (0.5, 0.15, 0.15)  # of each source's views have a point on the garment
    smallest: float = 0.004  # share of a street photo that a garment needs to be meant
    claim: float = 0.25  # of the largest garment's weighted area, from which on one further out comes before it
    centre_width: float = 0.55  # standard deviation of the Gaussian that weighs areas, in halves of the view's side
    cut_out: tuple[float, float, float] = (0.45, 0.25, 0.5)  # of each source's views are put on another surface
    alone: float = 0.25  # of the street views put on another surface show one garment only
    changes: Changes = Changes()

    framed_whole: Framing = Framing((0.9, 1.1), shift=0.05, rotation=5, aspect=1.3, quarter_turns=0)
    framed_anywhere: Framing = Framing((0.3, 1.0), shift=0.3, rotation=10, aspect=2.0, quarter_turns=0)
    framed_around: Framing = Framing((1.0, 1.7), shift=0.12, rotation=10, aspect=1.3, quarter_turns=0)
    framed_crop: Framing = Framing((1.0, 1.0), shift=0.02, rotation=3, aspect=1.05, quarter_turns=0)
    framed_single: Framing = Framing((0.75, 1.05), shift=0.08, rotation=15, aspect=1.4, quarter_turns=0.3)

    believable: tuple[float, float] = (0.06, 0.75)  # share of a photo that its one garment's mask must cover to be learnt from
    at_border: float = 0.3  # share of the photo's border that it may cover
    in_one_part: float = 0.45  # share of it that its largest part must hold
    edge: int = 3  # px that are unknown along such a mask, two more in photos larger than the network's view


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
class PhotoRecipe:
    """Of the network that names the garment in a photo. Shares are probabilities in [0, 1]."""

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
    form: FormName = "garment"  # how a photo is rendered for this network (fashion_classifier.forms)
    architecture: str = "efficientnet-lite1"

    sources: dict[str, Views] = dataclasses.field(default_factory=lambda: dict(SOURCES))
    changes: Changes = Changes()
    changed_mask: float = 0.4  # of the masks are too large or too small, as found ones may be
    mask_change: tuple[int, int] = (3, 8)  # px
    unmasked: float = 0.06  # of the masks say nothing
    shrunk_side: tuple[int, int] = (70, 110)  # px
    toned: float = 0.7  # of Fashion-MNIST's images have a colour in place of black
    outliers: int = 60  # of each kind of picture without a garment
    smallest: float = 0.004  # share of a street photo that a garment needs to be learnt
