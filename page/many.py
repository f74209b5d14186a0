"""The tab where many pictures are named at once: as files or in a ZIP, with a gallery and a table to take along."""

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from fashion_classifier import LABELS, FashionClassifierError, Prediction
from page.archives import ArchiveError, is_archive, unpacked
from page.endpoints import MANY, MOST_FILES
from page.limits import BusyError
from page.payloads import Payload, read, refusal
from page.service import Service
from page.words import sentence, verdict

SIDE = 256  # px, of the pictures in the gallery
COLUMNS = ("file", "label", "confidence", "uncertain", "typicality", *LABELS, "model_version", "error")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell starts that spreadsheets compute

Named = tuple[str, Prediction | str]
"""A file's name, and the answer or why there is none."""
Shown = dict[Any, Any]
"""What to show, by component."""


class ManyTab:
    """The components, and what happens when a visitor uses them."""

    def __init__(self, service: Service) -> None:
        """Lay the tab out; inside of Gradio's blocks."""
        self.service = service
        gr.Markdown(
            f"Choose up to {MOST_FILES} pictures, or a ZIP of them. Those that cannot be read are listed with the reason."
        )
        self.files = gr.File(
            label="Pictures or a ZIP", file_count="multiple", file_types=["image", ".heic", ".heif", ".zip"], elem_id="files"
        )
        with gr.Row():
            self.start = gr.Button("Name them all", variant="primary", elem_id="start")
            self.stop = gr.Button("Stop")
        self.progress = gr.Markdown(elem_id="progress")
        shown: dict[str, Any] = {"columns": 4, "object_fit": "contain", "height": "auto", "format": "jpeg"}
        self.gallery = gr.Gallery(label="Answers", elem_id="named", visible=False, **shown)
        self.problems = gr.Dataframe(headers=["File", "Why it has no answer"], elem_id="problems", visible=False)
        self.table = gr.File(label="All probabilities as CSV", elem_id="table", visible=False)
        outputs = [self.progress, self.gallery, self.problems, self.table]
        naming = self.start.click(
            self.name_all, self.files, outputs, preprocess=False, api_visibility="private", show_progress="hidden", **MANY
        )
        self.stop.click(None, None, None, cancels=[naming], api_visibility="private")

    def name_all(self, files: list[Payload] | None) -> Iterator[Shown]:
        """Name each file in turn and tell how far that is; at the end show all answers."""
        if not files:
            raise refusal("Choose pictures first, or a ZIP of them.")
        named: list[Named] = []
        shown: list[tuple[Image.Image, str]] = []
        for file, answer in self._answers(files):
            named.append((file, answer))
            if isinstance(answer, Prediction):
                shown.append((_small(answer), f"{file}: {verdict(answer)}"))
            yield {self.progress: f"{len(named)} named …"}
        problems = [[file, answer] for file, answer in named if isinstance(answer, str)]
        yield {
            self.progress: f"**{len(shown)} of {len(named)} named.**",
            self.gallery: gr.update(value=shown, visible=bool(shown)),
            self.problems: gr.update(value=problems, visible=bool(problems)),
            self.table: gr.update(value=_write(named), visible=True),
        }

    def _answers(self, files: list[Payload]) -> Iterator[Named]:
        for number, (file, content) in enumerate(_contents(files)):
            if number >= MOST_FILES:
                yield file, f"At most {MOST_FILES} files are taken at once; this one and those after it are not."
                return
            try:
                yield file, self.service.answer(content).prediction if isinstance(content, bytes) else str(content)
            except (FashionClassifierError, BusyError) as error:
                yield file, sentence(error)


def _contents(files: list[Payload]) -> Iterator[tuple[str, bytes | ArchiveError]]:
    """Each file's name and content, those of archives in their place."""
    for file in files:
        name, content = str(file.get("orig_name") or "picture"), read(file)
        if not is_archive(content):
            yield name, content
            continue
        try:
            yield from unpacked(content, MOST_FILES)
        except ArchiveError as error:
            yield name, error


def _small(prediction: Prediction) -> Image.Image:
    image = Image.fromarray(prediction.image.photo)
    image.thumbnail((SIDE, SIDE))
    return image


def _write(named: list[Named]) -> str:
    """A CSV file of all answers; its path."""
    path = Path(tempfile.mkdtemp(dir=get_upload_folder()), "answers.csv")
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # with the mark that spreadsheets look for
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for name, answer in named:
            row: dict[str, Any] = {"file": f"'{name}" if name.startswith(FORMULA) else name}
            writer.writerow(row | (_row(answer) if isinstance(answer, Prediction) else {"error": answer}))
    return str(path)


def _row(prediction: Prediction) -> dict[str, Any]:
    values = prediction.to_dict()
    return {name: values[name] for name in COLUMNS if name in values} | prediction.probabilities
