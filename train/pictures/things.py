"""Phone photos of what is no garment: groceries, from GroceryStoreDataset (M. Klasson, MIT licence).

Expects a folder with things.csv (image, kind) and images/. A group is a kind.
"""

import csv
from pathlib import Path

from train.pictures.rows import Row
from train.pictures.splits import Split, split_of


def rows(folder: Path, split: Split) -> list[Row]:
    """The photos of a split; splits are by kind."""
    with (folder / "things.csv").open(newline="") as file:
        listed = [row for row in csv.DictReader(file) if split_of(row["kind"]) == split]
    return [Row(folder / "images" / f"{row['image']}.jpg", row["kind"], row["kind"], ()) for row in listed]
