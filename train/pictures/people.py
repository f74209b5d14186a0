"""Photos of people in the street whose clothes are listed, without masks, from Clothing Co-Parsing.

Expects a folder with tags.csv (photo, tags) and photos/, and crops.csv (image, original_label, class) and crops/: parts of
these photos around one garment, whose class somebody has looked at.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from train.pictures.rows import Row
from train.pictures.splits import Split, split_of
from train.pictures.street import street_run

UNDECIDED = "?"  # in the column class of crops.csv
OUTERWEAR = ("blazer", "cape", "coat", "jacket")
TOPS = {
    "blouse": "Shirt",
    "shirt": "Shirt",
    "hoodie": "Pullover",
    "sweater": "Pullover",
    "sweatshirt": "Pullover",
    "t-shirt": "T-shirt/top",
    "top": "T-shirt/top",
}


def upper_garment(worn: Iterable[str]) -> tuple[str, ...]:
    """The classes that name what a person wears above the waist, outermost; none where the tags do not tell.

    A coat covers what is below it. A cardigan is a pullover to some and a coat to others. "jumper" is left out: here it is
    mostly a jumpsuit. Of several tops the tags do not say which one is seen.
    """
    tags = set(worn)
    if tags.intersection(OUTERWEAR):
        return ("Coat",)
    if tags.intersection(("suit", "vest", "jumper", "romper", "bodysuit")):
        return ()
    tops = {TOPS[tag] for tag in tags if tag in TOPS}
    if "cardigan" in tags:
        return tuple(sorted({"Pullover", "Coat"} | tops))
    if "dress" in tags:
        return tuple(sorted({"Dress"} | tops))
    return tuple(sorted(tops))


def rows(folder: Path, split: Split) -> list[Row]:
    """Whole photos, named by the upper garment; splits are by run, as those of the photos with masks are."""
    found = []
    with (folder / "tags.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if split_of(street_run(row["photo"])) == split and (accepted := upper_garment(row["tags"].split())):
                path = folder / "photos" / f"{row['photo']}.jpg"
                found.append(Row(path, street_run(row["photo"]), row["tags"], accepted))
    return found


def crop_rows(folder: Path, split: Split) -> list[Row]:
    """The parts around one garment whose class is plain, likewise."""
    found = []
    with (folder / "crops.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            run = street_run(row["image"].partition("_")[0])
            if split_of(run) == split and row["class"] != UNDECIDED:
                found.append(Row(folder / "crops" / row["image"], run, row["original_label"], (row["class"],)))
    return found
