"""Decoding: expected pixels are written out by hand, files are made by Pillow or, where it cannot, byte by byte."""

import functools
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageFile

from fashion_classifier.decoding import FORMATS, MAX_PIXELS, MAX_SIDE
from fashion_classifier.errors import InvalidImageError
from fashion_classifier.images import ACCEPTED, load_image
from tests.patience import PATIENCE

GRAY = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
COLOUR = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 90, 200], [0, 0, 0], [255, 255, 255]]], np.uint8)
ORIENTATION = 0x0112  # EXIF tag
PILLOW_FORMATS = [name for name in FORMATS if name != "HEIC"]  # Pillow writes these


def encode(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, kind: int, data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from its raw scan lines; `kind` is 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGBA."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + body


def bilevel_png(width: int, height: int) -> bytes:
    """A black 1-bit PNG, complete and a few KB small, however large the picture."""
    return png(width, height, 1, 0, bytes(height * (1 + (width + 7) // 8)))


def scan_lines_16(values: npt.NDArray[np.uint8]) -> bytes:
    """The values at 16 bits, as scan lines without a filter."""
    return b"".join(b"\0" + (row * np.uint16(257)).astype(">u2").tobytes() for row in values)


def refusal(picture: Any) -> str:
    """What is wrong with the picture; every refusal goes on to say what is accepted."""
    with pytest.raises(InvalidImageError) as caught:
        load_image(picture)
    assert str(caught.value) == f"{caught.value.problem} Accepted: {ACCEPTED}"
    assert caught.value.problem.endswith(".")
    return caught.value.problem


def check(picture: Any, expected: npt.ArrayLike, tolerance: int = 0) -> None:
    pixels = load_image(picture)
    assert pixels.dtype == np.uint8
    assert pixels.shape == np.shape(expected)
    np.testing.assert_allclose(pixels.astype(int), np.asarray(expected).astype(int), rtol=0, atol=tolerance)


@functools.cache
def large_jpeg(file_format: str = "JPEG", orientation: int = 1) -> bytes:
    """4000x3000: left half black, right half white."""
    image = Image.new("L", (4000, 3000))
    image.paste(255, (2000, 0, 4000, 3000))
    more: dict[str, Any] = {}
    if file_format == "MPO":
        more = {"save_all": True, "append_images": [Image.new("L", (40, 30), 128)]}
    if orientation != 1:
        more["exif"] = Image.Exif()
        more["exif"][ORIENTATION] = orientation
    return encode(image.convert("RGB"), file_format, **more)


# What is accepted


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_encoded_bytes(kind: Callable[[bytes], Any]) -> None:
    check(kind(encode(Image.fromarray(COLOUR))), COLOUR)


def test_paths_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "a picture.without-extension"
    path.write_bytes(encode(Image.fromarray(COLOUR)))
    check(path, COLOUR)
    check(str(path), COLOUR)
    with path.open("rb") as file:
        check(file, COLOUR)
        assert not file.closed
    with path.open("rb", buffering=0) as raw:
        check(raw, COLOUR)


def test_file_is_read_from_where_it_stands_and_needs_no_seek() -> None:
    class Stream:
        """As a socket's: of what is wanted it gives some at a time."""

        def __init__(self, data: bytes | bytearray) -> None:
            self.data = data

        def read(self, size: int) -> bytes | bytearray:
            given, self.data = self.data[: min(size, 7)], self.data[min(size, 7) :]
            return given

    data = encode(Image.fromarray(COLOUR))
    check(Stream(data), COLOUR)
    check(Stream(bytearray(data)), COLOUR)
    file = io.BytesIO(b"mail header" + data)
    file.seek(len(b"mail header"))
    check(file, COLOUR)


@pytest.mark.parametrize("file_format", PILLOW_FORMATS)
def test_every_format_in_colour_and_gray(file_format: str) -> None:
    best: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "JPEG": {"quality": 100}}
    options = best.get(file_format, {})
    blocks = COLOUR.repeat(32, 0).repeat(32, 1)  # as large as a JPEG chroma block, and more
    pixels = load_image(encode(Image.fromarray(blocks), file_format, **options))
    np.testing.assert_allclose(pixels[16::32, 16::32].astype(int), COLOUR, atol=3)
    gray = load_image(encode(Image.fromarray(GRAY.repeat(32, 0).repeat(32, 1)), file_format, **options))
    gray = gray if gray.ndim == 2 else gray[..., 0]  # WebP and AVIF know no gray
    np.testing.assert_allclose(gray[16::32, 16::32].astype(int), GRAY, atol=3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.longdouble])
@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (8, 8, 4)])
def test_float_arrays_keep_every_level(dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(shape)
    if shape[-1] == 4:
        levels[..., 3] = 255
    expected = levels.reshape(16, 16) if shape[-1] != 4 else levels[..., :3]
    check((levels / 255).astype(dtype), expected)


def test_float_arrays_are_rounded() -> None:
    check(np.array([[0.49, 0.51], [1.49, 254.51]]) / 255, [[0, 1], [1, 255]])


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_array_layouts(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if shape[-1] == 4:
        array[..., 3] = 255
    expected = array[..., 0] if shape[-1] == 1 else array[..., :3] if shape[-1] == 4 else array
    before = array.copy()
    wide = np.zeros((10, 21, *shape[2:]), np.uint8)
    wide[::2, ::3] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    unmasked = np.ma.masked_array(array, mask=False)
    for same in (array, wide[::2, ::3], np.asfortranarray(array), array[::-1][::-1], read_only, unmasked):
        check(same, expected)
    pixels = load_image(array)
    pixels[:] = 0  # the result is the caller's own
    np.testing.assert_array_equal(array, before)


def test_array_and_pil_image_agree() -> None:
    check(np.asarray(Image.fromarray(COLOUR)), COLOUR)
    check(Image.fromarray(COLOUR), COLOUR)
    check(Image.fromarray(GRAY), GRAY)


# Orientation


ORIENTED = {
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[40, 10], [50, 20], [60, 30]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[30, 60], [20, 50], [10, 40]],
}


@pytest.mark.parametrize(("orientation", "expected"), ORIENTED.items())
def test_exif_orientation(orientation: int, expected: list[list[int]]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(GRAY)
    for file_format in ("PNG", "TIFF"):
        data = encode(image, file_format, exif=exif)
        check(data, expected)
        check(Image.open(io.BytesIO(data)), expected)
    check(encode(image, "WEBP", lossless=True, exif=exif), np.stack([expected] * 3, axis=2))
    blocks = np.repeat(np.repeat(expected, 8, 0), 8, 1)
    for file_format in ("JPEG", "MPO"):
        check(encode(image.resize((24, 16), Image.Resampling.NEAREST), file_format, quality=100, exif=exif), blocks, 2)
    image.getexif()[ORIENTATION] = orientation  # set in memory, by the caller
    check(image, expected)
    np.testing.assert_array_equal(np.asarray(image), GRAY)
    assert image.getexif()[ORIENTATION] == orientation


def test_orientation_of_a_reduced_jpeg() -> None:
    pixels = load_image(large_jpeg(orientation=6))  # a quarter turn clockwise: the black left half comes up
    assert pixels.shape == (1000, 750, 3)
    assert pixels[:488].max() < 8
    assert pixels[-488:].min() > 247


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0MM\0*\xff\xff\xff\xff"],
    ids=["empty", "garbage", "cut", "far offset"],
)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_damaged_exif_does_not_refuse_a_good_picture(exif: bytes, file_format: str) -> None:
    assert load_image(encode(Image.new("RGB", (9, 6), "white"), file_format, exif=exif)).mean() == 255


def test_orientation_of_an_unknown_value_is_ignored() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 9
    check(encode(Image.fromarray(GRAY), exif=exif), GRAY)


# Transparency: value * alpha + 255 * (1 - alpha)


RGBA = np.array([[[200, 100, 0, 255], [200, 100, 0, 0]], [[200, 100, 0, 51], [0, 0, 0, 102]]], np.uint8)
ON_WHITE = [[[200, 100, 0], [255, 255, 255]], [[244, 224, 204], [153, 153, 153]]]  # alpha 0.2 and 0.4 below


@pytest.mark.parametrize(
    "picture",
    [
        RGBA,
        RGBA / 255,
        Image.fromarray(RGBA),
        Image.fromarray(RGBA).convert("RGBa"),
        Image.fromarray(RGBA).convert("PA"),
        encode(Image.fromarray(RGBA)),
        encode(Image.fromarray(RGBA), "TIFF"),
        encode(Image.fromarray(RGBA), "WEBP", lossless=True, exact=True),
        png(2, 2, 16, 6, scan_lines_16(RGBA)),
    ],
    ids=["array", "float", "RGBA", "RGBa", "PA", "PNG", "TIFF", "WebP", "16-bit PNG"],
)
def test_rgba_is_composited_on_white(picture: Any) -> None:
    check(picture, ON_WHITE, tolerance=2)  # premultiplied colours are rounded twice


@pytest.mark.parametrize("mode", ["LA", "La", "PNG", "16-bit PNG"])
def test_gray_with_alpha_is_composited_on_white(mode: str) -> None:
    values = np.array([[[100, 255], [100, 0]], [[100, 51], [0, 102]]], np.uint8)
    image = Image.fromarray(values, "LA")
    pictures: dict[str, Any] = {
        "PNG": encode(image),
        "16-bit PNG": png(2, 2, 16, 4, scan_lines_16(values)),
    }
    expected = np.array([[100, 255], [224, 153]])
    check(pictures[mode] if mode in pictures else image.convert(mode), np.stack([expected] * 3, axis=2), tolerance=2)


PALETTE = (b"PLTE", bytes([200, 100, 0, 0, 0, 0, 10, 20, 30]))
INDICES = b"\0\0\1" + b"\0\2\2"  # two scan lines, each after its filter byte


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (None, [[[200, 100, 0], [0, 0, 0]], [[10, 20, 30], [10, 20, 30]]]),
        (bytes([255, 0]), [[[200, 100, 0], [255, 255, 255]], [[10, 20, 30], [10, 20, 30]]]),
        (bytes([51, 102, 0]), [[[244, 224, 204], [153, 153, 153]], [[255, 255, 255], [255, 255, 255]]]),
    ],
    ids=["opaque", "one index", "alpha per index"],
)
def test_palette(alpha: bytes | None, expected: list[list[list[int]]]) -> None:
    chunks = [PALETTE] if alpha is None else [PALETTE, (b"tRNS", alpha)]
    data = png(2, 2, 8, 3, INDICES, *chunks)
    check(data, expected)
    check(Image.open(io.BytesIO(data)), expected)


def test_what_is_white_itself_is_composited_on_gray() -> None:
    rgba = np.full((10, 10, 4), 255, np.uint8)
    rgba[:, :4, 3] = 0
    expected = np.full((10, 10, 3), 255, np.uint8)
    expected[:, :4] = 128
    check(rgba, expected)
    rgba[:, 4, :3] = 90  # one in six pixels seen is not white
    expected[:, 4], expected[:, :4] = 90, 255
    check(rgba, expected)
    check(np.zeros((4, 4, 4), np.uint8), np.full((4, 4, 3), 255))  # nothing is seen


def test_transparent_colour_of_opaque_modes() -> None:
    rgb = png(2, 2, 8, 2, b"\0" + bytes([1, 2, 3, 4, 5, 6]) + b"\0" + bytes([1, 2, 3, 1, 2, 9]), (b"tRNS", b"\0\1\0\2\0\3"))
    check(rgb, [[[255] * 3, [4, 5, 6]], [[255] * 3, [1, 2, 9]]])
    gray = png(2, 2, 8, 0, b"\0\7\x08" + b"\0\x09\7", (b"tRNS", b"\0\7"))
    check(gray, np.stack([[[255, 8], [9, 255]]] * 3, axis=2))
    one_bit = png(2, 2, 1, 0, b"\0\x40" + b"\0\x80", (b"tRNS", b"\0\0"))
    check(one_bit, np.stack([[[128, 255], [255, 128]]] * 3, axis=2))  # all that is seen is white
    gray16 = png(
        2, 2, 16, 0, b"\0" + struct.pack(">HH", 7, 8 * 257) + b"\0" + struct.pack(">HH", 9 * 257, 7), (b"tRNS", b"\0\7")
    )
    check(gray16, [[255, 8], [9, 255]])
    gif = encode(Image.open(io.BytesIO(png(2, 2, 8, 3, INDICES, PALETTE))), "GIF", transparency=1)
    check(gif, [[[200, 100, 0], [255] * 3], [[10, 20, 30], [10, 20, 30]]])


# Other modes and depths


def test_one_bit() -> None:
    image = Image.fromarray(np.array([[0, 255, 0], [255, 255, 0]], np.uint8)).convert("1", dither=Image.Dither.NONE)
    for picture in (image, encode(image), encode(image, "TIFF"), encode(image, "BMP")):
        check(picture, [[0, 255, 0], [255, 255, 0]])


WORDS = np.array([[0, 128, 129, 257], [385, 386, 32896, 65535]])
LEVELS = [[0, 0, 1, 1], [1, 2, 128, 255]]  # words / 257, to the nearest


@pytest.mark.parametrize(
    "picture",
    [
        Image.frombytes("I;16", (4, 2), WORDS.astype("<u2").tobytes()),
        Image.frombytes("I;16L", (4, 2), WORDS.astype("<u2").tobytes()),
        Image.frombytes("I;16B", (4, 2), WORDS.astype(">u2").tobytes()),
        Image.fromarray(WORDS.astype(np.int32)),
        encode(Image.fromarray(WORDS.astype(np.uint16))),
        encode(Image.fromarray(WORDS.astype(np.uint16)), "TIFF"),
        encode(Image.fromarray(WORDS.astype(np.uint16)), "TIFF", compression="tiff_lzw"),
        encode(Image.frombytes("I;16B", (4, 2), WORDS.astype(">u2").tobytes()), "TIFF"),
        encode(Image.fromarray(WORDS.astype(np.int32)), "TIFF"),
        b"P5 4 2 65535\n" + WORDS.astype(">u2").tobytes(),
    ],
    ids=["I;16", "I;16L", "I;16B", "I", "PNG", "TIFF", "LZW", "big-endian TIFF", "32-bit TIFF", "PGM"],
)
def test_16_bit_gray_is_scaled(picture: Any) -> None:
    check(picture, LEVELS)


@pytest.mark.parametrize("values", [[[-1, 0], [0, 0]], [[0, 65536], [0, 0]]])
def test_integers_outside_16_bits_are_refused(values: list[list[int]]) -> None:
    text = refusal(Image.fromarray(np.array(values, np.int32)))
    assert text == f"The PIL image has mode I and values from {np.min(values)} to {np.max(values)}, outside 16 bits."


def test_float_images_are_in_0_to_1() -> None:
    image = Image.fromarray(np.array([[0, 0.2], [0.4, 1]], np.float32))
    check(image, [[0, 51], [102, 255]])
    check(encode(image, "TIFF"), [[0, 51], [102, 255]])
    text = refusal(encode(Image.fromarray(np.array([[0, 255], [3, 4]], np.float32)), "TIFF"))
    assert text == "The data has shape (2, 2) and dtype float32, and values from 0 to 255; pass array.astype('uint8')."
    assert "NaN" in refusal(Image.fromarray(np.array([[0, np.nan], [0, 1]], np.float32)))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "RGBX"])
def test_other_colour_spaces(mode: str) -> None:
    check(Image.fromarray(COLOUR).convert(mode), COLOUR, 5)  # HSV has 8 bits for the whole circle of hues


def test_lab() -> None:
    colour = np.full((2, 2, 3), [150, 90, 60], np.uint8)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(colour), srgb, lab, outputMode="LAB")
    assert image is not None
    assert image.mode == "LAB"
    check(image, colour, 4)
    check(encode(image, "TIFF"), colour, 4)


def test_cmyk_jpeg() -> None:
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    check(encode(inks, "JPEG", quality=100), np.full((16, 16, 3), [255, 0, 0]), 2)
    check(encode(inks, "TIFF"), np.full((16, 16, 3), [255, 0, 0]))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_first_frame(file_format: str) -> None:
    frames = [Image.new("RGB", (16, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 100} if file_format == "MPO" else {}
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    opened = Image.open(io.BytesIO(data))
    assert getattr(opened, "n_frames", 1) == 3
    check(data, np.full((8, 16, 3), [255, 0, 0]), 1)
    opened.seek(2)  # of an open image the frame at which it stands, and it stays there
    check(opened, np.full((8, 16, 3), [0, 0, 255]), 1)
    assert opened.tell() == 2


# Size


@pytest.mark.parametrize(("width", "height"), [(9000, 8000), (10_000, 10_000), (20_000, 10_000)])
def test_too_many_pixels(width: int, height: int) -> None:
    data = bilevel_png(width, height)  # above our limit, above Pillow's warning, above Pillow's error
    assert len(data) < 30_000
    for picture in (data, data[:60]):  # cut within the pixels: the size is looked at before decoding
        text = refusal(picture)
        assert "too many" in text
        assert f"{width * height:,}" in text or str(width * height) in text


def test_too_many_pixels_in_an_image_or_array() -> None:
    shape = (8193, 8192)
    assert refusal(Image.new("1", shape[::-1])) == "The PIL image has 8192x8193 = 67,117,056 pixels, too many."
    assert "too many" in refusal(np.broadcast_to(np.uint8(0), shape))
    assert "too many" in refusal(np.broadcast_to(np.float64(0), (*shape, 3)))


def test_largest_picture_is_read() -> None:
    data = bilevel_png(8192, MAX_PIXELS // 8192)
    check(data, np.zeros((MAX_SIDE, MAX_SIDE)))


def test_warning_filters_survive_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that overlap: the second comes while the first is inside, and leaves after it."""
    open_, first_inside, second_inside, first_done = Image.open, threading.Event(), threading.Event(), threading.Event()

    def ordered_open(*args: Any, **options: Any) -> Image.Image:
        if first_inside.is_set():
            second_inside.set()
            assert first_done.wait(PATIENCE)
        else:
            first_inside.set()
            assert second_inside.wait(PATIENCE)
        return open_(*args, **options)

    monkeypatch.setattr(Image, "open", ordered_open)
    data, before = bilevel_png(10_000, 10_000), list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(refusal, data)
        first.add_done_callback(lambda _: first_done.set())
        assert first_inside.wait(PATIENCE)
        second = pool.submit(refusal, data)
    assert "too many" in first.result()
    assert "too many" in second.result()
    assert list(warnings.filters) == before


@pytest.fixture
def decoded_sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes at which image files are decoded, as they come."""
    sizes: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def recording_load(image: ImageFile.ImageFile) -> Any:
        if image.tile:  # still to be decoded
            sizes.append(image.size)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", recording_load)
    return sizes


@pytest.mark.parametrize("file_format", ["JPEG", "MPO"])
def test_large_jpeg_is_decoded_reduced(file_format: str, decoded_sizes: list[tuple[int, int]]) -> None:
    pixels = load_image(large_jpeg(file_format))
    assert decoded_sizes == [(1000, 750)]
    assert pixels.shape == (750, 1000, 3)
    assert pixels[:, :496].max() < 8
    assert pixels[:, -496:].min() > 247


@pytest.mark.parametrize(
    ("size", "decoded", "kept"),
    [
        ((1024, 700), (1024, 700), (1024, 700)),
        ((1025, 700), (1025, 700), (1024, 699)),
        ((2048, 100), (1024, 50), (1024, 50)),
        ((3000, 300), (1500, 150), (1024, 102)),  # a quarter is 750, less than three quarters of 1024
        ((900, 4096), (225, 1024), (225, 1024)),
        ((16000, 16), (2000, 2), (1024, 2)),
    ],
)
def test_reduced_sizes(
    size: tuple[int, int], decoded: tuple[int, int], kept: tuple[int, int], decoded_sizes: list[tuple[int, int]]
) -> None:
    assert load_image(encode(Image.new("L", size, 77), "JPEG")).shape == kept[::-1]
    assert decoded_sizes == [decoded]
    check(Image.new("L", size, 77), np.full(kept[::-1], 77))


def test_an_open_image_is_not_changed(decoded_sizes: list[tuple[int, int]]) -> None:
    opened = Image.open(io.BytesIO(large_jpeg(orientation=6)))
    assert load_image(opened).shape == (1024, 768, 3)
    assert decoded_sizes == [(4000, 3000)]
    assert (opened.size, opened.mode, opened.getexif()[ORIENTATION]) == ((4000, 3000), "RGB", 6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"])
@pytest.mark.parametrize("size", [(40, 30), (2000, 30)])
def test_no_mode_is_changed_or_refused(mode: str, size: tuple[int, int]) -> None:
    image = Image.new("L", size).convert(mode) if mode in ("P", "PA") else Image.new(mode, size)
    before = image.tobytes()
    assert load_image(image).dtype == np.uint8
    assert (image.tobytes(), image.size, image.mode) == (before, size, mode)


def test_reduction_averages() -> None:
    stripes = np.zeros((8, 4096), np.uint8)
    stripes[:, 1::2] = 255  # one pixel wide: every nearest-neighbour reduction would be all black or all white
    pixels = load_image(stripes)
    assert pixels.shape == (2, 1024)
    assert abs(pixels[:, 2:-2].astype(int) - 128).max() <= 2


def test_transparent_colour_does_not_bleed_when_reduced() -> None:
    rgba = np.zeros((64, 2048, 4), np.uint8)  # transparent black
    rgba[:, 1024:] = 200, 200, 200, 255
    for picture in (rgba, encode(Image.fromarray(rgba))):
        pixels = load_image(picture)
        assert pixels.min() >= 199
        assert (pixels[:, :510] == 255).all()
        assert (pixels[:, 514:] == 200).all()


# Refusals


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"/>'


@pytest.mark.parametrize(
    "text",
    [SVG, f'<?xml version="1.0"?>\n{SVG}', f" \r\n\t{SVG}", f"<!-- a shirt -->\n{SVG}", SVG.upper(), f"<!DOCTYPE svg>{SVG}"],
    ids=["bare", "declaration", "whitespace", "comment", "upper case", "doctype"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_svg(text: str, encoding: str) -> None:
    assert "is an SVG drawing, not a pixel image" in refusal(text.encode(encoding))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"just some text\n",
            "The data (15 bytes) is not an image of a known format, or damaged at its start, b'just some te'.",
        ),
        (b"<html><body><svg/>", "The data (18 bytes) is a web page, not an image"),
        (b"%PDF-1.7\n", "The data (9 bytes) is a PDF document, not a pixel image."),
        (bytes(100), "not an image of a known format"),
        (b"\xff\xd8\xff", "not an image of a known format, or damaged at its start"),
        (encode(Image.fromarray(COLOUR), "ICO"), "not an image of a known format"),
    ],
    ids=["text", "HTML", "PDF", "zeros", "JPEG marker", "icon"],
)
def test_not_an_image(data: bytes, expected: str) -> None:
    assert expected in refusal(data)


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert refusal(path) == f"The file {str(path)!r} is empty (0 bytes)."
    for nothing in (b"", bytearray(), memoryview(b"")):
        assert refusal(nothing) == "The data is empty (0 bytes)."
    used = io.BytesIO(encode(Image.fromarray(GRAY)))
    used.read()
    assert refusal(used) == "The file object is empty (0 bytes); if it was used before, rewind it with seek(0)."


@pytest.mark.parametrize("file_format", PILLOW_FORMATS)
def test_truncated(file_format: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(Image.fromarray(noise), file_format)
    path = tmp_path / "cut"
    path.write_bytes(data[: len(data) // 2])
    assert "truncated" in refusal(path)
    assert repr(str(path)) in refusal(path)
    for length in (1, 4, 12, 20, 40):
        assert refusal(data[:length]).startswith("The data ")


@pytest.mark.parametrize("file_format", PILLOW_FORMATS)
def test_damaged_files_are_read_or_refused(file_format: str) -> None:
    rng = np.random.default_rng(PILLOW_FORMATS.index(file_format))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    good = encode(Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8)), file_format, exif=exif)
    refused = 0
    for _ in range(10 if file_format in ("TIFF", "AVIF") else 150):  # each of these two in a process of its own
        data = bytearray(good)
        for position in rng.integers(0, len(data) if rng.random() < 0.5 else 80, rng.integers(1, 6)):
            data[position] ^= 1 << rng.integers(8)
        try:
            assert load_image(data).dtype == np.uint8
        except InvalidImageError:
            refused += 1
    assert refused > 0


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "film.mp4"
    with film.open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no space
    expected = f"The file {str(film)!r} has more than 537,919,488 bytes, too many for a picture."
    assert refusal(film) == expected
    monkeypatch.setattr("fashion_classifier.images.MAX_BYTES", 1000)
    assert refusal("/dev/zero") == "The file '/dev/zero' has more than 1,000 bytes, too many for a picture."
    assert refusal(bytes(1001)) == "The data has more than 1,000 bytes, too many for a picture."
    with Path("/dev/zero").open("rb") as endless:
        assert refusal(endless) == "The file object has more than 1,000 bytes, too many for a picture."
        assert endless.tell() <= 2**21


@pytest.mark.parametrize("size", [(1, 28), (28, 1), (1, 1)])
def test_too_few_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    image = Image.new("L", size)
    path = tmp_path / "thin.png"
    image.save(path)
    for picture, name in ((image, "The PIL image"), (np.asarray(image), "The array"), (path, f"The file {str(path)!r}")):
        assert refusal(picture) == f"{name} has {size[0]}x{size[1]} pixels, too few to show a garment."


@pytest.mark.parametrize("shape", [(0, 0), (0, 28), (28, 0, 3), (28, 1, 4)])
def test_empty_arrays(shape: tuple[int, ...]) -> None:
    for dtype in (np.uint8, np.float32):
        assert refusal(np.zeros(shape, dtype)) == f"The array has {shape[1]}x{shape[0]} pixels, too few to show a garment."
    assert "too few" in refusal(Image.new("RGB", (0, 0)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_non_finite_arrays(value: float, dtype: type[np.floating[Any]]) -> None:
    array = np.zeros((28, 28), dtype)
    array[3, 4] = value
    assert refusal(array) == f"The array has shape (28, 28) and dtype {np.dtype(dtype)}, and holds NaN or infinity."


@pytest.mark.parametrize(("low", "high"), [(-0.01, 1.0), (0.0, 1.01), (0.0, 255.0), (-1.0, 1.0), (0.0, 1e300)])
def test_floats_out_of_range(low: float, high: float) -> None:
    array = np.array([[low, high], [0.5, 0.5]])
    expected = f"The array has shape (2, 2) and dtype float64, and values from {low:g} to {high:g}"
    assert re.fullmatch(rf"{re.escape(expected)}(; .+)?\.", refusal(array))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16", "complex64", "object", "U3", "S3", "M8[s]", "V4"])
def test_wrong_dtypes(dtype: str) -> None:
    array = np.zeros((28, 28), dtype)
    assert re.fullmatch(rf"The array has shape \(28, 28\) and dtype {re.escape(str(array.dtype))}(; .+)?\.", refusal(array))


@pytest.mark.parametrize(
    "shape", [(), (28,), (28, 28, 0), (28, 28, 2), (28, 28, 5), (3, 28, 28), (9, 28, 28, 3), (2, 2, 2, 2, 2)]
)
def test_wrong_shapes(shape: tuple[int, ...]) -> None:
    text = refusal(np.zeros(shape, np.uint8))
    assert text.startswith(f"The array has shape {shape} and dtype uint8")
    assert ("pass a list of arrays" in text) == (len(shape) in (3, 4))


def test_masked_values() -> None:
    array = np.ma.masked_array(np.zeros((2, 2), np.uint8), mask=[[True, False], [False, False]])
    assert refusal(array) == "The array has shape (2, 2) and dtype uint8, and masked values; fill them first."


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.jpg"
    assert refusal(missing) == f"Cannot read the file {str(missing)!r}: No such file or directory."
    assert refusal(str(tmp_path)).startswith(f"Cannot read the file {str(tmp_path)!r}: Is a directory; it is a folder, pass ")
    assert "Cannot read the file 'a\\x00b.jpg': " in refusal("a\0b.jpg")
    assert "Cannot read the file 'a\\udcff/b'" in refusal("a\udcff/b")
    text = refusal("QUJD" * 10_000)  # base64 is a frequent misunderstanding
    assert "name too long" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "url", ["http://host/a.jpg", "https://host/a.jpg", "HTTPS://host/a", "file:///a.jpg", "data:image/png;base64,AA"]
)
def test_urls(url: str) -> None:
    for picture in (url, Path(url)):
        assert refusal(picture).startswith(f"Received the URL {str(picture)!r}; URLs are not fetched, pass ")


class Failing:
    """A file object whose read raises, or gives, what it is told to."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def read(self, size: int) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"text")
    with path.open() as text:
        assert refusal(text) == "Received a file opened as text; open it in binary mode, 'rb'."
    assert refusal(io.StringIO("text")) == "Received a file opened as text; open it in binary mode, 'rb'."
    with path.open("rb") as closed:
        pass
    assert refusal(closed) == "Cannot read the file object: read of closed file."
    with path.open("wb") as written:
        assert refusal(written) == "Cannot read the file object: read."
    assert refusal(Failing(OSError("the disk is gone"))) == "Cannot read the file object: the disk is gone."
    assert refusal(Failing(KeyError())) == "Cannot read the file object: KeyError."
    assert refusal(Failing(None)) == "The file object's read() gave NoneType, not bytes."


@pytest.mark.parametrize("thing", [None, 3, 2.5, {}, {"a": 1}, object(), np.float64(1), [], True, Image])
def test_other_types(thing: Any) -> None:
    assert re.fullmatch(rf"Received an object of type {type(thing).__name__}(; .+)?\.", refusal(thing))
