"""What was predicted, and what visitors said of it: a journal of JSON lines without pictures.

A line is one event, a prediction or a correction of one. Pictures are kept only where a visitor agreed, beside the lines in
pictures/. The folder is bounded: the oldest predictions go, corrections stay, pictures are kept as long as there is room. It
can be mirrored to a dataset on the Hugging Face Hub; while the Hub is down it simply waits.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

from PIL import Image

from fashion_classifier.decoding import MAX_SIDE
from fashion_classifier.labels import LABELS
from fashion_classifier.predictions import Prediction

NONE_OF_THE_TEN = "None of the ten"  # what a correction may also say
PICTURES = "pictures"
RETRY = 60.0  # seconds between attempts to reach the dataset for the first time
MAX_FILE = 2**24  # bytes of lines, after which the next file begins
MAX_LINES = 2**28  # bytes of predictions' lines, half a million of them; the oldest files go
MAX_PICTURES = 2**30  # bytes, after which no more are kept
CORRECTIONS = "corrections"  # how the names of files of corrections end, which stay
MAX_LINE = 2**16  # bytes; an event has some hundred

_log = logging.getLogger(__name__)


@dataclass
class Journal:
    """An append-only folder of events; safe to use from several threads, and by several processes at once.

    Attributes:
        folder: Is made when the first event comes.
    """

    folder: Path
    _process: str = field(default_factory=lambda: uuid4().hex[:8], repr=False)  # each process writes files of its own
    _lock: Lock = field(default_factory=Lock, repr=False)
    _number: int = field(default=0, repr=False)  # of files begun after the first

    def record(self, prediction: Prediction, seconds: float) -> str:
        """Write a prediction down.

        Args:
            prediction: What was answered.
            seconds: How long the answer took.

        Returns:
            The event's id, for `correct`.
        """
        event = uuid4().hex
        image = prediction.image
        height, width = image.photo.shape[:2]
        self._append(
            {
                "event": "prediction",
                "id": event,
                "version": prediction.model_version,
                "commit": prediction.model_commit,
                "label": prediction.label,
                "confidence": round(prediction.confidence, 4),
                "uncertain": prediction.uncertain,
                "typicality": round(prediction.typicality, 4),
                "input": {
                    "width": width,
                    "height": height,
                    "isolation": image.isolation,
                    "box": _garment_box(prediction),
                    "covered": round(float(image.mask.mean()), 4),
                    "mean": round(float(image.pixels.mean()), 2),
                    "standard deviation": round(float(image.pixels.std()), 2),
                },
                "milliseconds": round(seconds * 1000, 2),
            }
        )
        return event

    def correct(self, event: str, prediction: Prediction, label: str, *, keep_picture: bool) -> bool:
        """Write a visitor's correction down.

        Args:
            event: What `record` gave for the prediction.
            prediction: What was answered.
            label: What the visitor says: one of the ten, or `NONE_OF_THE_TEN`.
            keep_picture: The visitor agreed to keep the picture; its pixels alone are kept, without the file's metadata. If
                not, one that was kept with an earlier correction goes.

        Returns:
            Whether the picture was kept: not without consent, and not where there is no room for more.

        Raises:
            ValueError: `label` is something else, or `event` no id.
        """
        if not _is_id(event):
            raise ValueError(f"Unknown event {event!r}.")
        if label not in (*LABELS, NONE_OF_THE_TEN):
            raise ValueError(f"Unknown label {label!r}; allowed are {', '.join(LABELS)} and {NONE_OF_THE_TEN!r}.")
        picture = f"{PICTURES}/{event}.png"
        path = self.folder / picture
        keep_picture = keep_picture and _size(path.parent.glob("*.png")) < MAX_PICTURES
        if keep_picture:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(prediction.image.photo).save(path)
        else:
            path.unlink(missing_ok=True)
        self._append(
            {
                "event": "correction",
                "id": event,
                "version": prediction.model_version,
                "label": label,
                "answer": prediction.label,
                "box": _garment_box(prediction),
                "picture": picture if keep_picture else None,
            },
            f"-{CORRECTIONS}",
        )
        return keep_picture

    def _append(self, event: dict[str, Any], kind: str = "") -> None:
        now = datetime.now(UTC)
        line = json.dumps({"time": now.isoformat(timespec="milliseconds")} | event) + "\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock, self._file(f"{now:%Y-%m-%d}-{self._process}", kind).open("a", encoding="utf-8") as file:
            file.write(line)

    def _file(self, name: str, kind: str) -> Path:
        """Where the next line goes. A file that is begun makes room for itself."""
        path = self.folder / f"{name}-{self._number:04}{kind}.jsonl"
        if path.exists() and path.stat().st_size >= MAX_FILE:
            self._number += 1
            path = self.folder / f"{name}-{self._number:04}{kind}.jsonl"
        if not path.exists():
            self._forget()
        return path

    def _forget(self) -> None:
        """Delete the oldest files of predictions as long as there are too many lines."""
        predictions = (path for path in self.folder.glob("*.jsonl") if not path.stem.endswith(CORRECTIONS))
        files = sorted(predictions, key=lambda path: (path.stat().st_mtime, path.name))
        while files and _size(files) > MAX_LINES - MAX_FILE:
            files.pop(0).unlink(missing_ok=True)

    def mirror(self, dataset: str, *, minutes: float = 10) -> None:
        """Push the folder to a private dataset on the Hub every so many minutes, in the background.

        What cannot be pushed stays in the folder and goes with a later push. A picture that was taken back goes from the
        dataset, too, and from its history, which is kept to one commit; what is no longer in the folder for another reason
        stays there. Nothing goes to a dataset that is public. The token is the one of huggingface_hub, `HF_TOKEN`.

        Args:
            dataset: "owner/name"; is made where there is none.
            minutes: Between two pushes.
        """

        def start() -> None:
            from huggingface_hub import CommitScheduler

            from fashion_classifier.mirror import MirrorApi

            while True:
                try:
                    api = MirrorApi(self.folder)
                    api.create_repo(dataset, repo_type="dataset", private=True, exist_ok=True)
                    if not api.repo_info(dataset, repo_type="dataset").private:
                        _log.error("The dataset %s is public: the journal is not pushed there, make it private.", dataset)
                        return
                    options: dict[str, Any] = {"private": True, "hf_api": api}
                    CommitScheduler(repo_id=dataset, repo_type="dataset", folder_path=self.folder, every=minutes, **options)
                except Exception as error:  # noqa: BLE001 - whatever it is, visitors must not notice
                    _log.warning("The dataset %s cannot be reached, trying again in %s s: %s", dataset, RETRY, error)
                    time.sleep(RETRY)
                else:
                    return

        Thread(target=start, daemon=True).start()


def _size(paths: Iterable[Path]) -> int:
    """How many bytes files have together."""
    return sum(path.stat().st_size for path in paths if path.exists())


def _garment_box(prediction: Prediction) -> list[int] | None:
    """The garment that it is of: left, top, width and height in pixels of the photo as it is kept; None for a thumbnail."""
    return list(prediction.image.geometry.box) if prediction.image.is_photo else None


def journal_from_environment(default: Path) -> Journal:
    """The journal in FASHION_CLASSIFIER_JOURNAL, or else in `default`; mirrored to FASHION_CLASSIFIER_DATASET where set."""
    journal = Journal(Path(os.environ.get("FASHION_CLASSIFIER_JOURNAL") or default))
    if dataset := os.environ.get("FASHION_CLASSIFIER_DATASET"):
        journal.mirror(dataset)
    return journal


def read_events(folder: Path, latest: int | None = None) -> list[dict[str, Any]]:
    """The events of a journal's folder in the order of time; a line that is none, or was cut off, is left out.

    Args:
        folder: Of a `Journal`.
        latest: How many at most, about the latest: files are read from the one that was written last on, until there are
            enough. None for all.

    Whoever writes to the folder, or to the dataset that it is a copy of, is not believed: an event's fields are of the kinds
    that `Journal` writes, its names are known ones, and a picture is the one of its own id.
    """
    events: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True):
        if latest is not None and len(events) >= latest:
            break
        events += _events_of(path)
    events.sort(key=_order)
    return events if latest is None else events[-latest:]


def taken_back(folder: Path) -> set[str]:
    """The pictures that visitors did not leave, or no longer: those of answers whose last correction has none, as paths in a
    journal's folder."""
    events = [event for path in sorted(folder.glob(f"*-{CORRECTIONS}.jsonl")) for event in _events_of(path)]
    last = {event["id"]: event for event in sorted(events, key=_order) if event["event"] == "correction"}
    return {f"{PICTURES}/{name}.png" for name, event in last.items() if event["picture"] is None}


def _order(event: dict[str, Any]) -> tuple[datetime, bool]:
    """Within a millisecond a prediction comes before what was said of it, which another file holds."""
    return datetime.fromisoformat(event["time"]), event["event"] != "prediction"


def _events_of(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(MAX_LINE), b""):
            try:
                yield _event(json.loads(line))
            except (ValueError, RecursionError):
                _log.warning("%r holds a line that is not an event: %.80r", str(path), line)


def _event(content: Any) -> dict[str, Any]:
    """What a line says; raises `ValueError` where that is no event."""
    if not isinstance(content, dict) or content.get("event") not in ("prediction", "correction"):
        raise ValueError
    needed = {"time", "id"} if content["event"] == "prediction" else {"time", "id", "label", "answer", "picture"}
    if not needed <= content.keys() or not all(_FIELDS[name](content[name]) for name in _FIELDS.keys() & content.keys()):
        raise ValueError
    if content.get("picture") not in (None, f"{PICTURES}/{content['id']}.png"):
        raise ValueError
    return content


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z-]{1,64}", value) is not None


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _is_box(value: Any) -> bool:
    """Whether this is a box in a picture of at most `MAX_SIDE` a side; the journals of former versions have none."""
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 4 or not all(type(side) is int for side in value):
        return False
    left, top, width, height = value
    return bool(min(left, top) >= 0 and min(width, height) >= 1 and max(left + width, top + height) <= MAX_SIDE)


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "time": _is_time,
    "id": _is_id,
    "label": lambda value: value in (*LABELS, NONE_OF_THE_TEN),
    "answer": lambda value: value in LABELS,
    "confidence": _is_share,
    "typicality": _is_share,
    "milliseconds": lambda value: isinstance(value, int | float) and 0 <= value < 1e9,
    "uncertain": lambda value: isinstance(value, bool),
    "version": lambda value: isinstance(value, str) and value.isprintable(),
    "input": lambda value: isinstance(value, dict),
    "box": _is_box,
}
