"""SOURCE -> the plan: the parts of a collection, in an order that depends on nothing but the collection."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSelector, FileType

from fashion_classifier.catalogue.files import (
    ARROW_ERRORS,
    SourceError,
    absolute,
    file_system,
    first_line,
    is_address,
    is_picture,
    shown,
)
from fashion_classifier.catalogue.parts import Listed, Part, Shard, Stored, open_parquet

ROWS = 500  # of a part: what a worker takes at a time, some seconds of photos, and the most that it loses when it is killed
PICTURE_COLUMNS = ("image", "picture", "img", "bytes")  # in this order, of a Parquet file
PATH_COLUMNS = ("path", "image", "picture", "file", "file_name", "filename")  # likewise, of a list
LISTS = {".csv": ",", ".tsv": "\t"}
ONE_A_LINE = (".txt", ".lst")
TARS = (".tar", ".tar.gz", ".tgz")

Source = str | Path | Iterable[str | Path]


def plan(source: Source, *, rows: int = ROWS, column: str | None = None) -> list[Part]:
    """The parts of a source.

    Args:
        source: A folder, with all that is below it: pictures, Parquet files and tar files; one such file; a CSV file with a
            column of paths, or a text file with a path a line; or paths. Paths in a list are relative to its folder.
            Addresses of PyArrow's file systems do as well: s3://bucket/key, gs://bucket/key, hf://datasets/owner/name.
        rows: Of a part at most. A tar file is always one.
        column: That holds the pictures or their paths; None for the first that is called as such columns are.

    Raises:
        SourceError: There is no picture, or a list or a Parquet file cannot be read.
    """
    if rows < 1:
        raise SourceError(f"A part has one row or more, received {rows}.")
    parts = list(_parts(source, rows, column))
    if not parts:
        raise SourceError(f"{_name(source)} holds no pictures: no image files, Parquet files or tar files, and no list of any.")
    return parts


def _name(source: Source) -> str:
    return repr(shown(str(source))) if isinstance(source, str | Path) else "The list"


def _parts(source: Source, rows: int, column: str | None) -> Iterator[Part]:
    if not isinstance(source, str | Path):
        yield from _listed("", [absolute(path) for path in source], {}, rows)
        return
    place = absolute(source)
    try:
        yield from _in_place(place, rows, column)
    except ARROW_ERRORS as error:
        raise SourceError(f"{shown(place)!r} cannot be read: {first_line(error)}") from error


def _in_place(place: str, rows: int, column: str | None) -> Iterator[Part]:
    system, path = file_system(place)
    given = system.get_file_info(path)
    if given.type == FileType.NotFound:
        raise SourceError(f"{shown(place)!r} is not there.")
    if given.type == FileType.File and (suffix := PurePosixPath(path).suffix.lower()) in (*LISTS, *ONE_A_LINE):
        yield from _from_list(place, path, suffix, rows, column)
        return
    files = [given] if given.type == FileType.File else system.get_file_info(FileSelector(path, recursive=True))
    kept = [file for file in files if file.type == FileType.File and not _is_hidden(file.path[len(path) :])]
    for kind, found in groupby(sorted(kept, key=lambda file: (_kind(file.path), file.path)), lambda file: _kind(file.path)):
        yield from _of_kind(kind, place, list(found), rows, column)


def _is_hidden(path: str) -> bool:
    """Also what begins with an underscore: so files are called that go with Parquet files and are no part of them."""
    return any(name.startswith((".", "_")) for name in path.split("/"))


def _kind(path: str) -> str:
    if path.lower().endswith(TARS):
        return "tar"
    return "parquet" if path.lower().endswith(".parquet") else "picture" if is_picture(path) else "other"


def _of_kind(kind: str, place: str, files: Sequence[Any], rows: int, column: str | None) -> Iterator[Part]:
    if kind == "picture":
        yield from _listed(place, [file.path for file in files], {}, rows)
    elif kind == "parquet":
        for file in files:
            yield from _from_parquet(place, file.path, rows, column)
    elif kind == "tar":
        yield from (Shard(place, file.path, file.size) for file in files)


def _listed(place: str, paths: Sequence[str], further: dict[str, list[str]], rows: int) -> Iterator[Listed]:
    for start in range(0, len(paths), rows):
        piece = slice(start, start + rows)
        yield Listed(place, tuple(paths[piece]), tuple((name, tuple(values[piece])) for name, values in further.items()))


def _from_list(place: str, path: str, suffix: str, rows: int, column: str | None) -> Iterator[Listed]:
    with file_system(place)[0].open_input_stream(path) as file:
        try:
            text = file.read().decode("utf-8-sig")  # spreadsheets begin with a byte order mark
        except UnicodeDecodeError as error:
            raise SourceError(f"{shown(place)!r} is not in UTF-8: {error}.") from error
    if suffix in ONE_A_LINE:
        columns = {"path": [line.strip() for line in text.splitlines() if line.strip()]}
    else:
        columns = _columns(csv.DictReader(io.StringIO(text, newline=""), delimiter=LISTS[suffix]))
    folder = PurePosixPath(path).parent
    given = columns[_chosen(place, column, columns, PATH_COLUMNS)]
    paths = [each if is_address(each) else str(folder / each) for each in given]
    yield from _listed(place, paths, columns if suffix in LISTS else {}, rows)


def _columns(table: "csv.DictReader[str]") -> dict[str, list[str]]:
    """A table's columns as they are written: 007 stays 007."""
    rows = list(table)
    return {name: [row[name] or "" for row in rows] for name in table.fieldnames or ()}


def _from_parquet(place: str, path: str, rows: int, column: str | None) -> Iterator[Stored]:
    try:
        with open_parquet(place, path) as file:
            schema, total = file.schema_arrow, file.metadata.num_rows
    except (ValueError, *ARROW_ERRORS) as error:
        raise SourceError(f"{shown(place, path)!r} cannot be read: {first_line(error)}") from error
    holds = [name for name in schema.names if _may_hold_pictures(schema.field(name).type)]
    chosen = _chosen(shown(place, path), column, schema.names if column else holds, PICTURE_COLUMNS)
    for first in range(0, total, rows):
        yield Stored(place, path, chosen, first, min(rows, total - first))


def _may_hold_pictures(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else None
    return kind in (pa.binary(), pa.large_binary())


def _chosen(place: str, wanted: str | None, names: Iterable[str], usual: tuple[str, ...]) -> str:
    """The column that holds the pictures: the one that is wanted, the first that is called so, or the only one."""
    names = list(names)
    candidates = [wanted] if wanted else [*usual, *(names if len(names) == 1 else ())]
    if found := next((name for name in candidates if name in names), None):
        return found
    wanted_ones = " or ".join(map(repr, candidates))
    raise SourceError(f"{shown(place)!r} has no column {wanted_ones} of pictures; name one of those that it has, {names}.")
