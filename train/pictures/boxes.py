"""Boxes around what a mask marks: (left, top, width, height), in pixels."""

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


def box_of(mask: UInt8Array) -> tuple[int, int, int, int]:
    """Left, top, width and height of the smallest box around what is not 0."""
    left, top, width, height = cv2.boundingRect(mask)
    return left, top, width, height


def widened(box: tuple[int, int, int, int], margin: float) -> tuple[slice, slice]:
    """The rows and columns of a box (left, top, width, height), widened on every side by `margin` times its longer side."""
    left, top, width, height = box
    extra = round(margin * max(width, height))
    return slice(max(0, top - extra), top + height + extra), slice(max(0, left - extra), left + width + extra)
