"""Where the garment that is meant is in a photo: the mask that a small network draws.

The network was trained on people's clothes in the street and on single garments (train/segmentation.py). Of several garments
it marks the one that is pointed at, or else the main one: of a whole person what is worn outermost above the waist, in other
pictures the largest, most central garment.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.bundle import DEFAULT_MODEL, SEGMENTATION_MODEL, Bundle
from fashion_classifier.images import UInt8Array
from fashion_classifier.locks import once
from fashion_classifier.network import Network

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]

SIDE = 160  # px, what the network sees of a photo: squashed to a square
MAP_SIDE = 80  # cells of its answer
MEANT, ANY = 0, 1  # its maps: the garment that is meant, and all garments
MAPS = 2
POINT = 16.0  # px, from a point to where its hint has fallen to 1/e of what the network sees there
SMALLEST = 0.004  # share of the picture that a believable garment covers
SMALLEST_PART = 0.2  # of the largest part; a pair of shoes has two parts of a size


class Segmenter:
    """The segmentation network. Safe to use from several threads at once."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """Load a .tflite file, as `Network` does."""
        self._network = Network(path, content, inputs=(1, SIDE, SIDE, 4), outputs=(1, MAP_SIDE, MAP_SIDE, MAPS))

    def __call__(self, photo: UInt8Array, at: tuple[float, float] | None = None) -> BoolArray:
        """The garment of an (H, W, 3) RGB photo: (H, W), True on the garment; all True where none is found.

        Args:
            photo: (H, W, 3) uint8 RGB.
            at: A point on the garment that is meant, (column, row) in pixels; None for the main garment.
        """
        height, width = photo.shape[:2]
        averaged = cv2.resize(photo, (min(width, SIDE), min(height, SIDE)), interpolation=cv2.INTER_AREA)
        # what is smaller is enlarged smoothly, as in training: INTER_AREA would make squares of its pixels
        squashed = cv2.resize(averaged, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        guided = np.dstack([squashed, hint(None if at is None else ((at[0] + 0.5) / width, (at[1] + 0.5) / height))])
        probability = 1 / (1 + np.exp(-self._network.run(as_input(guided[np.newaxis]))[0, :, :, MEANT]))
        kept = np.where(main_parts(probability > 0.5), probability, 0).astype(np.float32)
        mask: BoolArray = cv2.resize(kept, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        return mask if mask.any() else np.ones_like(mask)  # a few cells may fall between the pixels of a tiny photo


def hint(point: tuple[float, float] | None) -> UInt8Array:
    """What tells the network which garment is meant: (160, 160) uint8, 255 at the point and exponentially less around it.

    Args:
        point: (column, row) as shares of the photo's sides, in [0, 1]; None for zeros, no hint.
    """
    if point is None:
        return np.zeros((SIDE, SIDE), np.uint8)
    across, down = (np.arange(SIDE) + 0.5 - share * SIDE for share in point)
    peak: UInt8Array = np.round(255 * np.exp(-np.hypot(across, down[:, np.newaxis]) / POINT)).astype(np.uint8)
    return peak


def as_input(photos: UInt8Array) -> Float32Array:
    """(n, side, side, channels) uint8 -> float32 in [-1, 1], what the networks for photos take."""
    return photos.astype(np.float32) / np.float32(127.5) - np.float32(1)


def main_parts(found: BoolArray) -> BoolArray:
    """Without what is too small to be the garment or a part of it; all False where nothing believable is left."""
    if found.mean() < SMALLEST:
        return np.zeros_like(found)
    _, numbers, statistics, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    areas = statistics[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    large: BoolArray = areas >= SMALLEST_PART * areas.max()
    large[0] = False
    kept: BoolArray = large[numbers]
    return kept


@once
def default_segmenter() -> Segmenter:
    """The segmenter of the bundle that this package carries."""
    return Segmenter(DEFAULT_MODEL / SEGMENTATION_MODEL, Bundle(DEFAULT_MODEL).read(SEGMENTATION_MODEL))
