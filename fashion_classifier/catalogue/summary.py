"""What became of a catalogue: counts, rates, and a contact sheet."""

import dataclasses
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from PIL import Image, ImageDraw

from fashion_classifier.catalogue.parts import Part, Unread
from fashion_classifier.catalogue.progress import Progress
from fashion_classifier.catalogue.results import Results, part_name
from fashion_classifier.errors import InvalidImageError
from fashion_classifier.images import Picture, load_image
from fashion_classifier.labels import LABELS

SAMPLE = 40  # pictures on the contact sheet at most
ACROSS, SIDE, CAPTION = 8, 144, 28  # pictures in a row of it; px of a picture and of what is written under it
SURE, UNSURE = (0, 0, 0), (190, 0, 0)


@dataclass(frozen=True)
class Summary:
    """Counts of a whole catalogue, and the rate of the run that finished it.

    Attributes:
        pictures: In the source: one row each.
        labels: Pictures that are named so, surely enough.
        unsure: Pictures that are probably none of the ten.
        errors: Pictures that could not be read, by kind: the sentence without its names and numbers.
        model_version: What named them.
        now: Pictures that this run named; the others were named before it.
        seconds: That this run took, from when its workers were asked to the last answer.
        workers: That it had, of one core each.
        rate: Pictures a second and worker while it was busy: without its start.
    """

    pictures: int
    labels: dict[str, int]
    unsure: int
    errors: dict[str, int]
    model_version: str
    now: int
    seconds: float
    workers: int
    rate: float

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    def __str__(self) -> str:
        failed = sum(self.errors.values())
        lines = [
            f"{self.pictures:,} pictures, model {self.model_version}: "
            f"{self.pictures - self.unsure - failed:,} named, {self.unsure:,} not sure, {failed:,} could not be read",
            *(f"{n:9,}  {label}" for label, n in self.labels.items()),
            *(f"{n:9,}  {kind}" for kind, n in self.errors.items()),
            f"{self.now:,} of them now, in {self.seconds:.0f} s on {self.workers} cores: {self.rate:.1f} a second and core",
        ]
        return "\n".join(lines)


def summarised(results: Results, model_version: str, run: Progress) -> Summary:
    """The summary of all the answers in a folder, and of the run that wrote the last of them."""
    pictures, unsure = 0, 0
    labels: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for batch in results.scan(("label", "uncertain", "error")):
        for row in batch.to_pylist():
            pictures += 1
            unsure += bool(row["uncertain"])
            if row["error"] is not None:
                errors[kind_of(row["error"])] += 1
            elif not row["uncertain"]:
                labels[row["label"]] += 1
    named = {label: labels[label] for label in LABELS}
    kinds = dict(errors.most_common())
    return Summary(pictures, named, unsure, kinds, model_version, run.pictures, run.seconds, run.workers, run.rate)


def kind_of(error: str) -> str:
    """A sentence without the names, contents and numbers that differ from picture to picture."""
    return re.sub(r"\d[\d,.]*\d|\d", "N", re.sub(r"b?'[^']*'|b?\"[^\"]*\"", "…", error))


def contact_sheet(parts: Sequence[Part], results: Results) -> bytes:
    """A JPEG of pictures from all over a catalogue with their answers under them; red are the unsure ones."""
    chosen = range(0, len(parts), -(-len(parts) // SAMPLE))
    each = SAMPLE // len(chosen)
    shown = [pair for number in chosen for pair in islice(_answered(parts[number], results, number), each)]
    lines = max(1, -(-len(shown) // ACROSS))  # an archive may be empty
    sheet = Image.new("RGB", (ACROSS * SIDE, lines * (SIDE + CAPTION)), "white")
    for i, (picture, answer) in enumerate(shown):
        corner = i % ACROSS * SIDE, i // ACROSS * (SIDE + CAPTION)
        _draw(sheet, corner, picture, answer)
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=88)
    return content.getvalue()


def _answered(part: Part, results: Results, number: int) -> Iterator[tuple[Picture | Unread, dict[str, Any]]]:
    """The pictures of a part with their answers."""
    scan = results.scan(("label", "confidence", "uncertain"), [part_name(number)])
    answers = (row for batch in scan for row in batch.to_pylist())
    pictures = (picture for batch in part.read() for picture in batch.pictures)
    return zip(pictures, answers, strict=False)  # few are asked for


def _draw(sheet: Image.Image, corner: tuple[int, int], picture: Picture | Unread, answer: dict[str, Any]) -> None:
    draw, (left, top) = ImageDraw.Draw(sheet), corner
    said, colour = "could not be read", UNSURE
    if answer["label"] is not None and not isinstance(picture, Unread):
        said, colour = f"{answer['label']} {answer['confidence']:.0%}", UNSURE if answer["uncertain"] else SURE
        with suppress(InvalidImageError):  # by now it may be gone
            image = Image.fromarray(load_image(picture))
            image.thumbnail((SIDE - 4, SIDE - 4))
            sheet.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))
    draw.text((left + 4, top + SIDE + 6), said, colour)
