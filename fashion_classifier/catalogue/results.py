"""The answers: Parquet files in a folder, one for each part of the plan, each written at once or not at all.

What goes with them begins with an underscore, so that whatever reads the folder as one table passes over it.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector

from fashion_classifier.bundle import Bundle
from fashion_classifier.catalogue.files import ARROW_ERRORS, SourceError, file_system, first_line, shown
from fashion_classifier.catalogue.parts import Batch, Part, Unread
from fashion_classifier.errors import InvalidImageError
from fashion_classifier.images import Picture
from fashion_classifier.labels import LABELS

JOB = "_catalogue.json"  # what is named, by which model
PART = "part-"
GROUP = 2**22  # bytes of a row group from which on it is written: what the source's further columns may hold in memory
ANSWERS = pa.schema(
    [
        ("source", pa.string()),
        ("label", pa.string()),
        ("confidence", pa.float64()),
        ("uncertain", pa.bool_()),
        ("typicality", pa.float64()),
        ("probabilities", pa.struct([(label, pa.float64()) for label in LABELS])),
        ("box", pa.list_(pa.float64(), 4)),  # left, top, width and height, pixels of the upright picture
        ("model_version", pa.string()),
        ("model_commit", pa.string()),
        ("milliseconds", pa.float64()),
        ("error", pa.string()),
    ]
)

Name = Callable[[Picture], dict[str, Any]]  # what `Prediction.to_dict` says, or `InvalidImageError`


class OtherCatalogueError(SourceError):
    """The folder holds the answers of another job."""


def answered(part: Part, name: Name, model: Bundle) -> tuple[bytes, int]:
    """Name a part's pictures: the content of a Parquet file with a row for each, and their number.

    Columns of the source that are called as one of the answer's are, such as label, are called source_label then.
    """
    content, writer, rows = io.BytesIO(), None, 0
    tables = (_table(batch, [_answer(picture, name, model) for picture in batch.pictures]) for batch in part.read())
    for table in _together(tables):
        writer = writer or pq.ParquetWriter(content, table.schema, compression="zstd")
        writer.write_table(table)
        rows += table.num_rows
    writer = writer or pq.ParquetWriter(content, ANSWERS)
    writer.close()
    return content.getvalue(), rows


def _together(tables: Iterable[Any]) -> Iterator[Any]:
    """Tables in few that are large: each is a row group, and a group of few rows costs as much as one of many."""
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        if sum(each.nbytes for each in waiting) >= GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _table(batch: Batch, answers: list[dict[str, Any]]) -> Any:
    rows = [{"source": source} | answer for source, answer in zip(batch.sources, answers, strict=True)]
    table = pa.Table.from_pylist(rows, ANSWERS)
    for name, values in batch.further.items():
        table = table.append_column(f"source_{name}" if name in ANSWERS.names else name, values)
    return table


def _answer(picture: Picture | Unread, name: Name, model: Bundle) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        if isinstance(picture, Unread):
            raise picture
        answer = name(picture)
    except InvalidImageError as error:
        answer = {"model_version": model.manifest.version, "model_commit": model.commit, "error": error.problem}
    return answer | {"milliseconds": round(1000 * (time.perf_counter() - begun), 2)}


@dataclass(frozen=True)
class Results:
    """The folder that the answers are in."""

    place: str

    def open(self, parts: Sequence[Part], model: Bundle) -> None:
        """Begin a job, or go on with it.

        Raises:
            OtherCatalogueError: The folder holds the answers to another source, or by another model.
            SourceError: It cannot be used.
        """
        plan = hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()
        files = hashlib.sha256(repr(sorted(model.manifest.files.items())).encode()).hexdigest()
        job = {"parts": len(parts), "plan": plan, "model": model.manifest.version, "files": files}
        system, path = file_system(self.place)
        try:
            system.create_dir(path)
            begun = self._read(JOB)
            if begun is None:
                self.write(JOB, json.dumps(job, indent=2).encode())
        except ARROW_ERRORS as error:
            raise SourceError(f"{shown(self.place)!r} cannot be written to: {first_line(error)}") from error
        if begun is not None and begun != job:
            raise OtherCatalogueError(
                f"{shown(self.place)!r} holds the answers of another job: {_difference(begun, job)}. Take another folder."
            )

    def _read(self, name: str) -> Any:
        system, path = file_system(self.place)
        try:
            with system.open_input_stream(f"{path}/{name}") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise SourceError(f"{shown(self.place)!r} cannot be used: its {name} is damaged, {first_line(error)}") from error

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is there as a whole or not at all, whenever this is interrupted."""
        system, path = file_system(self.place)
        unfinished = f"{path}/.{name}"
        with system.open_output_stream(unfinished) as file:
            file.write(content)
        system.move(unfinished, f"{path}/{name}")

    def finished(self) -> set[str]:
        """Names of the files with answers."""
        system, path = file_system(self.place)
        return {file.base_name for file in system.get_file_info(FileSelector(path)) if file.base_name.startswith(PART)}

    def scan(self, columns: Sequence[str], names: Sequence[str] | None = None) -> Iterator[Any]:
        """Some columns of the answers in these files, or in all, in batches of PyArrow's, in the order of the source."""
        system, path = file_system(self.place)
        files = [f"{path}/{name}" for name in names or sorted(self.finished())]
        yield from ds.dataset(files, schema=ANSWERS, format="parquet", filesystem=system).to_batches(columns=list(columns))


def part_name(number: int) -> str:
    """Of the file with the answers to the part of this number."""
    return f"{PART}{number:06}.parquet"


def _difference(begun: Any, job: dict[str, Any]) -> str:
    if not isinstance(begun, dict) or begun.get("plan") != job["plan"]:
        return "its source, or the rows of a part, were others"
    return f"it was named by the model {begun.get('model')}, this is {job['model']}"
