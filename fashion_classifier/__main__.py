"""Name the garments in pictures.

python -m fashion_classifier photo.jpg more/*.png --top 3 --json
"""

import argparse
import io
import json
import sys

from fashion_classifier.classifier import FashionClassifier
from fashion_classifier.errors import FashionClassifierError, InvalidImageError
from fashion_classifier.labels import LABELS
from fashion_classifier.predictions import Prediction


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, or 1 if a picture could not be read or the model not be loaded, or 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="python -m fashion_classifier", description="Name the garments in pictures: one of Fashion-MNIST's ten names each."
    )
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="an image file")
    parser.add_argument(
        "--top", type=int, default=1, choices=range(1, len(LABELS) + 1), metavar="K", help="names to show, 1 to 10"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array, one object a picture, in order")
    parser.add_argument("--model", metavar="REF", help="a bundle's folder, or owner/name@revision on the Hugging Face Hub")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a file's name may have characters that the terminal has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        classifier = FashionClassifier.from_pretrained(options.model)
    except FashionClassifierError as error:
        print(error, file=sys.stderr)
        return 1
    failed = False
    answers = []
    for path in options.pictures:
        try:
            prediction = classifier.predict(path)
        except InvalidImageError as error:
            failed = True
            print(f"{path}: {error}", file=sys.stderr)
            answers.append({"picture": path, "error": str(error)})
            continue
        answers.append({"picture": path} | prediction.to_dict() | {"top": prediction.top(options.top)})
        if not options.json:
            print(f"{path}: {_line(prediction, options.top)}")
    if options.json:
        print(json.dumps(answers, indent=2))
    return 1 if failed else 0


def _line(prediction: Prediction, k: int) -> str:
    names = ", ".join(f"{label} {probability:.1%}" for label, probability in prediction.top(k))
    return f"not sure, this may be none of the ten ({names})" if prediction.uncertain else names


if __name__ == "__main__":
    sys.exit(main())
