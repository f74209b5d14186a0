"""Anybody's own pictures: a folder with a list of them, or a Parquet file that holds them.

Expects pictures.csv with the columns image (a path below the folder), group (what must not be torn apart: a person, a room, a
product; empty for a picture by itself) and class (one of the ten names, several with a | between them, or none). In a Parquet
file image is the picture itself: its bytes, or the Hub's struct of bytes and path.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from fashion_classifier.labels import LABELS
from train.pictures.rows import Row
from train.pictures.splits import Split, split_of

LIST = "pictures.csv"
COLUMNS = ("image", "group", "class")
NONE = "none"  # of the ten
HELD = 64  # rows of a Parquet file that are read at a time


def rows(folder: Path, split: Split) -> list[Row]:
    """The pictures of a split; splits are by group.

    Raises:
        FileNotFoundError: The folder has no pictures.csv, or the file is not there.
        ValueError: A column is missing, or a class is none of the ten.
    """
    every = _stored(folder) if folder.suffix == ".parquet" else _listed(folder)
    return [row for row in every if split_of(row.group) == split]


def _listed(folder: Path) -> Iterator[Row]:
    path = folder / LIST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {LIST}; it needs one with the columns {', '.join(COLUMNS)}.")
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin with a byte order mark
        reader = csv.DictReader(file)
        _check_columns(path, list(reader.fieldnames or ()))
        for number, row in enumerate(reader, 2):
            accepted = _accepted(row["class"], f"{path}, line {number}")
            yield Row(folder / row["image"], row["group"] or row["image"], row["class"], accepted)


def _stored(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq  # here alone: of the extra "catalogue"

    with pq.ParquetFile(path) as file:
        _check_columns(path, file.schema_arrow.names)
        batches = file.iter_batches(HELD, columns=list(COLUMNS))
        for number, row in enumerate(row for batch in batches for row in batch.to_pylist()):
            name, content = f"{path.stem}#{number}", row["image"]
            group = row["group"] or name
            accepted = _accepted(row["class"], f"{path}, row {number}")
            content = content["bytes"] if isinstance(content, dict) else content
            yield Row(path / name, group, row["class"], accepted, content)


def _check_columns(path: Path, names: list[str]) -> None:
    if missing := [column for column in COLUMNS if column not in names]:
        raise ValueError(f"{path} lacks the column {missing[0]}; it needs {', '.join(COLUMNS)}, and has {names}.")


def _accepted(text: str, place: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split("|"))
    accepted = () if names == (NONE,) else names
    if unknown := [name for name in accepted if name not in LABELS]:
        raise ValueError(
            f"{place}: the class {unknown[0]!r} is none of the ten; allowed are {', '.join(LABELS)}, several of them with a | "
            f"between them, and {NONE}."
        )
    return accepted
