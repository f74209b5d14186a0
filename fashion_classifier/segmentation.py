"""Where the main garment is in a photo: the mask that a small network draws.

The network was trained on people's clothes in the street and on single garments (train/segmentation.py). Of several garments
it marks the main one: the largest, most central. Who wants another one passes a crop.
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
SMALLEST = 0.004  # share of the picture that a believable garment covers
SMALLEST_PART = 0.2  # of the largest part; a pair of shoes has two parts of a size


class Segmenter:
    """The segmentation network. Safe to use from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Load a .tflite file; raises `InvalidBundleError` as `Network` does."""
        self._network = Network(path, inputs=(1, SIDE, SIDE, 3), outputs=(1, MAP_SIDE, MAP_SIDE, 1))

    def __call__(self, photo: UInt8Array) -> BoolArray:
        """The main garment of an (H, W, 3) RGB photo: (H, W), True on the garment; all True where none is found."""
        height, width = photo.shape[:2]
        averaged = cv2.resize(photo, (min(width, SIDE), min(height, SIDE)), interpolation=cv2.INTER_AREA)
        # what is smaller is enlarged smoothly, as in training: INTER_AREA would make squares of its pixels
        squashed = cv2.resize(averaged, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        probability = 1 / (1 + np.exp(-self._network.run(as_input(squashed[np.newaxis]))[0, :, :, 0]))
        kept = np.where(main_parts(probability > 0.5), probability, 0).astype(np.float32)
        mask: BoolArray = cv2.resize(kept, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        return mask if mask.any() else np.ones_like(mask)  # a few cells may fall between the pixels of a tiny photo


def as_input(photos: UInt8Array) -> Float32Array:
    """(n, side, side, 3) uint8 -> float32 in [-1, 1], what the networks for photos take."""
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
    return Segmenter(Bundle(DEFAULT_MODEL).file(SEGMENTATION_MODEL))
