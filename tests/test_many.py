"""Many pictures at once: archives, and the tab."""

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

import app
from fashion_classifier import LABELS, predict
from page import archives
from page.archives import ArchiveError, is_archive, unpacked
from page.endpoints import MOST_FILES
from page.many import ManyTab

BAG = Path("examples/fashion-mnist-bag.png")


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.fixture
def tab() -> ManyTab:
    with gr.Blocks():
        return ManyTab(app.service)


def upload(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    path = folder / f"upload-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return {"path": str(path), "orig_name": name}


def test_the_files_of_an_archive() -> None:
    data = zipped({"a/b.png": b"one", "a/": b"", "__MACOSX/b.png": b"no", "c.png": b"two"})
    assert is_archive(data)
    assert list(unpacked(data, 10)) == [("a/b.png", b"one"), ("c.png", b"two")]


def test_more_files_than_are_taken() -> None:
    (_, one), (name, refused) = unpacked(zipped({"a": b"1", "b": b"2", "c": b"3"}), 1)
    assert (one, name) == (b"1", "b")
    assert str(refused) == "At most 1 files are taken at once; this one and those after it are not."


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE", 1000)
    monkeypatch.setattr(archives, "MAX_ALL", 1500)
    data = zipped({"bomb": bytes(10_000_000), "a": bytes(1000), "b": bytes(1000), "c": b"1"})
    assert len(data) < 20_000
    answers = dict(unpacked(data, 10))
    assert str(answers["bomb"]) == "The file has more than 1,000 bytes."
    assert str(answers["b"]) == "The file has more than 500 bytes."
    assert (answers["a"], answers["c"]) == (bytes(1000), b"1")


def test_what_is_no_archive_or_a_damaged_one() -> None:
    data = zipped({"a": bytes(range(256)) * 100})
    with pytest.raises(ArchiveError, match="The ZIP cannot be read: File is not a zip file"):
        list(unpacked(data[:100], 10))
    broken = data[:60] + b"\xff\xff\xff" + data[63:]
    ((_, answer),) = unpacked(broken, 10)
    assert str(answer).startswith("The file cannot be unpacked: ")


def test_good_and_bad_pictures_and_archives_are_told_apart(tab: ManyTab, tmp_path: Path) -> None:
    coat, bag = Path("examples/coat.jpg").read_bytes(), BAG.read_bytes()
    files = [
        upload(tmp_path, "coat.jpg", coat),
        upload(tmp_path, "<b>letter</b>.txt", b"Dear sir"),
        upload(tmp_path, "all.zip", zipped({"=1+1.png": bag, "note.txt": b"a note"})),
        upload(tmp_path, "broken.zip", b"PK\x03\x04" + bytes(50)),
    ]
    *steps, last = tab.name_all(files)
    assert [step[tab.progress] for step in steps] == [f"{n} named …" for n in range(1, 6)]
    assert last[tab.progress] == "**2 of 5 named.**"
    captions = [caption for _, caption in last[tab.gallery]["value"]]
    assert captions[0].startswith("coat.jpg: Coat, ")
    assert captions[1].startswith("=1+1.png: Bag, ")
    assert [file for file, _ in last[tab.problems]["value"]] == ["<b>letter</b>.txt", "note.txt", "broken.zip"]
    assert "is not an image of a known format" in last[tab.problems]["value"][0][1]
    with Path(last[tab.table]["value"]).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["coat.jpg", "<b>letter</b>.txt", "'=1+1.png", "note.txt", "broken.zip"]
    expected = predict(BAG)
    assert {label: float(rows[2][label]) for label in LABELS} == expected.probabilities
    assert (rows[2]["label"], rows[2]["model_version"], rows[2]["error"]) == ("Bag", expected.model_version, "")
    assert (rows[1]["label"], rows[4]["error"]) == ("", "The ZIP cannot be read: File is not a zip file.")


def test_more_than_are_taken(tab: ManyTab, tmp_path: Path) -> None:
    files = [upload(tmp_path, f"{number}.png", BAG.read_bytes()) for number in range(2)] * (MOST_FILES // 2 + 1)
    *_, last = tab.name_all(files)
    assert last[tab.progress] == f"**{MOST_FILES} of {MOST_FILES + 1} named.**"
    ((_, problem),) = last[tab.problems]["value"]
    assert problem == "At most 100 files are taken at once; this one and those after it are not."


def test_nothing_chosen(tab: ManyTab) -> None:
    with pytest.raises(gr.Error, match="Choose pictures first, or a ZIP of them"):
        next(tab.name_all(None))
