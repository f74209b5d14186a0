"""Anybody's own pictures: a folder with a list of them.

Expects pictures.csv with the columns image (a path below the folder), group (what must not be torn apart: a person, a room, a
product; empty for a picture by itself) and class (one of the ten names, several with a | between them, or none).
"""

import csv
from pathlib import Path

from fashion_classifier.labels import LABELS
from train.pictures.rows import Row
from train.pictures.splits import Split, split_of

LIST = "pictures.csv"
COLUMNS = ("image", "group", "class")
NONE = "none"  # of the ten


def rows(folder: Path, split: Split) -> list[Row]:
    """The pictures of a split; splits are by group.

    Raises:
        FileNotFoundError: The folder has no pictures.csv.
        ValueError: A column is missing, or a class is none of the ten.
    """
    path = folder / LIST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {LIST}; it needs one with the columns {', '.join(COLUMNS)}.")
    found = []
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin with a byte order mark
        reader = csv.DictReader(file)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise ValueError(
                f"{path} lacks the column {missing[0]}; it needs {', '.join(COLUMNS)}, and has {reader.fieldnames}."
            )
        for number, row in enumerate(reader, 2):
            names = tuple(name.strip() for name in row["class"].split("|"))
            accepted = () if names == (NONE,) else names
            if unknown := [name for name in accepted if name not in LABELS]:
                raise ValueError(
                    f"{path}, line {number}: the class {unknown[0]!r} is none of the ten; allowed are {', '.join(LABELS)}, "
                    f"several of them with a | between them, and {NONE}."
                )
            group = row["group"] or row["image"]
            if split_of(group) == split:
                found.append(Row(folder / row["image"], group, row["class"], accepted))
    return found
