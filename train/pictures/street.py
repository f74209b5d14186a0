"""Photos of people in the street with a mask for each garment, from Clothing Co-Parsing."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier.masks import box_of, widened
from train.pictures.splits import Split, split_of
from train.pictures.targets import SHOES

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

MOST = 0.5  # share of what is worn in its box above which a garment is the main one there


STREET_LABELS: dict[str, tuple[str, ...]] = {
    "bag": ("Bag",),
    "purse": ("Bag",),
    "wallet": ("Bag",),
    "blazer": ("Coat",),
    "cape": ("Coat",),
    "coat": ("Coat",),
    "jacket": ("Coat",),
    "blouse": ("Shirt",),
    "shirt": ("Shirt",),
    "boots": ("Ankle boot",),
    "clogs": ("Sandal",),
    "wedges": ("Sandal",),
    "sandals": ("Sandal",),
    "sneakers": ("Sneaker",),
    "shoes": SHOES,
    "dress": ("Dress",),
    "hoodie": ("Pullover",),
    "jumper": ("Pullover",),
    "sweater": ("Pullover",),
    "sweatshirt": ("Pullover",),
    "jeans": ("Trouser",),
    "leggings": ("Trouser",),
    "pants": ("Trouser",),
    "t-shirt": ("T-shirt/top",),
    "top": ("T-shirt/top",),
    "hat": (),
    "shorts": (),
    "skirt": (),
    "scarf": (),
}
"""Clothing Co-Parsing's labels as sets of ours. Labels of parts, jewellery and the doubtful are left out."""

NO_GARMENT = (  # of Clothing Co-Parsing's labels; what is not named here is a garment
    *("null", "skin", "hair", "stockings", "tights", "socks"),
    *("accessories", "belt", "bracelet", "earrings", "glasses", "gloves", "necklace", "ring", "sunglasses", "tie", "watch"),
)


@lru_cache(maxsize=1)
def street_classes() -> dict[tuple[str, str], str]:
    """What the tops and shoes of the training and validation street photos are, by eye (street_classes.csv beside this file).

    (number of the photo, label) -> class. The labels of Clothing Co-Parsing call the same top blouse, top, T-shirt or
    sweater, and most shoes only "shoes". What is not plain to see is not listed: its label counts.
    """
    with (Path(__file__).parent / "street_classes.csv").open(newline="") as file:
        return {(row["photo"], row["label"]): row["class"] for row in csv.DictReader(file)}


@lru_cache(maxsize=1)
def street_by_eye() -> dict[tuple[str, str], str]:
    """What tops of the test street photos are, by eye, to measure the labels by (street_by_eye.csv beside this file).

    (number of the photo, label) -> class. All T-shirts, pullovers and shirts, 40 coats and 30 dresses were looked at in random
    order, outlined in their photos, with neither label nor any answer in view. What was not plain to see is not listed, nor are
    seven "dresses" that were plainly skirts.
    """
    with (Path(__file__).parent / "street_by_eye.csv").open(newline="") as file:
        return {(row["photo"], row["label"]): row["class"] for row in csv.DictReader(file)}


@dataclass(frozen=True, eq=False)
class StreetGarment:
    """A labelled garment of a street photo.

    Attributes:
        number: The photo's: its file name without suffix.
        label: One of `STREET_LABELS`.
        photo: (H, W, 3) uint8 RGB, the whole photo.
        mask: (H, W) bool, True on the garment.
        box: (left, top, width, height) of the mask, in pixels.
        share: How much of what is worn in the box it is, in (0, 1]: a shirt under an open coat is little of it.
    """

    number: str
    label: str
    photo: UInt8Array
    mask: npt.NDArray[np.bool_]
    box: tuple[int, int, int, int]
    share: float

    @property
    def accepted(self) -> tuple[str, ...]:
        """The acceptable classes, corrected where somebody has looked."""
        seen = street_classes().get((self.number, self.label))
        return (seen,) if seen else STREET_LABELS[self.label]

    @property
    def is_main(self) -> bool:
        """Whether it is most of what is worn in its box."""
        return self.share > MOST

    def crop(self, margin: float) -> tuple[UInt8Array, npt.NDArray[np.bool_]]:
        """Photo and mask within the box, widened on every side by `margin` times its longer side, up to the photo's edge."""
        rows, columns = widened(self.box, margin)
        return self.photo[rows, columns], self.mask[rows, columns]


def street_run(number: str) -> str:
    """What the split of a street photo is drawn by, its run of ten: neighbours in the numbering often show the same person."""
    return f"street {number[:-1]}"


@dataclass(frozen=True, eq=False)
class StreetPhoto:
    """A street photo with its garments.

    Attributes:
        number: Its file name without suffix.
        photo: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, index into `names`; 0 is the background.
        names: Clothing Co-Parsing's names.
    """

    number: str
    photo: UInt8Array
    labels: UInt8Array
    names: tuple[str, ...]

    def garment(self, value: int) -> StreetGarment:
        """What has this value in `labels`."""
        mask = self.labels == value
        box = box_of(mask)
        garments = [number for number, name in enumerate(self.names) if name not in NO_GARMENT]
        share = float(mask.sum() / np.isin(self.labels[widened(box, 0)], garments).sum())
        return StreetGarment(self.number, self.names[value], self.photo, mask, box, share)

    def garments(self, smallest: float) -> Iterator[StreetGarment]:
        """What has a label that is one of ours, or of none of ours; without what is below a share of the picture."""
        for value in np.unique(self.labels):
            if self.names[value] in STREET_LABELS and (self.labels == value).mean() >= smallest:
                yield self.garment(value)


def street_photos(folder: Path, split: Split) -> Iterator[StreetPhoto]:
    """The street photos of a split.

    Args:
        folder: Holds labels.json, photos/ and masks/.
        split: Splits are by `street_run`.
    """
    names = tuple(json.loads((folder / "labels.json").read_text()))
    for path in sorted((folder / "masks").glob("*.png")):
        if split_of(street_run(path.stem)) == split:
            photo = np.array(Image.open(folder / "photos" / f"{path.stem}.jpg").convert("RGB"))
            yield StreetPhoto(path.stem, photo, np.array(Image.open(path)), names)


def street_garments(folder: Path, split: Split, *, smallest: float) -> Iterator[StreetGarment]:
    """The labelled garments of a split's street photos, photo by photo; those below a share of the picture are left out."""
    for street in street_photos(folder, split):
        yield from street.garments(smallest)
