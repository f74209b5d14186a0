"""What can go wrong, as exceptions that carry the facts of the failure."""

from pathlib import Path
from typing import Any


class FashionClassifierError(Exception):
    """Base class of every error that this package raises on purpose; all can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_before, (type(self), self.args), self.__dict__


def _made_before(kind: type[FashionClassifierError], args: tuple[Any, ...]) -> FashionClassifierError:
    """An error without a call of its constructor, which made the message already."""
    return kind.__new__(kind, *args)


class InvalidImageError(FashionClassifierError, ValueError):
    """What was given cannot be read as a picture.

    Attributes:
        problem: What was received and what is wrong with it.
        accepted: What would have been accepted.
        index: Position of the picture in the iterable that it came from, or None for a single picture.
    """

    def __init__(self, problem: str, accepted: str, index: int | None = None) -> None:
        self.problem = problem
        self.accepted = accepted
        self.index = index
        place = "" if index is None else f"Picture {index}: "
        super().__init__(f"{place}{problem} Accepted: {accepted}")

    def at(self, index: int) -> "InvalidImageError":
        """The same error, saying at which position of an iterable it happened."""
        return InvalidImageError(self.problem, self.accepted, index)


class InvalidPlaceError(FashionClassifierError, ValueError):
    """What was given is no point or box in the picture.

    Attributes:
        problem: What was received and what is wrong with it.
        size: Width and height of the upright picture, pixels.
    """

    def __init__(self, problem: str, size: tuple[int, int]) -> None:
        self.problem = problem
        self.size = size
        super().__init__(f"{problem}; the picture has {size[0]}x{size[1]} pixels, its upper left one is (0, 0).")


class InvalidBundleError(FashionClassifierError):
    """A model bundle is missing, incomplete, damaged or made for another version of this package.

    Attributes:
        path: The folder that was to be loaded.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} is not a usable model bundle: {problem}")


class ModelIntegrityError(InvalidBundleError):
    """A file of a bundle is not the one that was published; nothing of the bundle is used.

    Attributes:
        file: The file.
        found: Its checksum.
        expected: The checksum that the manifest, or for the manifest the Hub, gives.
    """

    def __init__(self, file: Path, found: str, expected: str) -> None:
        self.file = file
        self.found = found
        self.expected = expected
        super().__init__(
            file.parent,
            f"{file.name} has the checksum {found}, it should have {expected}: it was changed. "
            f"Delete {file.resolve()} and get it again.",
        )


class InvalidReferenceError(FashionClassifierError, ValueError):
    """What was given names no model.

    Attributes:
        ref: What was given.
    """

    def __init__(self, ref: object, problem: str) -> None:
        self.ref = ref
        super().__init__(f"{str(ref)!r} names no model: {problem}. Accepted: a bundle's folder, or owner/name[@revision].")


class HubError(FashionClassifierError):
    """The Hugging Face Hub cannot be reached, refuses, or lacks what was asked for.

    Attributes:
        repo: "owner/name".
        revision: The revision that was asked for, or None.
    """

    def __init__(self, repo: str, revision: str | None, problem: str) -> None:
        self.repo = repo
        self.revision = revision
        super().__init__(f"{repo}{f'@{revision}' if revision else ''}: {problem}")


class ExplanationError(FashionClassifierError):
    """An explanation was asked for that this network, target or installation cannot give."""
