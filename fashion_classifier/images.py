"""Anything a person holds that is a picture -> a uint8 array, safely.

The library decodes by itself because no two callers decode alike: orientation tags, transparency, palettes, 16-bit and
CMYK files each have a way of turning into a wrong picture without an error.
"""

import io
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from fashion_classifier.errors import InvalidImageError

UInt8Array = npt.NDArray[np.uint8]

Picture = str | Path | bytes | bytearray | memoryview | IO[bytes] | Image.Image | npt.NDArray[Any]
"""One picture: a path, encoded bytes, a binary file object, a PIL image, or an array.

Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, or float in [0, 1].
"""

FORMATS: tuple[str, ...] = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
MAX_PIXELS = 64 * 1024 * 1024  # the largest common phone sensor mode, 9248 x 6936, fits; a 100 MP "bomb" does not
MAX_SIDE = 1024  # px, longest side of what is kept: enough to look at, and small enough to be fast
MIN_SIDE = 2  # px

ACCEPTED = (
    f"a path, bytes, a binary file or a PIL image holding {', '.join(FORMATS)} of at least {MIN_SIDE}x{MIN_SIDE} and at "
    f"most {MAX_PIXELS:,} pixels, or a NumPy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, or of float in [0, 1]."
)


def load_image(picture: Picture) -> UInt8Array:
    """Decode one picture.

    EXIF orientation is applied, transparency is composited on white, 16-bit gray is scaled to 8 bits, CMYK and palettes
    are converted, the first frame of an animation is taken. Pictures whose longest side is above `MAX_SIDE` are reduced
    to it; JPEG files are decoded at reduced size at once.

    Returns:
        uint8 in [0, 255]: (H, W) for gray pictures, (H, W, 3) RGB for all others.

    Raises:
        InvalidImageError: The picture cannot be read, has fewer than 2 or more than `MAX_PIXELS` pixels a side or in all,
            or is an array of another shape, dtype or range.
    """
    if isinstance(picture, np.ndarray):
        return _to_array(_from_array(picture))
    if isinstance(picture, Image.Image):
        _check_size(picture.size)
        return _decode(picture, "The PIL image")
    if isinstance(picture, str | Path):
        return _from_path(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        return _from_bytes(bytes(picture), f"{len(picture)} bytes")
    if callable(getattr(picture, "read", None)):
        return _from_file(picture)
    raise InvalidImageError(f"Received an object of type {type(picture).__name__}.", ACCEPTED)


def _from_path(path: str | Path) -> UInt8Array:
    if str(path).startswith(("http://", "https://", "data:")):
        raise InvalidImageError(f"Received the URL {str(path)[:80]!r}; URLs are not fetched, download it first.", ACCEPTED)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImageError(f"Cannot read the file {str(path)!r}: {reason}.", ACCEPTED) from error
    return _from_bytes(data, f"The file {str(path)!r}")


def _from_file(file: IO[bytes]) -> UInt8Array:
    try:
        data = file.read()
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise InvalidImageError(f"Cannot read the file object: {error}.", ACCEPTED) from error
    if not isinstance(data, bytes):
        raise InvalidImageError("Received a file opened as text; open it in binary mode, 'rb'.", ACCEPTED)
    return _from_bytes(data, "The file object")


def _from_bytes(data: bytes, name: str) -> UInt8Array:
    if not data:
        raise InvalidImageError(f"{name} is empty (0 bytes)." if "bytes" not in name else "Received 0 bytes.", ACCEPTED)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size)
            if image.format == "JPEG":  # draft only ever reduces by 2, 4 or 8, and never below the size asked for
                image.draft(None, (MAX_SIDE, MAX_SIDE))
            return _decode(image, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidImageError(f"{name} declares too many pixels: {error}.", ACCEPTED) from error
    except UnidentifiedImageError as error:
        kind = "is an SVG drawing, not a pixel image" if b"<svg" in data[:4096].lower() else "is not an image of a known format"
        start = data[:12].decode("ascii", "backslashreplace")
        raise InvalidImageError(f"{name} {kind}; it starts with {start!r}.", ACCEPTED) from error
    except InvalidImageError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> InvalidImageError:
    return InvalidImageError(f"{name} is truncated or damaged: {error}.", ACCEPTED)


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise InvalidImageError(f"The picture is {width}x{height} pixels, too small to show a garment.", ACCEPTED)
    if width * height > MAX_PIXELS:
        raise InvalidImageError(f"The picture has {width}x{height} = {width * height:,} pixels, too many.", ACCEPTED)


def _decode(image: Image.Image, name: str) -> UInt8Array:
    try:
        image.load()
    except Exception as error:  # see _from_bytes
        raise _damaged(name, error) from error
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001, S110 - a broken EXIF block is no reason to refuse a picture that decodes
        pass
    try:
        return _to_array(_to_8_bit(image))
    except (ValueError, OSError) as error:
        raise InvalidImageError(f"{name} has the unsupported mode {image.mode!r}: {error}.", ACCEPTED) from error


def _to_8_bit(image: Image.Image) -> Image.Image:
    """An 'L' or 'RGB' image of the same size."""
    if image.mode.startswith("I"):  # 16-bit gray, in 16- or 32-bit integers
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InvalidImageError(f"Mode {image.mode!r} with values from {values.min()} to {values.max()}.", ACCEPTED)
        return Image.fromarray(np.round(values / np.float32(257)).astype(np.uint8))
    if image.mode == "F":
        return _from_array(np.asarray(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    """An 'L' or 'RGB' image with the values of an (H, W[, 1 | 3 | 4]) array."""
    received = f"Received an array of shape {array.shape} and dtype {array.dtype}"
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        hint = "; for several pictures pass a list of arrays" if array.ndim in (3, 4) else ""
        raise InvalidImageError(f"{received}{hint}.", ACCEPTED)
    _check_size((array.shape[1], array.shape[0]))
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise InvalidImageError(f"{received} that holds NaN or infinity.", ACCEPTED)
        if array.min() < 0 or array.max() > 1:
            raise InvalidImageError(f"{received} with values from {array.min():g} to {array.max():g}.", ACCEPTED)
        array = np.round(array * 255)
    elif array.dtype != np.uint8:
        raise InvalidImageError(f"{received}.", ACCEPTED)
    pixels = np.ascontiguousarray(array, dtype=np.uint8)
    return _to_8_bit(Image.fromarray(pixels[:, :, 0] if array.ndim == 3 and channels == 1 else pixels))


def _to_array(image: Image.Image) -> UInt8Array:
    """The image's pixels, reduced to at most `MAX_SIDE` on the longest side."""
    scale = MAX_SIDE / max(image.size)
    if scale < 1:
        size = (max(MIN_SIDE, round(image.width * scale)), max(MIN_SIDE, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BOX if scale > 0.5 else Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.array(image)


