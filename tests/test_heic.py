"""HEIC files were made with pillow-heif, which encodes; the library has the decoder alone."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import InvalidImageError, heic, predict
from fashion_classifier.images import load_image

FIXTURES = Path(__file__).parent / "fixtures"
SHIRT = (FIXTURES / "shirt.heic").read_bytes()


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidImageError) as caught:
        load_image(data)
    return caught.value.problem


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


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
    assert heic.is_heic(box(b"ftyp", main + bytes(4) + b"".join(compatible)) + b"heic") is expected


def test_damaged_files() -> None:
    assert refusal(SHIRT[:40]) == "The data is a HEIC photo that is damaged at its start."
    assert refusal(SHIRT[: len(SHIRT) // 2]).startswith("The data is a truncated or damaged HEIC photo: ")
    rng = np.random.default_rng(1)
    for _ in range(10):
        data = bytearray(SHIRT)
        for position in rng.integers(0, 400, 3):
            data[position] ^= 1 << rng.integers(8)
        with contextlib.suppress(InvalidImageError):
            assert load_image(data).ndim == 3


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fashion_classifier.images.MAX_PIXELS", 240 * 320 - 1)
    assert refusal(SHIRT) == "The data has 240x320 = 76,800 pixels, too many."


def test_a_decoder_that_crashes_takes_nobody_along(decoder: Path) -> None:
    decoder.write_text("import os\nos.abort()\n")
    assert refusal(SHIRT) == "The data is a HEIC photo, and its decoder failed: exit status -6, without a word."


def test_no_python_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert refusal(SHIRT).startswith("The data is a HEIC photo, and its decoder cannot be started: [Errno 2]")
    monkeypatch.setattr("sys.executable", None)
    assert refusal(SHIRT) == "The data is a HEIC photo, and there is no Python program to decode it in."


@pytest.mark.parametrize("program", ["true", "cat"])
def test_another_program_in_pythons_place(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", shutil.which(program))
    assert refusal(SHIRT).startswith("The data is a HEIC photo, and its decoder failed: ")


def test_a_decoder_that_does_not_end(decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "SECONDS", 0.5)
    decoder.write_text("import time\ntime.sleep(60)\n")
    assert refusal(SHIRT) == "The data is a HEIC photo that took longer than 0.5 seconds to decode."


def test_the_modules_of_the_package_hide_no_others_from_the_decoder(decoder: Path) -> None:
    decoder.write_text("import errors\n")
    expected = "its decoder failed: exit status 1, ModuleNotFoundError: No module named 'errors'."
    assert refusal(SHIRT) == f"The data is a HEIC photo, and {expected}"
