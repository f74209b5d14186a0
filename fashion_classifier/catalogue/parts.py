"""Pieces of a collection that can be read apart from each other, anywhere and again.

A part always holds the same pictures in the same order. That is why a job can be stopped and go on, and why its result does
not depend on the number of workers.
"""

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_classifier.catalogue.files import ARROW_ERRORS, file_system, first_line, is_address, is_local, is_picture, shown
from fashion_classifier.errors import InvalidImageError
from fashion_classifier.images import ACCEPTED, MAX_BYTES, Picture

BATCH = 32  # pictures that are held at a time
BUFFER = 2**20  # bytes that are read ahead of a Parquet column: without it, all of a row group's
TEXT = 2**16  # bytes of a text that travels along from a tar file

Unread = InvalidImageError  # in the place of a picture that could not be had


@dataclass(frozen=True)
class Batch:
    """Some pictures of a part.

    Attributes:
        sources: What each is called: its path or address, or the file that holds it and its place there after a #.
        pictures: For each what `predict` takes, or why there is none.
        further: The further columns of the source by name, arrays of PyArrow.
    """

    sources: list[str]
    pictures: list[Picture | Unread]
    further: dict[str, Any] = field(repr=False)


class Part(Protocol):
    """Pictures that are named together."""

    @property
    def rows(self) -> int | None:
        """How many, where that is known before they are read."""

    def read(self) -> Iterator[Batch]:
        """The pictures in their order."""


@dataclass(frozen=True)
class Listed:
    """Pictures that are files of their own.

    Attributes:
        place: Whose file system the paths are in.
        paths: Of the pictures; an address is in a file system of its own.
        further: Names and values of the further columns.
    """

    place: str
    paths: tuple[str, ...]
    further: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def rows(self) -> int:
        return len(self.paths)

    def read(self) -> Iterator[Batch]:
        for start in range(0, len(self.paths), BATCH):
            piece = slice(start, start + BATCH)
            paths = self.paths[piece]
            further = {name: pa.array(values[piece], pa.string()) for name, values in self.further}
            yield Batch([shown(self.place, path) for path in paths], [_opened(self.place, path) for path in paths], further)


@dataclass(frozen=True)
class Stored:
    """Rows of a Parquet file.

    Attributes:
        place: Whose file system the file is in.
        path: Of the file.
        column: Holds the pictures: bytes, the Hub's struct of bytes and path, or paths.
        first: Row that it begins with.
        rows: How many.
    """

    place: str
    path: str
    column: str
    first: int
    rows: int

    def read(self) -> Iterator[Batch]:
        end = self.first + self.rows
        with open_parquet(self.place, self.path) as file:
            spans = [(group, start) for group, start, stop in _row_groups(file) if start < end and stop > self.first]
            position = spans[0][1]
            try:
                for batch in file.iter_batches(BATCH, row_groups=[group for group, _ in spans]):
                    begin = max(self.first - position, 0)
                    if begin < batch.num_rows:
                        yield self._batch(batch.slice(begin, end - position - begin), position + begin)
                    position += batch.num_rows
                    if position >= end:  # the row group may go on
                        return
            except ARROW_ERRORS as error:
                first = max(position, self.first)
                nulls = [pa.nulls(end - first, column.type) for column in file.schema_arrow]
                lost = self._batch(pa.record_batch(nulls, file.schema_arrow), first)
                problem = f"The file {shown(self.place, self.path)!r} is damaged from row {first} on: {first_line(error)}"
                yield replace(lost, pictures=[Unread(problem, ACCEPTED)] * (end - first))

    def _batch(self, rows: Any, first: int) -> Batch:
        name = shown(self.place, self.path)
        further = {column: rows.column(column) for column in rows.schema.names if column != self.column}
        values = rows.column(self.column)
        if pa.types.is_struct(values.type) and values.type.get_field_index("path") >= 0:
            further[f"{self.column}_path"] = values.field("path")
        folder = PurePosixPath(self.path).parent
        pictures = [_stored(value, self.place, folder) for value in values.to_pylist()]
        return Batch([f"{name}#{row}" for row in range(first, first + rows.num_rows)], pictures, further)


@dataclass(frozen=True)
class Shard:
    """A tar file in WebDataset's form: files that are called alike but for their ending are one sample.

    It is read from its beginning to its end, as such files are made for, and so is one part.

    Attributes:
        place: Whose file system the file is in.
        path: Of the file.
        size: Of the file, bytes.
    """

    place: str
    path: str
    size: int

    @property
    def rows(self) -> None:
        return None

    def read(self) -> Iterator[Batch]:
        samples = self._samples()
        while batch := list(islice(samples, BATCH)):
            keys, pictures, texts = zip(*batch, strict=True)
            further = {"key": pa.array(keys, pa.string()), "texts": pa.array(texts, pa.map_(pa.string(), pa.string()))}
            yield Batch([f"{shown(self.place, self.path)}#{key}" for key in keys], list(pictures), further)

    def _samples(self) -> Iterator[tuple[str, Picture | Unread, list[tuple[str, str]]]]:
        system, key = file_system(self.place)[0], ""
        try:
            with system.open_input_stream(self.path) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
                for key, members in groupby((member for member in tar if member.isfile()), lambda member: _key(member.name)):
                    yield key, *_sample(tar, members)
        except (tarfile.TarError, EOFError, zlib.error, *ARROW_ERRORS) as error:
            problem = f"The file {shown(self.place, self.path)!r} is damaged after this key: {first_line(error)}"
            yield key, Unread(problem, ACCEPTED), []


def open_parquet(place: str, path: str) -> Any:
    """A Parquet file, of which little is read ahead."""
    return pq.ParquetFile(path, filesystem=file_system(place)[0], pre_buffer=False, buffer_size=BUFFER)


def _row_groups(file: Any) -> Iterator[tuple[int, int, int]]:
    """Each row group's number, its first row, and the one after its last."""
    stop = 0
    for group in range(file.num_row_groups):
        start, stop = stop, stop + file.metadata.row_group(group).num_rows
        yield group, start, stop


class Remote:
    """A picture's file that is in no folder of this machine: opened by the process that reads it, when it does."""

    def __init__(self, place: str, path: str) -> None:
        """Takes whose file system the path is in; an address is in a file system of its own."""
        self._at = place, path
        self._stream: Any = None

    def __reduce__(self) -> tuple[type["Remote"], tuple[str, str]]:
        return type(self), self._at

    def read(self, size: int) -> bytes:
        """Raises `InvalidImageError` where the file, or its file system, cannot be read."""
        place, path = self._at
        try:
            if self._stream is None:
                system, path_there = file_system(path) if is_address(path) else (file_system(place)[0], path)
                self._stream = system.open_input_stream(path_there)
            return self._stream.read(size)  # type: ignore[no-any-return]
        except (ValueError, *ARROW_ERRORS) as error:
            raise Unread(f"Cannot read the file {shown(place, path)!r}: {first_line(error)}", ACCEPTED) from error


def _opened(place: str, path: str) -> Picture:
    """What `predict` takes for a path: a path, or a file where it is in no folder of this machine."""
    return path if is_local(place, path) else Remote(place, path)  # type: ignore[return-value]  # has a read()


def _stored(value: Any, place: str, folder: PurePosixPath) -> Picture | Unread:
    """What `predict` takes for a value of a Parquet file."""
    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
    if isinstance(value, str):
        return _opened(place, value if is_address(value) else str(folder / value))
    return Unread("The picture is null.", ACCEPTED) if value is None else value


def _key(name: str) -> str:
    """WebDataset's: the path up to the first dot of the file's name."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _sample(tar: tarfile.TarFile, members: Iterable[tarfile.TarInfo]) -> tuple[Picture | Unread, list[tuple[str, str]]]:
    """The picture of a sample, and its short texts by their endings."""
    picture: Picture | None = None
    texts, endings = [], []
    for member in members:
        ending = Path(member.name).name.partition(".")[2]
        endings.append(ending)
        file = tar.extractfile(member)
        if file is not None and picture is None and is_picture(member.name):
            picture = file.read(MAX_BYTES + 1)  # `predict` tells what has too many
        elif file is not None and member.size <= TEXT and not is_picture(member.name):
            texts.append((ending, file.read().decode(errors="replace")))
    problem = f"The sample holds no picture, only {', '.join(endings)}."
    return Unread(problem, ACCEPTED) if picture is None else picture, texts
