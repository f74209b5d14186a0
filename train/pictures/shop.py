"""Products of a shop's catalogue, most of them worn by a model in front of white.

Expects a folder with shop.csv (image, group, type, class) and images/, as drawn from "Fashion Product Images" (P. Aggarwal,
Kaggle). A group is a title: products of one title are often one picture in several colours.
"""

import csv
from pathlib import Path

from train.pictures.rows import Row
from train.pictures.splits import Split, split_of
from train.pictures.targets import CLOSED_SHOES

NONE = "none"  # of the ten, in the column class
UNDECIDED = "?"  # in the column class: the article type decides

LONG_TOPS = ("T-shirt/top", "Dress", "Shirt")

ARTICLE_TYPES: dict[str, tuple[str, ...]] = {
    "Booties": ("Ankle boot",),
    "Capris": ("Trouser",),  # two legs below the knee; Fashion-MNIST has such trousers, and no shorts
    "Churidar": ("Trouser",),
    "Patiala": ("Trouser",),
    "Heels": ("Sandal",),  # nearly all are open, and Fashion-MNIST files open shoes with heels under sandals
    "Flats": ("Sandal", "Sneaker"),  # slides and ballerinas: open or low, never a boot
    "Formal Shoes": CLOSED_SHOES,  # closed, some above the ankle
    "Innerwear Vests": ("T-shirt/top",),  # as undershirts are
    "Kurtas": LONG_TOPS,  # tunics to the knee: a dress by length, a shirt by collar and placket
    "Kurtis": LONG_TOPS,
    "Tunics": LONG_TOPS,
}
"""Article types that are not one of the ten to the letter, as sets of what a careful person may call them.

Left out, because no set would be true: sarees and shrugs are draped, tracksuits and jumpsuits are two garments in one,
waistcoats are neither coat nor pullover, and "nightdresses" are pyjamas as often as dresses.
"""


def rows(folder: Path, split: Split) -> list[Row]:
    """The products of a split whose class is known or decided above; splits are by group."""
    with (folder / "shop.csv").open(newline="") as file:
        listed = [row for row in csv.DictReader(file) if split_of(row["group"]) == split]
    return [
        Row(folder / "images" / f"{row['image']}.jpg", row["group"], row["type"], accepted)
        for row in listed
        if (accepted := _accepted(row["class"], row["type"])) is not None
    ]


def _accepted(label: str, article_type: str) -> tuple[str, ...] | None:
    if label == UNDECIDED:
        return ARTICLE_TYPES.get(article_type)
    return () if label == NONE else (label,)
