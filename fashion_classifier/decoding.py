"""Encoded bytes -> a PIL image, in bounded time and memory whatever the file.

Most files are decoded here: Pillow asks for them block by block, and a clock is looked at each time. What is decoded in one
call, or may take long or much as far as its bytes tell, is decoded in a process of its own, which has limits, and which may
crash without taking its caller along: this file is also the program that decodes.
"""

import io
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import NoReturn

from PIL import (
    ExifTags,
    Image,
    ImageOps,
    MpoImagePlugin,  # noqa: F401 - Pillow imports its plugins when it needs them, and a process that is forked
    TiffImagePlugin,  # noqa: F401 - while another thread imports one would wait for that thread without end
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

Image.preinit()  # the plugins of the other formats

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "HEIC")  # MPO, several JPEGs in a file, opens as JPEG
MAX_PIXELS = 64 * 1024 * 1024  # the largest common phone sensor mode, 9248 x 6936, fits; a 100 MP "bomb" does not
MAX_SIDE = 1024  # px, longest side of what is kept: enough to look at, and small enough to be fast
MIN_SIDE = 2  # px
LEAST_DRAFT = 0.75  # of the size to keep, from which a reduced JPEG is large enough: 4032 px are decoded as 1008, not 2016

SECONDS = 3  # of processor time to decode in; 64 megapixels take two at most
HEIC_SECONDS = 10  # 48 megapixels take eight
PATIENCE = 120  # seconds for the process that decodes, on a machine that has other work
MEMORY = 2 * 2**30  # bytes, of the process that decodes; 64 megapixels take one as WebP
MAX_METADATA = 2**16  # bytes, of EXIF or XMP, as JPEG allows for a segment; their tags may share values, and multiply them
MOST_SCANS = 24  # of a JPEG that is decoded here; encoders make about ten
MOST_IN_ONE_CALL = 4 * 2**20  # pixels of a WebP that is decoded here
MOST_AT_ONCE = 16 * 2**20  # pixels of any other that are; phones' usual 12 megapixels are
HERE = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM")  # formats that are

LOOK = 0.1  # seconds of processor time to see in what a file holds
LONG_FILE = 2**24  # bytes, from which on it may take long
LONG_PLAIN_FILE = 2**20  # bytes, likewise of formats that Pillow may decode in Python
MOST_CHUNKS = 10_000  # of a PNG that is decoded here; encoders make one for each 8 kB

HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}  # of files coded with HEVC, ISO/IEC 23008-12
AVIF_BRANDS = {b"avif", b"avis"}
BASE64_STARTS = (b"iVBORw0KGgo", b"/9j/", b"R0lGOD", b"UklGR")  # of PNG, JPEG, GIF and WebP files
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
EXIF, SCAN, ARITHMETIC = b"Exif\0\0", b"\xff\xda", (b"\xff\xc9", b"\xff\xca")  # in JPEG files

Size = tuple[int, int]  # width, height
Upright = tuple[Image.Image, Size]  # a picture, perhaps reduced, and the size that it was reduced from

REFUSED = 3  # exit status of the process that decodes, where the fault is the file's


def decode(data: bytes) -> Upright:
    """Decode the first or main picture of a file; what comes is as of `straightened`.

    Raises:
        ValueError: It is damaged, of no known format, takes too long, or has fewer than `MIN_SIDE` pixels a side or more
            than `MAX_PIXELS`; the message tells what the file is or has, without its subject and the full stop.
    """
    if not _is_heavy(data):
        image, size = _open(data, _Watched(data, SECONDS), HERE)
        if not _is_large(image, size):
            return straightened(image, size)
    return _decode_alone(data)


def may_take_long(data: bytes) -> bool:
    """Whether decoding a file may take more than half a second or 200 MB, as far as a short look at it tells.

    Who answers several people lets such files wait for each other, and nobody else for them.
    """
    if _is_heavy(data) or (data.startswith((b"BM", b"P")) and len(data) > LONG_PLAIN_FILE):
        return True
    file = _Watched(data, LOOK)
    try:
        return _is_large(*_open(data, file, HERE))
    except ValueError:  # what is no picture is refused at once, unless that took long
        return file.ran_out


def straightened(image: Image.Image, size: Size | None = None) -> Upright:
    """Load an image and turn it as its EXIF or XMP orientation says; the image that was passed in is not changed.

    Args:
        image: As Pillow opens it.
        size: Width and height of the picture before it was reduced, where it was; not turned.

    Returns:
        Of mode "L", "RGB" or "RGBA", the longest side at most `MAX_SIDE`; or gray of more than 8 bits as it is, of mode "I",
        "I;16…" or "F". And width and height of the whole picture, turned too.

    Raises:
        ValueError: As `decode`.
    """
    check_size(image.size)
    try:
        image.load()
        upright = _upright(image)
        width, height = size or image.size
        turned = upright.size != image.size  # of a square it makes no difference
        return _simplified(upright), (height, width) if turned else (width, height)
    except _OutOfTimeError as error:
        raise ValueError(_too_long(SECONDS)) from error
    except Exception as error:  # see _open
        raise ValueError(f"(mode {image.mode}) is truncated, damaged or unsupported: {_reason(error)}") from error


def _simplified(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return image
    if image.mode == "La":  # premultiplied; Pillow converts it to nothing else
        image = image.convert("LA")
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    return reduced(image if image.mode == mode else image.convert(mode))


def reduced(image: Image.Image) -> Image.Image:
    """An "L", "RGB" or "RGBA" image with its longest side at most `MAX_SIDE`."""
    # All of Pillow's filters average over the area when they shrink. Hamming is as cheap as bilinear and sharper.
    size = _reduced(image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)


def check_size(size: tuple[int, int]) -> None:
    """Raises `ValueError` as `decode` for a picture of (width, height) pixels."""
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"has {width}x{height} pixels, too few to show a garment")
    if width * height > MAX_PIXELS:
        raise ValueError(f"has {width}x{height} = {width * height:,} pixels, too many")


def is_heic(data: bytes) -> bool:
    """Whether the file says of itself that it holds HEIC, as its main brand or as a compatible one."""
    return not HEIC_BRANDS.isdisjoint(_brands(data))


def _brands(data: bytes) -> set[bytes]:
    if data[4:8] != b"ftyp":
        return set()
    brands = data[8 : min(int.from_bytes(data[:4]), 256)]
    return {brands[start : start + 4] for start in range(0, len(brands), 4)}


def _is_heavy(data: bytes) -> bool:
    """Whether the file may take long, or much memory, without a chance to stop it here, or so that other threads notice."""
    if len(data) > LONG_FILE or _has_many_chunks(data):
        return True
    if data.startswith(b"\xff\xd8"):
        many = data.count(SCAN) > MOST_SCANS or data.count(EXIF) > 1  # Pillow joins the segments
        return many or any(marker in data for marker in ARITHMETIC)
    return data.startswith(TIFF_STARTS) or not (HEIC_BRANDS | AVIF_BRANDS).isdisjoint(_brands(data))


def _has_many_chunks(data: bytes) -> bool:
    """Whether it is a PNG of so many parts that reading them all takes long."""
    position, chunks = 8, 0
    while data.startswith(b"\x89PNG") and position < len(data) and chunks <= MOST_CHUNKS:
        position += 12 + int.from_bytes(data[position : position + 4])
        chunks += 1
    return chunks > MOST_CHUNKS


def _is_large(image: Image.Image, size: Size) -> bool:
    """Whether a picture that was opened takes much memory, or long in one call; `size` is that before it was reduced."""
    if image.format == "WEBP":
        return image.width * image.height > MOST_IN_ONE_CALL
    width, height = size if "progressive" in image.info else image.size  # the decoder holds all of a progressive JPEG
    return width * height > MOST_AT_ONCE


class _OutOfTimeError(Exception):
    """Ends a decoder through its file."""


class _Watched(io.BytesIO):
    """A file that gives no more once its reader has taken so many seconds of processor time."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self.ran_out = False
        self._end = time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            self.ran_out = True
            raise _OutOfTimeError
        return super().read(size)


class _Silence:
    """Without Pillow's warnings, of damaged metadata and of large pictures; any number of threads may be inside.

    The filters are global, and `catch_warnings` alone mixes them up between threads: the first thread sets them aside, the
    last one sets them back, and nobody waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        if hasattr(os, "register_at_fork"):  # other threads are not inside of the child
            os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._renew)

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._aside = warnings.catch_warnings()
                self._aside.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._aside.__exit__(None, None, None)

    def _renew(self) -> None:
        if self._inside:
            self._aside.__exit__(None, None, None)
        self._inside = 0
        self._lock.release()


_silence = _Silence()


def _open(data: bytes, file: io.BytesIO, formats: tuple[str, ...]) -> tuple[Image.Image, Size]:
    """A picture whose pixels are not yet loaded, and its size before any are left out."""
    try:
        with _silence:
            image = Image.open(file, formats=formats)
    except _OutOfTimeError as error:
        raise ValueError(_too_long(SECONDS)) from error
    except Image.DecompressionBombError as error:  # above Pillow's own limit
        raise ValueError(f"has too many pixels: {_reason(error)}") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"({len(data):,} bytes) {_kind(data)}") from error
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise ValueError(f"is truncated or damaged: {_reason(error)}") from error
    size = image.size
    check_size(size)
    width, height = _reduced(size)  # JPEG is decoded at 1/2, 1/4 or 1/8 of its size, where that is enough
    image.draft(None, (max(1, int(width * LEAST_DRAFT)), max(1, int(height * LEAST_DRAFT))))
    return image, size


def _kind(data: bytes) -> str:
    """What the start of a file that Pillow does not know says about it."""
    if is_heic(data):
        return "is a HEIC photo that is damaged at its start"
    start = data[:4096].replace(b"\0", b"").lower()  # without the zeros of UTF-16
    if b"<svg" in start and b"<html" not in start:
        return "is an SVG drawing, not a pixel image"
    if start.startswith(b"%pdf"):
        return "is a PDF document, not a pixel image"
    if start.lstrip().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not an image: download the picture that it shows"
    if data.startswith(b"\x93NUMPY"):
        return "is an array of NumPy's: pass numpy.load(file)"
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        return "is a compressed archive: unpack it first"
    if data.startswith(b"data:"):
        return "is a data URL: pass base64.b64decode(data.partition(b',')[2])"
    if start.startswith((b"http://", b"https://")):
        return "is an address: URLs are not fetched, send the picture itself"
    if data.startswith(BASE64_STARTS):
        return "is in base64: pass base64.b64decode(data)"
    return f"is not an image of a known format, or damaged at its start, {data[:12]!r}"


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _too_long(seconds: int) -> str:
    return f"takes more than {seconds} seconds to decode"


def _reduced(size: tuple[int, int]) -> tuple[int, int]:
    """The size to keep: the longest side at most `MAX_SIDE`, no side below `MIN_SIDE`."""
    scale = min(1.0, MAX_SIDE / max(size))
    return max(MIN_SIDE, round(size[0] * scale)), max(MIN_SIDE, round(size[1] * scale))


def _upright(image: Image.Image) -> Image.Image:
    metadata = (image.info.get(key) for key in ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"))
    if any(isinstance(value, bytes | str) and len(value) > MAX_METADATA for value in metadata):
        return image
    try:
        with _silence:
            if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
                return image  # exif_transpose would copy it
            return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a broken EXIF block is no reason to refuse a picture that decodes
        return image


def _decode_alone(data: bytes) -> Upright:
    """As `decode`, in a process of its own."""
    if not sys.executable:  # Python is embedded in another program
        raise ValueError("cannot be decoded here: it needs a process of its own, and there is no Python program to start")
    command = [sys.executable, "-P", "-W", "ignore", __file__]  # -P: this folder's modules are no top-level ones
    try:
        child = subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ValueError(_too_long(PATIENCE)) from error
    except OSError as error:
        raise ValueError(f"cannot be decoded, the decoder does not start: {error}") from error
    last_line = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if child.returncode == REFUSED:
        raise ValueError(last_line)
    if os.name == "posix" and child.returncode == -signal.SIGXCPU:
        raise ValueError(_too_long(_seconds(data)))
    try:
        if child.returncode:
            raise ValueError(f"exit status {child.returncode}, {last_line or 'without a word'}")
        end = child.stdout.index(b"\n")
        mode, *sides = child.stdout[:end].decode("ascii").split()
        width, height, whole_width, whole_height = map(int, sides)
        pixels = memoryview(child.stdout)[end + 1 :]  # may be 256 MB, which are not copied
        return Image.frombytes(mode, (width, height), pixels), (whole_width, whole_height)
    except ValueError as error:
        raise ValueError(f"cannot be decoded, the decoder failed: {error}") from error


def _seconds(data: bytes) -> int:
    return HEIC_SECONDS if is_heic(data) else SECONDS


def _main() -> None:
    """Standard input, a file -> mode, width, height and those of the whole picture in a line and the pixels on standard output;
    or one sentence without its subject on standard error."""
    data = sys.stdin.buffer.read()
    _limit(_seconds(data))
    formats = tuple(name for name in FORMATS if name != "HEIC")
    if is_heic(data):
        import pi_heif  # here alone: the decoder is never loaded into the caller's process

        pi_heif.register_heif_opener(thumbnails=False)
        formats = ("HEIF",)
    try:
        image, size = straightened(*_open(data, io.BytesIO(data), formats))
    except ValueError as error:
        _refuse(str(error))
    header = " ".join(map(str, (image.mode, *image.size, *size)))
    sys.stdout.buffer.write(f"{header}\n".encode() + image.tobytes())


def _limit(seconds: int) -> None:
    """Bound what this process may take, where the system can."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _refuse(problem: str) -> NoReturn:
    print(problem.replace("\n", " "), file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    _main()
