"""What masks mark: boxes around it, (left, top, width, height) in pixels, and what stands out from white."""

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.preprocessing import PLAIN_DISTANCE

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


def on_white(photo: UInt8Array) -> UInt8Array:
    """What stands out from the white around it in an (H, W, 3) photo: (H, W), 1 on it and on what it encloses."""
    mask: UInt8Array = (photo.min(axis=2) < 255 - PLAIN_DISTANCE).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mask, outlines, -1, (1,), cv2.FILLED)
    return mask
