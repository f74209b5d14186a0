"""Where in a picture the garment is that is meant: a point on it or a box around it, in pixels of the upright picture."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np

from fashion_classifier.decoding import MIN_SIDE, Size
from fashion_classifier.errors import InvalidPlaceError

Point = tuple[float, float]
"""A point in a picture: column and row, in pixels from its upper left corner; (0, 0) is the middle of the first pixel."""

Box = tuple[float, float, float, float]
"""A box in a picture: left, top, width and height in pixels."""


def checked_point(at: object, size: Size) -> Point:
    """A point of a picture of (width, height) pixels.

    Raises:
        InvalidPlaceError: It is no pair of numbers, or lies outside the picture.
    """
    point = _numbers(at, 2, size, "at takes a point (x, y)")
    if not all(-0.5 <= value <= side - 0.5 for value, side in zip(point, size, strict=True)):
        raise InvalidPlaceError(f"The point {_shown(point)} lies outside the picture", size)
    column, row = point
    return column, row


def checked_box(box: object, size: Size) -> Box:
    """The part of a box that lies in a picture of (width, height) pixels, as a box.

    Raises:
        InvalidPlaceError: It is no four numbers, or fewer than 2x2 pixels of it lie in the picture.
    """
    numbers = _numbers(box, 4, size, "box takes (left, top, width, height)")
    left, top, width, height = numbers
    right, bottom = min(left + width, size[0]), min(top + height, size[1])
    left, top = max(0.0, left), max(0.0, top)
    if min(right - left, bottom - top) < MIN_SIDE:
        raise InvalidPlaceError(
            f"Fewer than {MIN_SIDE}x{MIN_SIDE} pixels of the box {_shown(numbers)} are in the picture", size
        )
    return left, top, right - left, bottom - top


def reduced_point(point: Point, size: Size, reduced: Size) -> Point:
    """The same point where a picture of (width, height) pixels was reduced to fewer."""
    column, row = ((value + 0.5) * kept / whole - 0.5 for value, whole, kept in zip(point, size, reduced, strict=True))
    return column, row


def reduced_box(box: Box, size: Size, reduced: Size) -> tuple[slice, slice]:
    """The rows and columns that a box touches where a picture of (width, height) pixels was reduced to fewer."""
    left, top, width, height = box
    across, down = (kept / whole for whole, kept in zip(size, reduced, strict=True))
    rows = slice(int(top * down), math.ceil((top + height) * down))
    return rows, slice(int(left * across), math.ceil((left + width) * across))


def _numbers(value: object, count: int, size: Size, taken: str) -> tuple[float, ...]:
    numbers = tuple(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes) else ()
    # NumPy's numbers register as real ones; True is one too, and no coordinate
    if len(numbers) != count or not all(isinstance(one, Real) and not isinstance(one, bool) for one in numbers):
        raise InvalidPlaceError(f"{taken} in pixels, received {value!r:.60}", size)
    converted = tuple(float(one) for one in numbers)
    if not all(map(math.isfinite, converted)):
        raise InvalidPlaceError(f"{taken} of finite numbers, received {value!r:.60}", size)
    return converted


def _shown(numbers: Iterable[float]) -> str:
    return f"({', '.join(f'{number:g}' for number in numbers)})"
