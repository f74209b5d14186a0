"""What the commands share: how they tell their options and what went wrong, and how they keep TensorFlow quiet.

A command imports what takes seconds to load after its options were read, so that --help and a wrong call answer at once.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fashion_classifier import FashionClassifierError


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """The docstring as it is written, and after each option the default where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        nothing = action.default is None or action.default is False or action.default == []
        return action.help if nothing else super()._get_help_string(action)


def command_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser without options; the description is the command's docstring."""
    return argparse.ArgumentParser(description=description, formatter_class=_Formatter)


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option --data, for `load_fashion_mnist`."""
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of Fashion-MNIST's four IDX files (default: FASHION_MNIST_DIR, or else what Keras downloads)",
    )


FOLDERS = {
    "segmentation": "a finished run of train.segmentation, or a bundle",
    "orientation": "a finished run of train.orientation, or a bundle",
    "photos": "folder of the phone photos (photos.csv, images/)",
    "street": "folder of the street photos (labels.json, photos/, masks/)",
    "shop": "folder of a shop's products (shop.csv, images/)",
    "people": "folder of people in the street (tags.csv, photos/, crops.csv, crops/)",
    "things": "folder of what is no garment (things.csv, images/)",
    "pictures": "your own: a folder (pictures.csv: image, group, class) or a Parquet file",
    "feedback": "folder of a journal with visitors' corrections",
}


def add_folders(parser: argparse.ArgumentParser, *names: str, required: bool = False) -> None:
    """Options for some of `FOLDERS`."""
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=required, help=FOLDERS[name])


def given_data(arguments: argparse.Namespace) -> str:
    """The option --data as it was typed, for the command that follows; "" where it was not."""
    return f" --data {arguments.data}" if arguments.data else ""


@contextmanager
def told(parser: argparse.ArgumentParser) -> Iterator[None]:
    """What is wrong with files, folders, values and the Hub ends the command with status 1, in the error's own sentence."""
    try:
        yield
    except (FashionClassifierError, OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")


def load_keras() -> None:
    """Load Keras and its backend without the lines that they greet with; errors are raised as ever."""
    with quiet():
        import keras

        keras.ops.zeros(1)  # only now the backend looks for its devices


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of what TensorFlow tells while it loads and converts, which is hundreds of lines."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(stream) for stream in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
        os.close(nowhere)
