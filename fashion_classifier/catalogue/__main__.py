"""Name a whole collection of pictures, on this machine or on a cluster.

    python -m fashion_classifier.catalogue SOURCE --out FOLDER

SOURCE is a folder with all that is below it (pictures, Parquet files, tar files), one such file, a CSV file with a column of
paths, a text file with a path a line, or an address: s3://bucket/key, hf://datasets/owner/name. FOLDER gets Parquet files, a
row for each picture. The same command again goes on where the last one was stopped.
"""

import argparse
import sys

from fashion_classifier.catalogue.naming import name_catalogue
from fashion_classifier.catalogue.progress import Progress
from fashion_classifier.catalogue.sources import ROWS
from fashion_classifier.errors import FashionClassifierError

EVERY = 10.0  # seconds, between two lines of progress
STOPPED = 130  # exit status after Ctrl-C, as shells have it


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, whatever the pictures are, or 1 if the source, the folder or the model cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m fashion_classifier.catalogue",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="for the answers; a path or an address")
    parser.add_argument("--model", metavar="REF", help="a bundle's folder, or owner/name@revision on the Hugging Face Hub")
    parser.add_argument("--workers", type=_positive, metavar="N", help="of one core each; all cores if this is left out")
    parser.add_argument("--address", help="of a Ray cluster to join, or auto for the one that this machine is part of")
    parser.add_argument("--column", metavar="NAME", help="that holds the pictures or their paths")
    parser.add_argument(
        "--rows", type=_positive, default=ROWS, metavar="N", help=f"that a worker takes at a time, {ROWS} if left out"
    )
    options = parser.parse_args(arguments)
    try:
        summary = name_catalogue(
            options.source,
            options.out,
            model=options.model,
            workers=options.workers,
            address=options.address,
            column=options.column,
            rows=options.rows,
            report=_Teller(),
        )
    except FashionClassifierError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return STOPPED
    print(summary)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number of 1 or more, received {text!r}")
    return int(text)


class _Teller:
    """Tells of progress on standard error, now and then."""

    def __init__(self) -> None:
        self.told = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.seconds >= self.told + EVERY or not progress.left:
            self.told = progress.seconds
            print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
