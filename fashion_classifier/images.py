"""Anything a person holds that is a picture -> a uint8 array, safely.

The library decodes by itself because no two callers decode alike: orientation tags, transparency, palettes, 16-bit and
CMYK files each have a way of turning into a wrong picture without an error.
"""

import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fashion_classifier.errors import InvalidImageError
from fashion_classifier.heic import is_heic, open_heic

UInt8Array = npt.NDArray[np.uint8]

Picture = str | Path | bytes | bytearray | memoryview | IO[bytes] | Image.Image | npt.NDArray[Any]
"""One picture: a path, encoded bytes, a binary file object, a PIL image, or an array.

Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, or float in [0, 1].
"""

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")  # MPO, several JPEGs in a file, opens as JPEG
FORMATS = (*PILLOW_FORMATS, "HEIC")
MAX_PIXELS = 64 * 1024 * 1024  # the largest common phone sensor mode, 9248 x 6936, fits; a 100 MP "bomb" does not
MAX_BYTES = 8 * MAX_PIXELS + 2**20  # of a file: four channels of 16 bits, uncompressed, and what stands before them
MAX_SIDE = 1024  # px, longest side of what is kept: enough to look at, and small enough to be fast
MIN_SIDE = 2  # px
HALF_SEEN = 127  # opacity above which a pixel is what a transparent picture shows
NEARLY_WHITE, ALL_WHITE = 250, 0.95  # of all channels; share of what it shows from which on it would vanish on white
LEAST_DRAFT = 0.75  # of the size to keep, from which a reduced JPEG is large enough: 4032 px are decoded as 1008, not 2016

ACCEPTED = (
    f"a path, bytes, a binary file or a PIL image holding {', '.join(FORMATS)} of at least {MIN_SIDE}x{MIN_SIDE} and at "
    f"most {MAX_PIXELS:,} pixels, or a NumPy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, or of float in [0, 1]."
)

_WARNING_FILTERS = threading.Lock()  # they are global, and `catch_warnings` alone mixes them up between threads


def load_image(picture: Picture) -> UInt8Array:
    """Decode one picture.

    EXIF orientation is applied, transparency is composited on white (on gray what is white itself), 16-bit gray is scaled
    to 8 bits, CMYK and palettes are converted, the first frame of an animation is taken (of a PIL image, the current one).
    Pictures whose longest side is above `MAX_SIDE` are reduced to it; JPEG files are decoded at reduced size at once. File
    objects are read from where they stand to their end, and not closed. Nothing that was passed in is changed.

    Returns:
        uint8 in [0, 255]: (H, W) for gray pictures without transparency, (H, W, 3) RGB for all others.

    Raises:
        InvalidImageError: The picture cannot be read, has fewer than `MIN_SIDE` pixels a side or more than `MAX_PIXELS`
            in all, its file has more than `MAX_BYTES`, or it is an array of another shape, dtype or range.
    """
    if isinstance(picture, np.ndarray):
        return _to_array(_from_array(picture, "The array"))
    if isinstance(picture, Image.Image):
        return _decode(picture, "The PIL image")
    if isinstance(picture, str | os.PathLike):
        return _from_path(os.fspath(picture))
    if isinstance(picture, bytes | bytearray | memoryview):
        return _from_bytes(bytes(picture), "The data")
    if callable(getattr(picture, "read", None)):
        return _from_file(picture)
    raise InvalidImageError(f"Received an object of type {type(picture).__name__}.", ACCEPTED)


def to_gray(image: UInt8Array) -> UInt8Array:
    """(H, W[, 3]) uint8 -> (H, W) uint8: the luma of ITU-R BT.601."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def to_rgb(image: UInt8Array) -> UInt8Array:
    """(H, W[, 3]) uint8 -> (H, W, 3) uint8."""
    return image if image.ndim == 3 else np.stack([image] * 3, axis=2)


def _from_path(path: str | Path) -> UInt8Array:
    text = str(path)
    shown = repr(text if len(text) <= 160 else f"{text[:80]}…{text[-80:]}")  # what was meant as data can be very long
    if re.match(r"data:|[a-z][a-z0-9+.-]+:/", text, re.IGNORECASE):  # two letters at least: C:/ is a drive
        raise InvalidImageError(f"Received the URL {shown}; URLs are not fetched, download it first.", ACCEPTED)
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""  # a pipe's size is 0
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImageError(f"Cannot read the file {shown}: {reason}.", ACCEPTED) from error
    if max(size, len(data)) > MAX_BYTES:
        raise InvalidImageError(f"The file {shown} has more than {MAX_BYTES:,} bytes, too many for a picture.", ACCEPTED)
    return _from_bytes(data, f"The file {shown}")


def _from_file(file: IO[bytes]) -> UInt8Array:
    try:
        data = file.read()
    except Exception as error:  # a file object is anybody's code
        raise InvalidImageError(f"Cannot read the file object: {_reason(error)}.", ACCEPTED) from error
    if isinstance(data, str):
        raise InvalidImageError("Received a file opened as text; open it in binary mode, 'rb'.", ACCEPTED)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InvalidImageError(f"The file object's read() gave {type(data).__name__}, not bytes.", ACCEPTED)
    return _from_bytes(bytes(data), "The file object")


def _from_bytes(data: bytes, name: str) -> UInt8Array:
    if not data:
        hint = "; if it was used before, rewind it with seek(0)" if name == "The file object" else ""
        raise InvalidImageError(f"{name} is empty (0 bytes){hint}.", ACCEPTED)
    if is_heic(data):
        return _from_heic(data, name)
    try:
        with _silence():
            image = Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    except Image.DecompressionBombError as error:  # above Pillow's own limit
        raise InvalidImageError(f"{name} has too many pixels: {error}", ACCEPTED) from error
    except UnidentifiedImageError as error:
        raise InvalidImageError(f"{name} ({len(data):,} bytes) {_kind(data)}.", ACCEPTED) from error
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise InvalidImageError(f"{name} is truncated or damaged: {_reason(error)}.", ACCEPTED) from error
    with image:
        return _decode(image, name, draft=True)


def _from_heic(data: bytes, name: str) -> UInt8Array:
    try:
        image = open_heic(data, MAX_PIXELS)
    except ValueError as error:
        raise InvalidImageError(f"{name} {error}.", ACCEPTED) from error
    with image:
        return _decode(image, name)


def _kind(data: bytes) -> str:
    """What the start of a file that Pillow does not know says about it."""
    start = data[:4096].replace(b"\0", b"").lower()  # without the zeros of UTF-16
    if b"<svg" in start and b"<html" not in start:
        return "is an SVG drawing, not a pixel image"
    if start.startswith(b"%pdf"):
        return "is a PDF document, not a pixel image"
    return f"is not an image of a known format, or damaged at its start, {data[:12]!r}"


def _decode(image: Image.Image, name: str, *, draft: bool = False) -> UInt8Array:
    """`draft` lets JPEG and MPO decode at 1/2, 1/4 or 1/8 of their size; it changes the image object."""
    _check_size(image.size, name)
    try:
        if draft:
            width, height = _reduced(image.size)
            image.draft(None, (max(1, int(width * LEAST_DRAFT)), max(1, int(height * LEAST_DRAFT))))
        image.load()
        return _to_array(_to_8_bit(_upright(image), name))
    except InvalidImageError:
        raise
    except Exception as error:  # see _from_bytes
        message = f"{name} (mode {image.mode}) is truncated, damaged or unsupported: {_reason(error)}."
        raise InvalidImageError(message, ACCEPTED) from error


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


@contextmanager
def _silence() -> Iterator[None]:
    """Without Pillow's warnings: of damaged metadata, and of large pictures, which `_check_size` refuses."""
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise InvalidImageError(f"{name} has {width}x{height} pixels, too few to show a garment.", ACCEPTED)
    if width * height > MAX_PIXELS:
        raise InvalidImageError(f"{name} has {width}x{height} = {width * height:,} pixels, too many.", ACCEPTED)


def _reduced(size: tuple[int, int]) -> tuple[int, int]:
    """The size to keep: the longest side at most `MAX_SIDE`, no side below `MIN_SIDE`."""
    scale = min(1.0, MAX_SIDE / max(size))
    return max(MIN_SIDE, round(size[0] * scale)), max(MIN_SIDE, round(size[1] * scale))


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF or XMP orientation says."""
    try:
        with _silence():
            if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
                return image  # exif_transpose would copy it
            return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a broken EXIF block is no reason to refuse a picture that decodes
        return image


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """An 'L', 'RGB' or 'RGBA' image of the same size."""
    if image.mode.startswith("I"):  # 16-bit gray, in 16- or 32-bit integers
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InvalidImageError(
                f"{name} has mode {image.mode} and values from {values.min()} to {values.max()}, outside 16 bits.", ACCEPTED
            )
        levels, rest = np.divmod(values, 257)  # 65535 = 255 x 257
        levels += rest > 128  # rounds; float arithmetic would take several times the memory
        if "transparency" in image.info:  # the one gray value that is transparent
            levels[values == image.info["transparency"]] = 255
        return Image.fromarray(levels.astype(np.uint8))
    if image.mode == "F":
        return _from_array(np.asarray(image), name)
    if image.mode == "La":  # premultiplied; Pillow converts it to nothing else
        image = image.convert("LA")
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _from_array(array: npt.NDArray[Any], name: str) -> Image.Image:
    """An 'L', 'RGB' or 'RGBA' image with the values of an (H, W[, 1 | 3 | 4]) array."""
    received = f"{name} has shape {array.shape} and dtype {array.dtype}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = "; for several pictures pass a list of arrays" if array.ndim in (3, 4) else ""
        raise InvalidImageError(f"{received}{hint}.", ACCEPTED)
    _check_size((array.shape[1], array.shape[0]), name)
    if np.ma.is_masked(array):
        raise InvalidImageError(f"{received}, and masked values; fill them first.", ACCEPTED)
    array = np.asarray(array)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise InvalidImageError(f"{received}, and holds NaN or infinity.", ACCEPTED)
        if array.min() < 0 or array.max() > 1:
            raise InvalidImageError(f"{received}, and values from {array.min():g} to {array.max():g}.", ACCEPTED)
        array = np.rint(np.multiply(array, 255, dtype=np.float32))
    elif array.dtype != np.uint8:
        raise InvalidImageError(f"{received}.", ACCEPTED)
    pixels = np.ascontiguousarray(array, dtype=np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _to_array(image: Image.Image) -> UInt8Array:
    """The pixels of an 'L', 'RGB' or 'RGBA' image, reduced and composited on white, or on gray where white would hide it."""
    size = _reduced(image.size)
    if size != image.size:
        # All of Pillow's filters average over the area when they shrink. Hamming is as cheap as bilinear and sharper.
        image = image.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)
    if image.mode == "RGBA":
        *colours, alpha = np.moveaxis(np.asarray(image), 2, 0)
        shown = np.min(colours, axis=0)[alpha > HALF_SEEN]
        background = "gray" if shown.size and np.mean(shown >= NEARLY_WHITE) > ALL_WHITE else "white"
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")
    return np.array(image)
