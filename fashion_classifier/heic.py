"""HEIC, the format that many phones save photos in -> a PIL image, decoded in a process of its own.

The decoder can crash on damaged files, which must not take its caller along: this file is also the program that decodes.
"""

import io
import subprocess
import sys
from typing import NoReturn

from PIL import Image, UnidentifiedImageError

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}  # of files coded with HEVC, ISO/IEC 23008-12; AVIF has others
REFUSED = 3  # exit status of the process that decodes, where the fault is the file's
SECONDS = 60  # to decode in; 12 megapixels take less than one


def is_heic(data: bytes) -> bool:
    """Whether the file says of itself that it holds HEIC, as its main brand or as a compatible one."""
    brands = data[8 : min(int.from_bytes(data[:4]), 256)]
    return data[4:8] == b"ftyp" and not BRANDS.isdisjoint(brands[start : start + 4] for start in range(0, len(brands), 4))


def open_heic(data: bytes, max_pixels: int) -> Image.Image:
    """Decode the main picture of a HEIC file, upright: 8 bits, of mode "L", "LA", "RGB" or "RGBA".

    Raises:
        ValueError: It is damaged, has more than `max_pixels`, or cannot be decoded here; the message tells what the file is
            or has.
    """
    if not sys.executable:  # Python is embedded in another program
        raise ValueError("is a HEIC photo, and there is no Python program to decode it in")
    command = [sys.executable, "-P", __file__, str(max_pixels)]  # -P: this folder's modules are no top-level ones
    try:
        child = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"is a HEIC photo that took longer than {SECONDS} seconds to decode") from error
    except OSError as error:
        raise ValueError(f"is a HEIC photo, and its decoder cannot be started: {error}") from error
    last_line = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if child.returncode == REFUSED:
        raise ValueError(last_line)
    try:
        if child.returncode:
            raise ValueError(f"exit status {child.returncode}, {last_line or 'without a word'}")
        return Image.open(io.BytesIO(child.stdout), formats=("PNG",))
    except (ValueError, UnidentifiedImageError) as error:
        raise ValueError(f"is a HEIC photo, and its decoder failed: {error}") from error


def _main() -> None:
    """Standard input, a HEIC file -> standard output, a PNG file; or one sentence without its subject on standard error."""
    import pi_heif  # here alone: the decoder is never loaded into the caller's process

    pi_heif.register_heif_opener(thumbnails=False)
    max_pixels, Image.MAX_IMAGE_PIXELS = int(sys.argv[1]), None
    try:
        image = Image.open(io.BytesIO(sys.stdin.buffer.read()), formats=("HEIF",))
        if image.width * image.height > max_pixels:
            _refuse(f"has {image.width}x{image.height} = {image.width * image.height:,} pixels, too many")
        image.load()
    except UnidentifiedImageError:
        _refuse("is a HEIC photo that is damaged at its start")
    except Exception as error:  # noqa: BLE001 - the decoder raises many kinds on damaged files
        _refuse(f"is a truncated or damaged HEIC photo: {str(error).rstrip('.') or type(error).__name__}")
    straight = image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGBA")  # alpha may be premultiplied
    straight.save(sys.stdout.buffer, "PNG", compress_level=0)


def _refuse(problem: str) -> NoReturn:
    print(problem, file=sys.stderr)
    sys.exit(REFUSED)


if __name__ == "__main__":
    _main()
