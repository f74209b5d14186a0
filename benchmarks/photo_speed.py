"""Photos to answers: this library against one GrabCut, and against Pillow's decoding of a 12-megapixel JPEG.

    python -m benchmarks.photo_speed [--runs 15] [--picture examples/coat.jpg]

A file of 400 px, decoded, isolated and named, takes turns with one GrabCut of the same picture at 160 px (three iterations,
already decoded); a file of 4032x3024 takes turns with Pillow's reduced-size decoding of it alone. Prints medians, ranges and
ratios. Everything runs in one process on as many cores as there are.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from fashion_classifier import predict
from train.pictures.grabcut import grabcut_mask

SMALL, LARGE = 400, (4032, 3024)  # px, longest side; width and height
DRAFT = 1024  # px, to which Pillow is asked to reduce; it takes the next larger half, quarter or eighth
ALLOWANCE = 20.0  # ms on top of twice Pillow's time


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def race(runs: int, one: Callable[[], object], other: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Times of two pieces of work that take turns, after one round that does not count."""
    one(), other()
    times = [(milliseconds(one), milliseconds(other)) for _ in range(runs)]
    return [first for first, _ in times], [second for _, second in times]


def summary(name: str, times: list[float]) -> float:
    median = statistics.median(times)
    print(f"{name}: median {median:.1f} ms, {min(times):.1f} to {max(times):.1f} ms, n = {len(times)}")
    return median


def decode_reduced(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (DRAFT, DRAFT))
        image.load()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--picture", type=Path, default=Path("examples/coat.jpg"))
    arguments = parser.parse_args()
    picture = Image.open(arguments.picture).convert("RGB")
    with TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.jpg", Path(folder) / "large.jpg"
        scale = SMALL / max(picture.size)
        reduced = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
        reduced.save(small, quality=90)
        # the noise of a sensor, without which an enlarged picture decodes faster than a photo
        grain = np.random.default_rng(0).normal(0, 6, (LARGE[1], LARGE[0], 1))
        enlarged = np.asarray(picture.resize(LARGE, Image.Resampling.BICUBIC), np.float32)
        Image.fromarray(np.clip(enlarged + grain, 0, 255).astype(np.uint8)).save(large, quality=90)

        pixels = np.asarray(Image.open(small))
        ours, grabcut = race(arguments.runs, lambda: predict(small), lambda: grabcut_mask(pixels))
        ratio = summary(f"{SMALL} px file to prediction", ours) / summary("GrabCut at 160 px", grabcut)
        print(f"ratio: {ratio:.2f}")

        data = large.read_bytes()
        print(f"the large file: {LARGE[0]}x{LARGE[1]}, {len(data) / 1e6:.1f} MB")
        ours, pillow = race(arguments.runs, lambda: predict(large), lambda: decode_reduced(data))
        median, decoding = summary("12-megapixel file to prediction", ours), summary("Pillow's reduced decoding", pillow)
        print(f"against twice Pillow's time plus {ALLOWANCE:.0f} ms: {median / (2 * decoding + ALLOWANCE):.2f}")


if __name__ == "__main__":
    main()
