"""Files that take long or much, and HEIC, whose files were made with pillow-heif: the library has the decoder alone."""

import contextlib
import io
import itertools
import json
import re
import resource
import shutil
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import InvalidImageError, decoding, predict
from fashion_classifier.images import load_image
from tests.patience import PATIENCE

FIXTURES = Path(__file__).parent / "fixtures"
SHIRT = (FIXTURES / "shirt.heic").read_bytes()
OUT_OF_TIME = r"The data takes more than (3|120) seconds to decode\."  # the processor's, or a busy machine's


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidImageError) as caught:
        load_image(data)
    return caught.value.problem


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encode(Image.new("L", (side, side)), "JPEG", progressive=True, quality=1)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


def jpeg_of_segments(kind: int, content: bytes, times: int) -> bytes:
    segment = bytes([0xFF, kind]) + (2 + len(content)).to_bytes(2) + content
    data = encode(Image.new("L", (30, 30)), "JPEG")
    return data[:2] + segment * times + data[2:]


def shared_values(length: int, parts: int = 1) -> bytes:
    """The first of so many parts of EXIF, each of `length` bytes, whose 5,000 tags all have the whole of it as their value."""
    tags = b"".join(struct.pack("<HHLL", tag, 7, length * parts, 0) for tag in range(1, 5001))
    return (b"II*\0" + struct.pack("<LH", 8, 5000) + tags).ljust(length, b"\0")


def png_of_chunks(kind: bytes, content: bytes, times: int) -> bytes:
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    data = encode(Image.new("L", (30, 30)), "PNG")
    return data[:33] + chunk * times + data[33:]  # after the header


def gif_of_comments(times: int) -> bytes:
    data = encode(Image.new("L", (30, 30)), "GIF")
    start = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))  # after the palette
    return data[:start] + b"!\xfe" + (b"\xff" + bytes(255)) * times + b"\0" + data[start:]


def bmp_of_runs(side: int) -> bytes:
    """Run lengths of one pixel each."""
    runs = (b"\1\0" * side + b"\0\0") * side
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(runs), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(runs), 0, 0, 14 + len(header)) + header + runs


LONG: dict[
    str, Callable[[int], bytes]
] = {  # the makers of files whose decoding takes long, each with a number that says how long
    "JPEG of segments": lambda n: jpeg_of_segments(0xE9, b"", n),
    "PNG of texts": lambda n: png_of_chunks(b"tEXt", b"a\0b", n // 11),
    "GIF of comments": lambda n: gif_of_comments(n // 20),
    "BMP of runs": lambda n: bmp_of_runs(int(n**0.5)),
    "PPM of comments": lambda n: b"P6" + b"\n#" * n + b"\n30 30\n255\n" + bytes(2700),
    "PPM in digits": lambda n: b"P3 %d 30 255\n" % n + b"1 " * (90 * n),
    "PPM of an odd depth": lambda n: b"P6 %d 30 254\n" % n + bytes(90 * n),
}


@pytest.mark.parametrize("kind", LONG)
def test_what_takes_long_is_stopped(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which each look takes a second: there are looks all along, and hardly any once the time is up."""
    looks = itertools.count()
    monkeypatch.setattr(decoding, "SECONDS", 30)
    monkeypatch.setattr(decoding, "LONG_FILE", 2**30)  # would be decoded elsewhere
    monkeypatch.setattr(decoding, "time", SimpleNamespace(thread_time=lambda: next(looks)))
    assert refusal(LONG[kind](100_000)) == "The data takes more than 30 seconds to decode."
    assert next(looks) < 40


@pytest.mark.parametrize("kind", LONG)
def test_what_takes_long_is_a_picture(kind: str) -> None:
    assert load_image(LONG[kind](100)).max() <= 1


def test_a_jpeg_of_thousands_of_scans_is_stopped() -> None:
    assert re.fullmatch(OUT_OF_TIME, refusal(jpeg_of_scans(8000, 2000)))
    assert load_image(jpeg_of_scans(80, 2000)).shape == (80, 80)


def test_a_large_picture_in_one_call_is_decoded_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.new("RGB", (4000, 2000), (0, 0, 255)), "WEBP")
    pixels = load_image(data)
    assert pixels.shape == (512, 1024, 3)
    np.testing.assert_allclose(pixels[100, 100], (0, 0, 255), atol=3)
    monkeypatch.setattr("sys.executable", None)
    assert "there is no Python program to start" in refusal(data)


def test_what_may_take_long_is_seen_at_once() -> None:
    """By what takes a hundred milliseconds at most, of which the file itself is made beforehand."""
    long = {
        "HEIC": SHIRT,
        "TIFF": encode(Image.new("L", (30, 30)), "TIFF"),
        "scans": jpeg_of_scans(80, 100),
        "progressive": encode(Image.new("L", (5000, 4000)), "JPEG", progressive=True, quality=1),
        "pixels": encode(Image.new("1", (5000, 4000)), "PNG"),
        "WebP": encode(Image.new("L", (2100, 2100)), "WEBP"),
        "chunks": png_of_chunks(b"tEXt", b"a\0b", 10_001),
        "digits": LONG["PPM in digits"](6000),
        "comments": LONG["PPM of comments"](300_000),
        "segments": jpeg_of_segments(0xE9, b"", 300_000),
    }
    assert [kind for kind, data in long.items() if not decoding.may_take_long(data)] == []
    short = [encode(Image.new("RGB", (4000, 3000)), "JPEG"), encode(Image.new("RGB", (4000, 3000)), "PNG"), b"", b"text"]
    short += [encode(Image.new("L", (5000, 4000)), "JPEG", quality=1), encode(Image.new("L", (30, 30)), "PPM")]
    assert [len(data) for data in short if decoding.may_take_long(data)] == []


def test_metadata_that_share_their_values_take_no_memory() -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    joined = jpeg_of_segments(0xE1, b"Exif\0\0" + shared_values(60_000, 100), 100)  # 6 MB, 5,000 times over
    assert re.fullmatch(rf"{OUT_OF_TIME}|The data .*MemoryError\.", refusal(joined))  # whichever bound comes first
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 1.1 * decoding.MEMORY
    assert load_image(png_of_chunks(b"eXIf", shared_values(6_000_000), 1)).shape == (30, 30)
    profile = b"Raw profile type exif\0" + b"\nexif\n 500000\n" + shared_values(500_000).hex().encode()
    assert load_image(png_of_chunks(b"tEXt", profile, 1)).shape == (30, 30)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200_000  # kB


def test_nobody_waits_for_a_picture_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    opening, go_on, opened = threading.Event(), threading.Event(), Image.open

    def slow(file: Any, **options: Any) -> Image.Image:
        if not opening.is_set():
            opening.set()
            assert go_on.wait(PATIENCE)
        return opened(file, **options)

    monkeypatch.setattr(Image, "open", slow)
    data, filters = encode(Image.new("L", (30, 30)), "PNG"), list(warnings.filters)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(load_image, data)
        assert opening.wait(PATIENCE)
        assert load_image(data).shape == (30, 30)
        assert not first.done()
        go_on.set()
        assert first.result(PATIENCE).shape == (30, 30)
    assert list(warnings.filters) == filters


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the decoder in the process that decodes: code to be written."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "pi_heif.py"


def test_a_photo_that_says_how_it_is_turned_is_upright_and_not_turned_twice() -> None:
    pixels = load_image(FIXTURES / "turned.heic")  # stored as 192 columns, with a rotation box and an EXIF orientation
    colours = [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 90, 200], [0, 0, 0], [255, 255, 255]]]
    assert pixels.shape == (128, 192, 3)
    np.testing.assert_allclose(pixels[32::64, 32::64].astype(int), colours, atol=2)


def test_gray_stays_gray_and_transparency_becomes_white() -> None:
    gray, transparent = load_image(FIXTURES / "gray.heic"), load_image(FIXTURES / "transparent.heic")
    np.testing.assert_allclose(gray[32::64, 32::64].astype(int), [[10, 120, 250]], atol=2)
    np.testing.assert_allclose(transparent[32::64, 32::64].astype(int), [[[200, 100, 0], [255, 255, 255]]], atol=2)


def test_a_photo_is_named_as_its_jpeg_is(example_labels: dict[Path, str]) -> None:
    jpeg = next(path for path in example_labels if path.name == "shirt.jpg")
    of_heic, of_jpeg = predict([SHIRT, jpeg])
    assert of_heic.label == of_jpeg.label == "Shirt"
    assert of_heic.confidence == pytest.approx(of_jpeg.confidence, abs=0.02)


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        ((b"heic", b"mif1", b"heic"), True),
        ((b"mif1", b"miaf", b"heix"), True),
        ((b"avif", b"mif1", b"miaf"), False),
        ((b"mp42", b"isom", b"avc1"), False),
    ],
    ids=["telephone", "compatible", "AVIF", "film"],
)
def test_what_a_file_says_that_it_is(brands: tuple[bytes, ...], expected: bool) -> None:
    main, *compatible = brands
    assert decoding.is_heic(box(b"ftyp", main + bytes(4) + b"".join(compatible)) + b"heic") is expected


def test_damaged_files() -> None:
    assert refusal(SHIRT[:40]) == "The data (40 bytes) is a HEIC photo that is damaged at its start."
    assert re.match(r"The data .*is truncated(,| or) damaged", refusal(SHIRT[: len(SHIRT) // 2]))
    rng = np.random.default_rng(1)
    for _ in range(10):
        data = bytearray(SHIRT)
        for position in rng.integers(0, 400, 3):
            data[position] ^= 1 << rng.integers(8)
        with contextlib.suppress(InvalidImageError):
            assert load_image(data).ndim == 3


def test_too_many_pixels() -> None:
    large = SHIRT.replace(struct.pack(">II", 240, 320), struct.pack(">II", 8_000, 9_000))  # what its header says
    assert refusal(large) == "The data has 8000x9000 = 72,000,000 pixels, too many."


def test_a_decoder_that_crashes_takes_nobody_along(decoder: Path) -> None:
    decoder.write_text("import os\nos.abort()\n")
    assert refusal(SHIRT) == "The data cannot be decoded, the decoder failed: exit status -6, without a word."


def test_no_python_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert refusal(SHIRT).startswith("The data cannot be decoded, the decoder does not start: [Errno 2]")
    monkeypatch.setattr("sys.executable", None)
    expected = "it needs a process of its own, and there is no Python program to start."
    assert refusal(SHIRT) == f"The data cannot be decoded here: {expected}"


@pytest.mark.parametrize("program", ["true", "cat"])
def test_another_program_in_pythons_place(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", shutil.which(program))
    assert refusal(SHIRT).startswith("The data cannot be decoded, the decoder failed: ")


def test_a_decoder_that_does_not_end(decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PATIENCE", 0.5)
    decoder.write_text("import time\ntime.sleep(60)\n")
    assert refusal(SHIRT) == "The data takes more than 0.5 seconds to decode."


def test_the_modules_of_the_package_hide_no_others_from_the_decoder(decoder: Path) -> None:
    decoder.write_text("import errors\n")
    expected = "the decoder failed: exit status 1, ModuleNotFoundError: No module named 'errors'."
    assert refusal(SHIRT) == f"The data cannot be decoded, {expected}"


HOSTILE: dict[str, Callable[[], bytes]] = {  # 0.4 to 96 MB, of which the pictures took from nine seconds to minutes
    "JPEG of scans": lambda: jpeg_of_scans(8000, 2000),
    "WebP": lambda: encode(Image.new("RGB", (8000, 8000)), "WEBP", lossless=True),
    "PNG of texts": lambda: png_of_chunks(b"tEXt", b"a\0b", 1_500_000),
    "PPM of comments": lambda: b"P6" + b"\n#" * 15_000_000 + b"\n30 30\n255\n" + bytes(2700),
    "PPM in digits": lambda: b"P3 4000 4000 255\n" + b"1 " * 48_000_000,
    "PPM of an odd depth": lambda: b"P6 4000 4000 254\n" + bytes(48_000_000),
    "BMP of runs": lambda: bmp_of_runs(3000),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_done_with_in_five_seconds_and_others_go_on(kind: str) -> None:
    data, beside = HOSTILE[kind](), 0
    predict("examples/dress.jpg")

    def read() -> float:
        """The processor's seconds, here and in the process that decodes."""
        start, children = time.thread_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with contextlib.suppress(InvalidImageError):
            load_image(data)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.thread_time() - start + ended.ru_utime - children.ru_utime + ended.ru_stime - children.ru_stime

    with ThreadPoolExecutor(1) as pool:
        hostile = pool.submit(read)
        while not hostile.done():
            assert predict("examples/dress.jpg").label == "Dress"
            beside += not hostile.done()
    assert hostile.result() < 5
    assert beside > 0


@pytest.mark.slow
def test_mutated_files_are_read_or_refused() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz_decoding", "3000"]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    found = json.loads(child.stdout)
    assert found["files"] == 3000
    assert 300 < found["refused"] < 2700
    assert found["slowest"] < 5
    assert found["memory"] < 2**30
