"""What it costs to name the garment at a point, or every garment: against naming the main one of the same picture.

    python -m benchmarks.outfit_speed [--runs 15] [--picture tests/fixtures/outfit.jpg]

The three take turns in one process. Prints medians, ranges and ratios.
"""

import argparse
from pathlib import Path

from benchmarks.photo_speed import race, summary
from fashion_classifier import find_garments, predict
from fashion_classifier.masks import innermost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--picture", type=Path, default=Path("tests/fixtures/outfit.jpg"))
    arguments = parser.parse_args()
    picture, garments = arguments.picture, find_garments(arguments.picture)
    reduced = garments[-1].image
    across, down = (whole / kept for whole, kept in zip(reduced.size, reduced.geometry.photo_size, strict=True))
    column, row = innermost(reduced.mask)
    point = (column * across, row * down)
    pointed, main_one = race(arguments.runs, lambda: predict(picture, at=point), lambda: predict(picture))
    print(f"ratio: {summary('the garment at a point', pointed) / summary('the main garment', main_one):.2f}")
    listed, main_one = race(arguments.runs, lambda: find_garments(picture), lambda: predict(picture))
    ratio = summary(f"all {len(garments)} garments", listed) / summary("the main garment", main_one)
    print(f"ratio: {ratio:.2f}")


if __name__ == "__main__":
    main()
