"""Mutated files of every accepted format, decoded in a process whose limits and death a test looks at.

python -m tests.fuzz_decoding N
"""

import io
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashion_classifier import InvalidImageError
from fashion_classifier.images import load_image

MEMORY = 2 * 2**30  # bytes, of data
FIXTURES = Path(__file__).parent / "fixtures"
EXTREMES = [bytes.fromhex(value) for value in ("00", "ff", "7f", "80", "0000", "ffff", "7fffffff", "ffffffff", "00000000")]


def good_files() -> dict[str, bytes]:
    """One file for each way of encoding that the decoders know."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (8, 12, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    colour = Image.fromarray(pixels)
    gray, palette, clear = colour.convert("L"), colour.convert("P"), colour.convert("RGBA")
    clear.putalpha(gray)
    deep = Image.fromarray(pixels[..., 0] * np.uint16(257))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    kinds: dict[str, tuple[str, Image.Image, dict[str, Any]]] = {
        "JPEG": ("JPEG", colour, {"exif": exif}),
        "progressive JPEG": ("JPEG", colour, {"progressive": True, "comment": "a"}),
        "gray JPEG": ("JPEG", gray, {"dpi": (72, 72)}),
        "CMYK JPEG": ("JPEG", colour.convert("CMYK"), {}),
        "MPO": ("MPO", colour, {"save_all": True, "append_images": [gray]}),
        "PNG": ("PNG", colour, {"exif": exif}),
        "palette PNG": ("PNG", palette, {"bits": 4, "transparency": 0}),
        "deep PNG": ("PNG", deep, {}),
        "transparent PNG": ("PNG", clear, {}),
        "moving PNG": ("PNG", colour, {"save_all": True, "append_images": [clear]}),
        "WebP": ("WEBP", colour, {"exif": exif}),
        "lossless WebP": ("WEBP", clear, {"lossless": True}),
        "moving WebP": ("WEBP", colour, {"save_all": True, "append_images": [clear]}),
        "GIF": ("GIF", palette, {"comment": b"a" * 300, "transparency": 0}),
        "moving GIF": ("GIF", palette, {"save_all": True, "append_images": [gray], "interlace": 1}),
        "BMP": ("BMP", colour, {}),
        "palette BMP": ("BMP", palette, {}),
        "TIFF": ("TIFF", colour, {"exif": exif}),
        **{
            f"TIFF, {name}": ("TIFF", colour, {"compression": name})
            for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd")
        },
        "fax TIFF": ("TIFF", gray.convert("1"), {"compression": "group4"}),
        "deep TIFF": ("TIFF", deep, {"compression": "packbits", "big_tiff": True}),
        "AVIF": ("AVIF", colour, {"exif": exif}),
        "moving AVIF": ("AVIF", clear, {"save_all": True, "append_images": [clear]}),
        "PPM": ("PPM", colour, {}),
        "PGM": ("PPM", deep, {}),
        "PBM": ("PPM", gray.convert("1"), {}),
    }
    files = {}
    for name, (file_format, image, options) in kinds.items():
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        files[name] = buffer.getvalue()
    digits = " ".join(map(str, pixels[::8, ::8].ravel()))
    files["PPM in digits"] = f"P3\n# a\n12 8\n255\n{digits}\n".encode()
    bmp = files["palette BMP"]
    start = int.from_bytes(bmp[10:14], "little")  # of the pixels
    files["BMP of runs"] = bmp[:30] + b"\1\0\0\0" + bmp[34:start] + b"\x30\5\x30\7\0\0" * 64 + b"\0\1"
    files |= {path.name: path.read_bytes() for path in sorted(FIXTURES.glob("*.heic"))}
    return files


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight changes: of bits, of fields, of what stands where; half of them near the start, where headers are."""
    content = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        end = len(content) if rng.random() < 0.5 else min(len(content), 200)
        at, length = int(rng.integers(end)), int(rng.integers(1, 1 + min(64, len(content))))
        match rng.integers(6):
            case 0:
                content[at] ^= 1 << int(rng.integers(8))
            case 1:
                extreme = EXTREMES[rng.integers(len(EXTREMES))]
                content[at : at + len(extreme)] = extreme
            case 2:
                content[at : at + length] = rng.bytes(length)
            case 3:
                content[at:at] = content[at : at + length] * int(rng.integers(1, 200))
            case 4:
                del content[at : at + length]
            case 5 if rng.random() < 0.3:
                del content[max(8, int(rng.integers(len(content)))) :]
        if not content:
            return data[:1]
    return bytes(content)


def processor_time() -> float:
    """Seconds, of this process and of those that decoded for it."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def peak_memory() -> int:
    """The most bytes that were resident: not `getrusage`'s figure, which starts with the peak of the process that forked."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


def main() -> None:
    """Print what the slowest file took in seconds, the memory in bytes, and how many of how many files were refused."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    rng, files, slowest, refused = np.random.default_rng(0), good_files(), 0.0, 0
    for data in files.values():
        load_image(data)
    names = list(files)
    for i in range(int(sys.argv[1])):
        name = names[i % len(names)]
        data = mutated(files[name], rng)
        start = processor_time()
        print(i, name, file=sys.stderr, flush=True)  # the last one is to blame
        try:
            load_image(data)
        except InvalidImageError:
            refused += 1
        slowest = max(slowest, processor_time() - start)
    print(json.dumps({"files": i + 1, "refused": refused, "slowest": slowest, "memory": peak_memory()}))


if __name__ == "__main__":
    main()
