"""Name the garments in pictures.

python -m fashion_classifier photo.jpg more/*.png folder --top 3 --format csv
python -m fashion_classifier street.jpg --all
"""

import argparse
import csv
import glob
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from fashion_classifier import __version__
from fashion_classifier.classifier import FashionClassifier
from fashion_classifier.decoding import FORMATS
from fashion_classifier.errors import FashionClassifierError, InvalidImageError, InvalidPlaceError
from fashion_classifier.labels import LABELS
from fashion_classifier.predictions import Prediction

COLUMNS = ("picture", "label", "confidence", "uncertain", "typicality", "model_version", "error")  # of CSV
SPOKEN = 10  # times that progress through a folder is told
LABEL_WIDTH = max(map(len, LABELS))


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, or 1 if a picture could not be read or the model not be loaded, or 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="fashion-classifier" if Path(sys.argv[0]).stem == "fashion-classifier" else "python -m fashion_classifier",
        description="Name the garments in pictures: one of Fashion-MNIST's ten names each.",
    )
    parser.add_argument(
        "pictures", nargs="*", metavar="PICTURE", help="an image file, a folder of them, or a pattern such as 'more/*.png'"
    )
    parser.add_argument(
        "--top", type=int, default=1, choices=range(1, len(LABELS) + 1), metavar="K", help="names to show, 1 to 10"
    )
    parser.add_argument(
        "--format",
        choices=("line", "table", "csv", "json"),
        help="line: the default for one picture; table: for several; json: an array, one object a picture, in order",
    )
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    one_of_several = parser.add_mutually_exclusive_group()
    one_of_several.add_argument(
        "--at", type=_point, metavar="X,Y", help="name the garment at this point of the one picture, in pixels of it upright"
    )
    one_of_several.add_argument(
        "--all", action="store_true", help="name every garment in a picture, each in a line, a row or an object of its own"
    )
    parser.add_argument("--model", metavar="REF", help="a bundle's folder, or owner/name@revision on the Hugging Face Hub")
    parser.add_argument("--version", action="store_true", help="print the versions of this package and of the model")
    options = parser.parse_args(arguments)
    if not options.pictures and not options.version:
        parser.error("the following arguments are required: PICTURE")
    for stream in (sys.stdout, sys.stderr):  # a file's name may have characters that the terminal has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        classifier = FashionClassifier.from_pretrained(options.model)
    except FashionClassifierError as error:
        print(error, file=sys.stderr)
        return 1
    if options.version:
        print(f"fashion-classifier {__version__}, model {classifier.version}")
        return 0
    paths, failed = [], False
    for given in options.pictures:
        found = _expanded(given)
        if not found:
            failed = True
            print(f"{given}: No picture is there.", file=sys.stderr)
        paths += found
    if options.at and len(paths) > 1:
        parser.error(f"argument --at: is for one picture, received {len(paths)}")
    ask = classifier.find_garments if options.all else lambda path: [classifier.predict(path, at=options.at)]
    answers = _answers(ask, paths, told=any(Path(given).is_dir() for given in options.pictures))
    kind = options.format or ("table" if len(paths) > 1 else "line")
    return 1 if _write(kind, answers, paths, options.top) or failed else 0


def _expanded(given: str) -> list[str]:
    """The pictures in a folder, those that a pattern names where the shell left it as it is, or the path itself."""
    if Path(given).is_dir():
        suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS} | {".heic", ".heif"}
        return sorted(str(path) for path in Path(given).iterdir() if path.suffix.lower() in suffixes)
    if glob.has_magic(given) and not Path(given).exists():
        return sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [given]


def _point(text: str) -> tuple[float, float]:
    """A point as it is typed."""
    try:
        column, row = map(float, text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"takes two numbers X,Y, received {text!r}") from error
    return column, row


def _answers(
    ask: Callable[[str], list[Prediction]], paths: list[str], *, told: bool
) -> Iterator[tuple[str, Prediction | FashionClassifierError]]:
    """Each path with each of its answers, or with why there is none; progress is told on standard error."""
    step = -(-len(paths) // SPOKEN)
    for done, path in enumerate(paths, 1):
        try:
            predictions = ask(path)
            if not predictions:
                print(f"{path}: No garment is found.", file=sys.stderr)
            yield from ((path, prediction) for prediction in predictions)
        except (InvalidImageError, InvalidPlaceError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            yield path, error
        if told and (done % step == 0 or done == len(paths)):
            print(f"{done} of {len(paths)}", file=sys.stderr)


def _write(kind: str, answers: Iterator[tuple[str, Prediction | FashionClassifierError]], paths: list[str], top: int) -> bool:
    """Print the answers as they come, JSON at the end; whether any is missing."""
    failed = False
    rows: list[dict[str, Any]] = []
    width = max(map(len, paths), default=0)
    table = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
    if kind == "csv":
        table.writeheader()
    for path, answer in answers:
        if isinstance(answer, FashionClassifierError):
            failed = True
            row = {"picture": path, "error": str(answer)}
        else:
            row = {"picture": path} | answer.to_dict() | {"top": answer.top(top)}
            if kind == "line":
                print(f"{path}: {_line(answer, top)}")
            elif kind == "table":
                print(f"{path:{width}}  {_cells(answer, top)}".rstrip())
        if kind == "csv":
            table.writerow(row)
        rows.append(row)
    if kind == "json":
        print(json.dumps(rows, indent=2))
    return failed


def _line(prediction: Prediction, k: int) -> str:
    names = ", ".join(f"{label} {probability:.1%}" for label, probability in prediction.top(k))
    return f"not sure, this may be none of the ten ({names})" if prediction.uncertain else names


def _cells(prediction: Prediction, k: int) -> str:
    names = "  ".join(f"{label:{LABEL_WIDTH}}  {probability:6.1%}" for label, probability in prediction.top(k))
    return f"{names}  {'not sure' if prediction.uncertain else ''}"


if __name__ == "__main__":
    sys.exit(main())
