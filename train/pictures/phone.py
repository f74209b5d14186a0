"""Phone photos of single garments, from the Clothing dataset."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion_classifier.images import load_image, to_rgb
from train.pictures.splits import Split, split_of
from train.pictures.targets import SHOES

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

PHOTO_LABELS: dict[str, tuple[str, ...]] = {
    "T-Shirt": ("T-shirt/top",),
    "Polo": ("T-shirt/top",),
    "Undershirt": ("T-shirt/top",),
    "Top": ("T-shirt/top",),
    "Longsleeve": ("Pullover",),
    "Hoodie": ("Pullover",),
    "Shirt": ("Shirt",),
    "Blouse": ("Shirt",),
    "Outwear": ("Coat",),
    "Blazer": ("Coat",),
    "Pants": ("Trouser",),
    "Dress": ("Dress",),
    "Shoes": SHOES,
    "Shorts": (),
    "Skirt": (),
    "Hat": (),
    "Body": (),
    "Other": (),
}
"""The Clothing dataset's labels as sets of ours. "Not sure" and "Skip" are nobody's label and are left out."""


def photo_rows(folder: Path, split: Split) -> list[dict[str, str]]:
    """The rows of photos.csv whose sender is in the split and whose label says something."""
    with (folder / "photos.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["label"] in PHOTO_LABELS and split_of(row["sender_id"]) == split]


@dataclass(frozen=True, eq=False)
class PhonePhoto:
    """A phone photo of a single garment.

    Attributes:
        name: Its file name without suffix.
        sender: Who took it.
        label: One of `PHOTO_LABELS`.
        photo: (H, W, 3) uint8 RGB.
    """

    name: str
    sender: str
    label: str
    photo: UInt8Array

    @property
    def accepted(self) -> tuple[str, ...]:
        """The acceptable classes: which shoe it is, where somebody has looked."""
        kind = shoe_kinds().get(self.name)
        return (kind,) if kind else PHOTO_LABELS[self.label]


@lru_cache(maxsize=1)
def shoe_kinds() -> dict[str, str]:
    """For the training photos labelled "Shoes" whose kind is plain to see, by eye: their class (shoes.csv beside this file)."""
    with (Path(__file__).parent / "shoes.csv").open(newline="") as file:
        return {row["image"]: row["label"] for row in csv.DictReader(file)}


def phone_photos(folder: Path, split: Split) -> Iterator[PhonePhoto]:
    """The phone photos of a split.

    Args:
        folder: Holds photos.csv and images/.
        split: Splits are by sender: photos of one sender share room, floor and light.
    """
    for row in photo_rows(folder, split):
        photo = to_rgb(load_image(folder / "images" / f"{row['image']}.jpg"))
        yield PhonePhoto(row["image"], row["sender_id"], row["label"], photo)
