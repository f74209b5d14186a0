"""What a catalogue holds and what is written of it, part by part: without Ray, which `test_catalogue_jobs` starts."""

import dataclasses
import importlib
import io
import json
import os
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fashion_classifier import Bundle, FashionClassifier, FashionClassifierError, InvalidImageError, predict
from fashion_classifier.bundle import MANIFEST
from tests import mortal
from tests.loopback_hub import LoopbackHub, Repository
from tests.loopback_s3 import loopback_s3
from tests.test_exported_members import loaded
from train.pictures.fashion_mnist import Pictures

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from fashion_classifier.catalogue.apart import Apart
from fashion_classifier.catalogue.files import SourceError, is_picture, shown
from fashion_classifier.catalogue.parts import Listed, Part, Shard, Stored, Unread
from fashion_classifier.catalogue.progress import Progress
from fashion_classifier.catalogue.results import PART, OtherCatalogueError, Results, answered, part_name
from fashion_classifier.catalogue.sources import plan
from fashion_classifier.catalogue.summary import contact_sheet, kind_of, summarised

COAT, DRESS, HAT = (Path("examples") / name for name in ("coat.jpg", "dress.jpg", "hat.jpg"))


@pytest.fixture(scope="module")
def classifier() -> FashionClassifier:
    return FashionClassifier.from_pretrained()


@pytest.fixture
def job(classifier: FashionClassifier, tmp_path: Path) -> Callable[[list[Part]], Results]:
    """Does in this process what workers do."""

    def work(parts: list[Part]) -> Results:
        results = Results(str(tmp_path / "out"))
        results.open(parts, classifier.bundle)
        for number, part in enumerate(parts):
            name = lambda picture: classifier.predict(picture).to_dict()  # noqa: E731
            results.write(part_name(number), answered(part, name, classifier.bundle)[0])
        return results

    return work


def rows(results: Results) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(results.place).to_pylist()
    return found


def sources(parts: list[Part]) -> list[str]:
    return [source for part in parts for batch in part.read() for source in batch.sources]


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_a_folder_is_all_the_pictures_below_it(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("b/c/2.JPG", "b/1.png", "a.heic", "odd.psd", "notes.md", ".hidden.png", "_summary.png"):
        (tmp_path / name).touch()
    parts = plan(tmp_path, rows=3)
    assert [part.rows for part in parts] == [3, 1]
    assert sources(parts) == [str(tmp_path / name) for name in ("a.heic", "b/1.png", "b/c/2.JPG", "odd.psd")]
    assert plan(f"{tmp_path}/", rows=3) == parts


def test_a_list_is_relative_to_its_folder_and_its_columns_travel_along(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes("\ufeffsku,image\n007,a.jpg\n,/b/c.jpg\n".encode())
    (part,) = plan(tmp_path / "list.csv")
    (batch,) = part.read()
    assert batch.sources == batch.pictures == [str(tmp_path / "a.jpg"), "/b/c.jpg"]
    assert {name: values.to_pylist() for name, values in batch.further.items()} == {
        "sku": ["007", ""],
        "image": ["a.jpg", "/b/c.jpg"],
    }
    (tmp_path / "list.txt").write_text("a.jpg\n\n/b/c.jpg\n")
    assert sources(plan(str(tmp_path / "list.txt"))) == sources(plan([tmp_path / "a.jpg", "/b/c.jpg"])) == batch.sources


@pytest.mark.parametrize("group", [1, 4, 100])
def test_rows_of_parquet_files_are_cut_into_parts_wherever_row_groups_end(tmp_path: Path, group: int) -> None:
    numbers = list(range(70))
    table = pa.table({"image": [b"%d" % number for number in numbers], "sku": numbers})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=group)
    parts = plan(tmp_path, rows=40)
    assert parts == [Stored(str(tmp_path), str(tmp_path / "a.parquet"), "image", *span) for span in ((0, 40), (40, 30))]
    batches = [batch for part in parts for batch in part.read()]
    assert [int(picture) for batch in batches for picture in batch.pictures] == numbers  # type: ignore[arg-type]
    assert [sku for batch in batches for sku in batch.further["sku"].to_pylist()] == numbers
    assert sources(parts) == [f"{tmp_path}/a.parquet#{number}" for number in numbers]


def test_parquet_files_hold_the_hubs_structs_or_paths(tmp_path: Path) -> None:
    pictures = [{"bytes": b"1", "path": "1.png"}, {"bytes": None, "path": "2.png"}, None]
    pq.write_table(pa.table({"photo": pictures, "label": [3, 4, 5], "file": ["x", "y", "z"]}), tmp_path / "a.parquet")
    (part,) = plan(tmp_path)
    (batch,) = part.read()
    assert batch.pictures[:2] == [b"1", str(tmp_path / "2.png")]
    assert isinstance(batch.pictures[2], Unread)
    assert batch.further["photo_path"].to_pylist() == ["1.png", "2.png", None]
    (by_path,) = plan(tmp_path, column="file")
    assert next(by_path.read()).pictures == [str(tmp_path / name) for name in "xyz"]


def test_a_parquet_file_that_is_damaged_inside_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"%d" % number for number in range(80)], "sku": range(80)}), path, row_group_size=64)
    broken = bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    broken[begin : begin + 40] = bytes(40)
    path.write_bytes(broken)
    batches = [batch for part in plan(path, rows=60) for batch in part.read()]
    assert sources(plan(path, rows=60)) == [f"{path}#{number}" for number in range(80)]
    pictures = [picture for batch in batches for picture in batch.pictures]
    assert pictures[:64] == [b"%d" % number for number in range(64)]
    assert {str(picture).partition(": ")[0] for picture in pictures[64:]} == {
        f"The file {str(path)!r} is damaged from row 64 on"
    }
    assert [sku for batch in batches for sku in batch.further["sku"].to_pylist()] == [*range(64), *[None] * 16]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_tar_file_is_one_part_of_samples(tmp_path: Path, name: str) -> None:
    files = {
        "x/1.jpg": b"one",
        "x/1.json": b'{"sku": 7}',
        "x/1.seg.png": b"mask",
        "x/2.cls": b"3",
        "x/2.png": b"two",
        "3.txt": b"!",
    }
    write_tar(tmp_path / name, files)
    (part,) = plan(tmp_path / name, rows=1)
    assert part == Shard(str(tmp_path / name), str(tmp_path / name), (tmp_path / name).stat().st_size)
    (batch,) = part.read()
    assert batch.sources == [f"{tmp_path / name}#{key}" for key in ("x/1", "x/2", "3")]
    assert batch.pictures[:2] == [b"one", b"two"]
    assert batch.further["texts"].to_pylist() == [[("json", '{"sku": 7}')], [("cls", "3")], [("txt", "!")]]
    assert str(batch.pictures[2]).startswith("The sample holds no picture, only txt.")


def test_a_tar_file_that_is_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {f"{number}.jpg": bytes(5000) for number in range(3)})
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:8000])
    (batch,) = plan(tmp_path)[0].read()
    assert batch.sources == [f"{tmp_path}/a.tar#0", f"{tmp_path}/a.tar#1"]
    assert batch.pictures[0] == bytes(5000)
    assert "is damaged after this key: unexpected end of data." in str(batch.pictures[1])


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (lambda folder: None, {}, " holds no pictures: no image files, Parquet files or tar files, and no list of any."),
        (lambda folder: folder.rmdir(), {}, " is not there."),
        (lambda folder: (folder / "a.parquet").write_bytes(b"no"), {}, "a.parquet' cannot be read: "),
        (lambda folder: None, {"rows": 0}, "A part has one row or more, received 0."),
        (
            lambda folder: pq.write_table(pa.table({"a": [b""], "b": [b""], "c": [1]}), folder / "a.parquet"),
            {},
            "has no column 'image' or 'picture' or 'img' or 'bytes' of pictures; name one of those that it has, ['a', 'b'].",
        ),
        (
            lambda folder: pq.write_table(pa.table({"a": [b""]}), folder / "a.parquet"),
            {"column": "b"},
            "has no column 'b' of pictures; name one of those that it has, ['a'].",
        ),
    ],
)
def test_a_source_that_is_none_says_so(
    tmp_path: Path, write: Callable[[Path], object], options: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    write(folder)
    with pytest.raises(SourceError) as raised:
        plan(folder, **options)
    assert message in str(raised.value)


def test_addresses_are_shown_without_keys() -> None:
    assert shown("s3://key:secret@bucket/a?region=x") == "s3://bucket/a"
    assert shown("s3://key:secret@bucket/a?region=x", "bucket/a/b.jpg") == "s3://bucket/a/b.jpg"
    assert shown("hf://datasets/owner/name@v1/a") == "hf://datasets/owner/name@v1/a"
    with pytest.raises(SourceError, match=r"^'ftp://host/a' cannot be opened: "):
        plan("ftp://key@host/a")


def test_a_dataset_on_the_hub_is_read_where_it_is(loopback: LoopbackHub, tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [COAT.read_bytes()], "sku": [7]}), tmp_path / "a.parquet")
    files = {"data/a.parquet": (tmp_path / "a.parquet").read_bytes(), "more/b.jpg": b"b", "README.md": b"# It"}
    loopback.repositories["datasets/owner/name"] = Repository()
    loopback.repositories["datasets/owner/name"].commit(files, "Pictures")
    stored, listed = plan("hf://datasets/owner/name")
    ((row,), (file,)) = stored.read(), listed.read()
    assert (row.sources, row.pictures) == (["hf://datasets/owner/name/data/a.parquet#0"], [COAT.read_bytes()])
    assert file.sources == ["hf://datasets/owner/name/more/b.jpg"]
    assert file.pictures[0].read(9) == b"b"  # type: ignore[union-attr]


def test_a_bucket_is_read_where_it_is(job: Callable[[list[Part]], Results], tmp_path: Path) -> None:
    objects = {"photos/more/coat.jpg": COAT.read_bytes(), "photos/bad.jpg": b"no", "photos/list.md": b"#", "other/a.jpg": b"a"}
    with loopback_s3(objects) as query:
        parts = plan(f"s3://key:secret@bucket/photos?{query}")
        (tmp_path / "list.txt").write_text(f"s3://key:secret@bucket/photos/more/coat.jpg?{query}\n")
        bad, coat, listed = rows(job([*parts, *plan(tmp_path / "list.txt")]))
    assert (bad["source"], coat["source"]) == ("s3://bucket/photos/bad.jpg", "s3://bucket/photos/more/coat.jpg")
    assert bad["error"] == "The file object (2 bytes) is not an image of a known format, or damaged at its start, b'no'."
    assert coat["label"] == listed["label"] == "Coat"
    assert listed["source"] == coat["source"]


def test_what_is_no_file_here_is_an_error_row() -> None:
    (batch,) = Listed("", ("https://host/a.jpg", "no-such://a/b.jpg")).read()
    assert batch.pictures[0] == "https://host/a.jpg"  # which `predict` refuses with a hint
    with pytest.raises(InvalidImageError, match=r"^Cannot read the file 'no-such://a/b\.jpg': "):
        predict(batch.pictures[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "kind"), [("a.JPEG", True), ("a.heif", True), ("a.svg", True), ("a.txt", False), ("a", False)]
)
def test_pictures_are_known_by_their_endings(name: str, kind: bool) -> None:
    assert is_picture(name) == kind


def test_rows_are_the_answers_of_predict(job: Callable[[list[Part]], Results], tmp_path: Path) -> None:
    table = {"image": [path.read_bytes() for path in (COAT, HAT)] + [b"no"], "label": ["mine", "yours", None]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    coat, hat, bad = rows(job(plan(tmp_path / "a.parquet", rows=2)))
    for row, path in ((coat, COAT), (hat, HAT)):
        assert {name: row[name] for name in predict(path).to_dict()} == predict(path).to_dict()
        assert row["error"] is None
        assert row["milliseconds"] > 0
    assert (coat["source"], coat["source_label"]) == (f"{tmp_path}/a.parquet#0", "mine")
    assert bad["error"] == "The data (2 bytes) is not an image of a known format, or damaged at its start, b'no'."
    assert [bad[name] for name in ("label", "confidence", "uncertain", "typicality", "probabilities", "box")] == [None] * 6
    assert bad["model_version"] == coat["model_version"]


def test_rows_that_hold_much_are_written_before_the_part_ends(
    job: Callable[[list[Part]], Results], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("fashion_classifier.catalogue.results.GROUP", 2**20)
    bad, notes = [b"no"] * 70, [bytes([number]) * 2**15 for number in range(70)]
    pq.write_table(pa.table({"image": bad, "note": notes}), tmp_path / "a.parquet")
    results = job(plan(tmp_path / "a.parquet"))
    assert [row["note"] for row in rows(results)] == notes
    groups = pq.ParquetFile(tmp_path / "out" / part_name(0)).metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups)] == [32, 32, 6]


def bomb() -> bytes:
    """A PNG of 10,000 x 10,000 black pixels, in 12 kB."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1251 * 10_000))),
        (b"IEND", b""),
    ]
    written = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def test_one_per_cent_of_bad_files_are_as_many_error_rows(
    job: Callable[[list[Part]], Results], thumbnails: Pictures, tmp_path: Path
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(396):
        Image.fromarray(thumbnails.images[number % 200]).save(folder / f"{number:03}.png")
    bad = {"bomb.png": bomb(), "cut.jpg": COAT.read_bytes()[:3000], "empty.webp": b"", "odd.svg": b"<svg/>"}
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    parts = plan(folder, rows=100)
    found = rows(job(parts))
    assert [Path(row["source"]).name for row in found if row["error"] is not None] == sorted(bad)
    assert [pq.ParquetFile(path).num_row_groups for path in (tmp_path / "out").glob(f"{PART}*")] == [1] * 4
    summary = summarised(Results(str(tmp_path / "out")), "1", Progress(4, 0, 2).after(400, 4.0, 3.0))
    assert (summary.pictures, sum(summary.errors.values()), summary.rate) == (400, 4, 100)
    assert sum(summary.labels.values()) + summary.unsure == 396
    assert "The file … has NxN = N pixels, too many." in summary.errors
    assert json.loads(summary.to_json())["errors"] == summary.errors
    assert str(summary).startswith("400 pictures, model 1: ")
    with Image.open(io.BytesIO(contact_sheet(parts, Results(str(tmp_path / "out"))))) as sheet:
        assert sheet.size == (8 * 144, 5 * 172)


def test_an_archive_may_be_empty(job: Callable[[list[Part]], Results], tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {})
    parts = plan(tmp_path / "a.tar")
    results = job(parts)
    assert rows(results) == []
    assert summarised(results, "1", Progress(1, 1, 0)).pictures == 0
    with Image.open(io.BytesIO(contact_sheet(parts, results))) as sheet:
        assert sheet.size == (8 * 144, 172)


def test_a_picture_that_ends_its_process_has_an_error_and_the_next_one_an_answer(tmp_path: Path) -> None:
    (tmp_path / "by SIGSEGV.jpg").write_bytes(DRESS.read_bytes())
    name, (coat, hat) = Apart(mortal.load), [prediction.to_dict() for prediction in predict([COAT, HAT])]
    assert name(str(COAT)) == coat
    with pytest.raises(InvalidImageError, match=r"^The picture ended the process that named it, by SIGSEGV\. Accepted: "):
        name(str(tmp_path / "by SIGSEGV.jpg"))
    with pytest.raises(InvalidImageError, match=r"^The file 'pyproject\.toml' .* is not an image of a known format"):
        name("pyproject.toml")
    assert name(str(HAT)) == hat


def test_no_picture_is_to_blame_where_there_is_no_model() -> None:
    with pytest.raises(FashionClassifierError, match=r"^The process that names pictures one by one ended before the first\.$"):
        Apart(partial(os._exit, 3))


def test_a_folder_takes_the_answers_of_one_job(tmp_path: Path, classifier: FashionClassifier) -> None:
    results, parts = Results(str(tmp_path / "out")), plan([COAT, DRESS])
    results.open(parts, classifier.bundle)
    results.open(parts, classifier.bundle)
    with pytest.raises(OtherCatalogueError, match=r"its source, or the rows of a part, were others\. Take another folder\.$"):
        results.open(plan([COAT]), classifier.bundle)
    manifest = dataclasses.replace(classifier.bundle.manifest, version="0.9.0")
    (tmp_path / MANIFEST).write_text(manifest.to_json())
    with pytest.raises(OtherCatalogueError, match=rf"it was named by the model {classifier.version}, this is 0\.9\.0\. Take"):
        results.open(parts, Bundle(tmp_path))
    (tmp_path / "out" / "_catalogue.json").write_text("{")
    with pytest.raises(SourceError, match=r"its _catalogue\.json is damaged"):
        results.open(parts, classifier.bundle)
    with pytest.raises(SourceError, match="cannot be written to: "):
        Results(str(COAT)).open(parts, classifier.bundle)


def test_a_file_that_was_not_finished_is_none_of_the_answers(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.write(part_name(3), b"a")
    (tmp_path / f".{part_name(4)}").write_bytes(b"half")
    assert results.finished() == {"part-000003.parquet"}
    results.write(part_name(4), b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {part_name(3): b"a", part_name(4): b"whole"}


def test_errors_of_one_kind_are_alike() -> None:
    assert kind_of("The file '/a/1.png' has 10x20 = 1,200 pixels, too many.") == "The file … has NxN = N pixels, too many."
    assert kind_of("damaged at its start, b'\\x00'.") == "damaged at its start, …."


def test_progress_tells_the_rate_and_the_time_left() -> None:
    progress = Progress(10, 2, workers=2).after(300, 3.0, 9.0).after(300, 5.0, 12.0)
    assert str(progress) == "4 of 10 parts; 600 pictures in this run, 150.0 a second; 0:00:12 left"
    assert (progress.rate, progress.seconds, Progress(10, 10, workers=0).rate) == (75, 12, 0)


def test_the_library_never_imports_ray_or_pyarrow() -> None:
    assert {"ray", "pyarrow"} & loaded("from fashion_classifier import predict\npredict(['examples/coat.jpg'] * 2)") == set()
    assert "ray" not in loaded("import fashion_classifier.catalogue")


def test_who_lacks_the_extra_is_told_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fashion_classifier.catalogue")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"^Catalogues need pyarrow: pip install '.*\[catalogue\]'\.$"):
        importlib.import_module("fashion_classifier.catalogue")
