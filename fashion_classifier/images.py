"""Anything a person holds that is a picture -> a uint8 array, safely.

The library decodes by itself because no two callers decode alike: orientation tags, transparency, palettes, 16-bit and
CMYK files each have a way of turning into a wrong picture without an error.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier import hints
from fashion_classifier.decoding import FORMATS, MAX_PIXELS, MIN_SIDE, Size, check_size, decode, reduced, straightened
from fashion_classifier.errors import InvalidImageError

UInt8Array = npt.NDArray[np.uint8]

Picture = str | Path | bytes | bytearray | memoryview | IO[bytes] | Image.Image | npt.NDArray[Any]
"""One picture: a path, encoded bytes, a binary file object, a PIL image, or an array.

Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, or float in [0, 1]. A tensor of PyTorch or TensorFlow
is taken as its array.
"""

MAX_BYTES = 8 * MAX_PIXELS + 2**20  # of a file: four channels of 16 bits, uncompressed, and what stands before them
ROWS = 256  # of a picture of 16 bits, to convert at once
PIECE = 2**20  # bytes, to read at once of a file that does not tell its size
HALF_SEEN = 127  # opacity above which a pixel is what a transparent picture shows
NEARLY_WHITE, ALL_WHITE = 250, 0.95  # of all channels; share of what it shows from which on it would vanish on white

ACCEPTED = (
    f"a path, bytes, a binary file or a PIL image holding {', '.join(FORMATS)} of at least {MIN_SIDE}x{MIN_SIDE} and at "
    f"most {MAX_PIXELS:,} pixels, or a NumPy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, or of float in [0, 1]."
)


def load_image(picture: Picture) -> UInt8Array:
    """Decode one picture: the pixels that `load_sized` gives."""
    return load_sized(picture)[0]


def load_sized(picture: Picture) -> tuple[UInt8Array, Size]:
    """Decode one picture; a tensor is taken as the array that it holds.

    EXIF orientation is applied, transparency is composited on white (on gray what is white itself), 16-bit gray is scaled
    to 8 bits, CMYK and palettes are converted, the first frame of an animation is taken (of a PIL image, the current one).
    Pictures whose longest side is above `decoding.MAX_SIDE` are reduced to it; JPEG files are decoded at reduced size at
    once. File objects are read from where they stand to their end, and not closed. Nothing that was passed in is changed.

    Returns:
        uint8 in [0, 255]: (H, W) for gray pictures without transparency, (H, W, 3) RGB for all others. And width and height of
        the upright picture before it was reduced.

    Raises:
        InvalidImageError: The picture cannot be read, has fewer than `MIN_SIDE` pixels a side or more than `MAX_PIXELS`
            in all, its file has more than `MAX_BYTES` or takes too long to decode, or it is an array of another shape, dtype
            or range.
    """
    if isinstance(picture, np.ndarray):
        image = _from_array(picture, "The array")
        return _to_array(image), image.size
    if isinstance(picture, Image.Image):
        return _from_image(picture)
    if is_tensor(picture):
        image = _from_array(_of_tensor(picture), f"The {type(picture).__name__}")
        return _to_array(image), image.size
    if isinstance(picture, str | os.PathLike):
        return _from_path(os.fspath(picture))
    if isinstance(picture, bytes | bytearray | memoryview):
        return _from_bytes(bytes(picture), "The data")
    if callable(getattr(picture, "read", None)):
        return _from_file(picture)
    raise InvalidImageError(f"Received an object of type {type(picture).__name__}{hints.for_object(picture)}.", ACCEPTED)


def is_tensor(thing: object) -> bool:
    """Whether an object holds an array of two dimensions or more, as those of PyTorch, TensorFlow and NumPy do."""
    return hasattr(thing, "__array__") and len(getattr(thing, "shape", ())) > 1


def to_gray(image: UInt8Array) -> UInt8Array:
    """(H, W[, 3]) uint8 -> (H, W) uint8: the luma of ITU-R BT.601."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def to_rgb(image: UInt8Array) -> UInt8Array:
    """(H, W[, 3]) uint8 -> (H, W, 3) uint8."""
    return image if image.ndim == 3 else np.stack([image] * 3, axis=2)


def _from_path(path: str | Path) -> tuple[UInt8Array, Size]:
    text = str(path)
    shown = repr(text if len(text) <= 160 else f"{text[:80]}…{text[-80:]}")  # what was meant as data can be very long
    if re.match(r"data:|[a-z][a-z0-9+.-]+:/", text, re.IGNORECASE):  # two letters at least: C:/ is a drive
        hint = hints.for_url(text)
        raise InvalidImageError(f"Received the URL {shown}; URLs are not fetched, {hint}.", ACCEPTED)
    if not text:
        raise InvalidImageError("Received an empty path.", ACCEPTED)
    try:
        with Path(path).open("rb") as file:
            data = _read(file) if os.fstat(file.fileno()).st_size <= MAX_BYTES else None  # a pipe's size is 0
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImageError(f"Cannot read the file {shown}: {reason}{hints.for_path(text)}.", ACCEPTED) from error
    return _from_bytes(data, f"The file {shown}")


def _from_file(file: IO[bytes]) -> tuple[UInt8Array, Size]:
    try:
        data = _read(file)
    except InvalidImageError:
        raise
    except Exception as error:  # a file object is anybody's code
        raise InvalidImageError(
            f"Cannot read the file object: {str(error).rstrip('.') or type(error).__name__}.", ACCEPTED
        ) from error
    return _from_bytes(data, "The file object")


def _read(file: IO[bytes]) -> bytes | None:
    """The rest of a file; None where it has more than `MAX_BYTES`."""
    data = io.BytesIO()
    for piece in iter(lambda: file.read(PIECE), b""):
        if isinstance(piece, str):
            raise InvalidImageError("Received a file opened as text; open it in binary mode, 'rb'.", ACCEPTED)
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InvalidImageError(f"The file object's read() gave {type(piece).__name__}, not bytes.", ACCEPTED)
        data.write(piece)
        if data.tell() > MAX_BYTES:
            return None
    return data.getvalue()


def _from_bytes(data: bytes | None, name: str) -> tuple[UInt8Array, Size]:
    if data is None or len(data) > MAX_BYTES:
        raise InvalidImageError(f"{name} has more than {MAX_BYTES:,} bytes, too many for a picture.", ACCEPTED)
    if not data:
        hint = "; if it was used before, rewind it with seek(0)" if name == "The file object" else ""
        raise InvalidImageError(f"{name} is empty (0 bytes){hint}.", ACCEPTED)
    with _named(name):
        image, size = decode(data)
    return _to_array(_to_8_bit(image, name)), size


def _from_image(image: Image.Image) -> tuple[UInt8Array, Size]:
    name = "The PIL image"
    with _named(name):
        image, size = straightened(image)
    return _to_array(_to_8_bit(image, name)), size


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What is wrong with a picture, after its name."""
    try:
        yield
    except ValueError as error:
        raise InvalidImageError(f"{name} {error}.", ACCEPTED) from error


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """An 'L', 'RGB' or 'RGBA' image of the same size, of what `decoding.straightened` gives."""
    if image.mode.startswith("I"):  # 16-bit gray, in 16- or 32-bit integers
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InvalidImageError(
                f"{name} has mode {image.mode} and values from {values.min()} to {values.max()}, outside 16 bits.", ACCEPTED
            )
        levels = np.empty(values.shape, np.uint8)
        for row in range(0, len(values), ROWS):  # of 64 megapixels all at once would take several hundred MB
            some = values[row : row + ROWS]
            quotients, rest = np.divmod(some, 257)  # 65535 = 255 x 257
            quotients += rest > 128  # rounds
            if "transparency" in image.info:  # the one gray value that is transparent
                quotients[some == image.info["transparency"]] = 255
            levels[row : row + ROWS] = quotients
        return Image.fromarray(levels)
    return _from_array(np.asarray(image), name) if image.mode == "F" else image


def _of_tensor(tensor: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(tensor)
    except Exception as error:  # a tensor that takes part in training, or lies on an accelerator
        name = type(tensor).__name__
        raise InvalidImageError(f"The {name} gives no array: {str(error).rstrip('.')}.", ACCEPTED) from error


def _from_array(array: npt.NDArray[Any], name: str) -> Image.Image:
    """An 'L', 'RGB' or 'RGBA' image with the values of an (H, W[, 1 | 3 | 4]) array."""
    received = f"{name} has shape {array.shape} and dtype {array.dtype}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InvalidImageError(f"{received}{hints.for_shape(array.shape)}.", ACCEPTED)
    if flattened := hints.for_flattened(array):
        raise InvalidImageError(f"{received}{flattened}.", ACCEPTED)
    with _named(name):
        check_size((array.shape[1], array.shape[0]))
    if np.ma.is_masked(array):
        raise InvalidImageError(f"{received}, and masked values; fill them first.", ACCEPTED)
    array = np.asarray(array)
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise InvalidImageError(f"{received}, and holds NaN or infinity.", ACCEPTED)
        if array.min() < 0 or array.max() > 1:
            hint = hints.for_values(array)
            raise InvalidImageError(f"{received}, and values from {array.min():g} to {array.max():g}{hint}.", ACCEPTED)
        array = np.rint(np.multiply(array, 255, dtype=np.float32))
    elif array.dtype != np.uint8:
        raise InvalidImageError(f"{received}{hints.for_values(array)}.", ACCEPTED)
    pixels = np.ascontiguousarray(array, dtype=np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _to_array(image: Image.Image) -> UInt8Array:
    """The pixels of an 'L', 'RGB' or 'RGBA' image, reduced and composited on white, or on gray where white would hide it."""
    image = reduced(image)
    if image.mode == "RGBA":
        *colours, alpha = np.moveaxis(np.asarray(image), 2, 0)
        shown = np.min(colours, axis=0)[alpha > HALF_SEEN]
        background = "gray" if shown.size and np.mean(shown >= NEARLY_WHITE) > ALL_WHITE else "white"
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")
    return np.array(image)
