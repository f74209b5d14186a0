"""Where files are, as a person writes it: a path, or an address that PyArrow's file systems know."""

import re
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow.fs import FileSystem

from fashion_classifier.decoding import FORMATS
from fashion_classifier.errors import FashionClassifierError

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://")  # two letters at least: C:/ is a drive
FETCHED = re.compile(r"https?://")  # by nobody: `predict` says so
ARROW_ERRORS = (OSError, pa.ArrowException)  # what reading through PyArrow raises
UNREADABLE = {
    ".arw",
    ".cr2",
    ".dng",
    ".ico",
    ".jp2",
    ".jxl",
    ".nef",
    ".psd",
    ".svg",
    ".tga",
}  # pictures too


class SourceError(FashionClassifierError, ValueError):
    """A source of pictures, or a folder for the answers, is not there or cannot be used."""


def is_address(path: str) -> bool:
    return ADDRESS.match(path) is not None


def absolute(place: str | Path) -> str:
    """A place as other processes find it, whatever folder they work in."""
    return str(place) if is_address(str(place)) else str(Path(place).absolute())


def is_local(place: str, path: str) -> bool:
    """Whether `predict` takes the path as it is: a file of this machine, or what it refuses with a hint."""
    return FETCHED.match(path) is not None or not (is_address(place) or is_address(path))


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its ending; formats that cannot be read are pictures too."""
    return PurePath(name).suffix.lower() in _endings()


@lru_cache(maxsize=1)
def _endings() -> set[str]:
    readable = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    return readable | {".heic", ".heif"} | UNREADABLE


@lru_cache(maxsize=64)
def file_system(place: str) -> tuple[Any, str]:
    """The file system of a place, and the path in it.

    Args:
        place: A path, or an address such as s3://bucket/key?region=eu-central-1 or hf://datasets/owner/name.

    Raises:
        SourceError: There is no such file system.
    """
    try:
        system, path = FileSystem.from_uri(absolute(place))
    except (ValueError, ImportError, *ARROW_ERRORS) as error:
        raise SourceError(f"{shown(place)!r} cannot be opened: {first_line(error)}") from error
    return system, path.rstrip("/")


def shown(place: str, path: str | None = None) -> str:
    """A path in a place's file system as one address, without the access keys that the place may hold."""
    if path is not None and is_address(path):
        return shown(path)
    if (scheme := ADDRESS.match(place)) is None:
        return path or place
    if path is None:
        authority, slash, rest = place[scheme.end() :].partition("?")[0].partition("/")
        path = authority.rpartition("@")[2] + slash + rest
    return f"{scheme[0]}{path}"


def first_line(error: BaseException) -> str:
    """What an error says, as one line with a full stop."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{(said.strip() or type(error).__name__).splitlines()[0].rstrip('.')}."
