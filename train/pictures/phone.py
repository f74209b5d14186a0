"""Phone photos of single garments, from the Clothing dataset: a folder with photos.csv and images/. A group is a sender."""

import csv
from functools import lru_cache
from pathlib import Path

from train.pictures.rows import Row
from train.pictures.splits import Split, split_of
from train.pictures.targets import SHOES

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


def rows(folder: Path, split: Split) -> list[Row]:
    """The photos of a split; splits are by sender: photos of one sender share room, floor and light.

    A photo labelled "Shoes" accepts the one kind that it shows, where somebody has looked.
    """
    found = []
    with (folder / "photos.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] in PHOTO_LABELS and split_of(row["sender_id"]) == split:
                kind = shoe_kinds().get(row["image"])
                accepted = (kind,) if kind else PHOTO_LABELS[row["label"]]
                found.append(Row(folder / "images" / f"{row['image']}.jpg", row["sender_id"], row["label"], accepted))
    return found


@lru_cache(maxsize=1)
def shoe_kinds() -> dict[str, str]:
    """For the training photos labelled "Shoes" whose kind is plain to see, by eye: their class (shoes.csv beside this file)."""
    with (Path(__file__).parent / "shoes.csv").open(newline="") as file:
        return {row["image"]: row["label"] for row in csv.DictReader(file)}
