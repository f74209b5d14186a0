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
from fashion_classifier.masks import BoolArray, box_of, innermost, iou, largest_part, main_parts, widened
from fashion_classifier.network import Network
from fashion_classifier.places import Point

Float32Array = npt.NDArray[np.float32]

SIDE = 160  # px, what the network sees of a photo: squashed to a square
MAP_SIDE = 80  # cells of its answer
MEANT, ANY = 0, 1  # its maps: the garment that is meant, and all garments
MAPS = 2
POINT = 16.0  # px, from a point to where its hint has fallen to 1/e of what the network sees there
MARGIN = 0.15  # around what a point finds, of the longer side of its box: there the network looks again
MOST_POINTS = 8  # that are set to find all garments
LEAST_LEFT = 0.005  # share of the picture that must be garment, and not accounted for, to set another
EDGE = 5  # cells: nothing is looked for within two of a garment that was found
SAME = 0.6  # of the smaller mask is in the other: one garment
ONE = 0.5  # intersection over union of what is found with and without a point on it, from which on it is one garment


class Segmenter:
    """The segmentation network. Safe to use from several threads at once."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """Load a .tflite file, as `Network` does."""
        self._network = Network(path, content, inputs=(1, SIDE, SIDE, 4), outputs=(1, MAP_SIDE, MAP_SIDE, MAPS))

    def __call__(self, photo: UInt8Array, at: Point | None = None) -> BoolArray:
        """The garment of an (H, W, 3) RGB photo: (H, W), True on the garment; all True where none is found.

        Args:
            photo: (H, W, 3) uint8 RGB.
            at: A point on the garment that is meant, (column, row) in pixels; None for the main garment.
        """
        mask = _enlarged(self._maps(photo)[MEANT], photo) if at is None else self._pointed(photo, at)
        return mask if mask.any() else np.ones_like(mask)  # a few cells may fall between the pixels of a tiny photo

    def each(self, photo: UInt8Array, main: BoolArray) -> list[BoolArray]:
        """The garments of an (H, W, 3) RGB photo: (H, W) each, True on the garment.

        The network is pointed to where it sees garments that are not accounted for, until little of them is left.

        Args:
            photo: (H, W, 3) uint8 RGB.
            main: (H, W), True on what is found without a point; the first of the garments, unless it is several in one.
        """
        at = innermost(main)
        alone = _enlarged(self._maps(photo, at)[MEANT], photo)
        found = [main if not alone.any() or iou(alone, main) >= ONE else self._pointed(photo, at)]
        left = (self._maps(photo)[ANY] > 0.5) & ~_covered(found[0])
        for _ in range(MOST_POINTS):
            part = largest_part(left)
            if part.mean() < LEAST_LEFT:
                break
            column, row = innermost(part)
            across, down = photo.shape[1] / MAP_SIDE, photo.shape[0] / MAP_SIDE
            mask = self._pointed(photo, ((column + 0.5) * across - 0.5, (row + 0.5) * down - 0.5))
            covered = _covered(mask)
            left &= ~(covered if covered[row, column] else part)
            if mask.any() and not any(_is_same(mask, other) for other in found):
                found.append(mask)
        return found

    def _pointed(self, photo: UInt8Array, at: Point) -> BoolArray:
        """The garment at a point: looked for in the whole photo, then in what lies around that."""
        found = _enlarged(self._maps(photo, at)[MEANT], photo)
        rows, columns = widened(box_of(found), MARGIN)
        around = photo[rows, columns]
        if around.size:
            found[:] = False
            found[rows, columns] = _enlarged(self._maps(around, (at[0] - columns.start, at[1] - rows.start))[MEANT], around)
        return found

    def _maps(self, photo: UInt8Array, at: Point | None = None) -> Float32Array:
        """What the network says of a photo: (2, 80, 80) probabilities, of the garment that is meant, and of any garment."""
        height, width = photo.shape[:2]
        averaged = cv2.resize(photo, (min(width, SIDE), min(height, SIDE)), interpolation=cv2.INTER_AREA)
        # what is smaller is enlarged smoothly, as in training: INTER_AREA would make squares of its pixels
        squashed = cv2.resize(averaged, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        guide = hint(None if at is None else ((at[0] + 0.5) / width, (at[1] + 0.5) / height))
        inputs = as_input(np.asarray(cv2.merge([squashed, guide]), np.uint8)[np.newaxis])
        maps: Float32Array = np.moveaxis(1 / (1 + np.exp(-self._network.run(inputs)[0])), 2, 0)
        maps[MEANT] *= main_parts(maps[MEANT] > 0.5)
        return maps


def _enlarged(probability: Float32Array, photo: UInt8Array) -> BoolArray:
    """Where in an (H, W, 3) photo a map of cells says more than 1/2: (H, W)."""
    mask: BoolArray = cv2.resize(probability, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return mask


def _covered(mask: BoolArray) -> BoolArray:
    """The cells that an (H, W) mask touches, and those next to them."""
    touched = cv2.resize(mask.astype(np.float32), (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA) > 0
    covered: BoolArray = cv2.dilate(touched.astype(np.uint8), np.ones((EDGE, EDGE), np.uint8)) > 0
    return covered


def _is_same(mask: BoolArray, other: BoolArray) -> bool:
    """Whether two masks show one garment: most of the smaller one is in the other."""
    smaller = min(np.count_nonzero(mask), np.count_nonzero(other))
    return bool(np.count_nonzero(mask & other) >= SAME * smaller)


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


@once
def default_segmenter() -> Segmenter:
    """The segmenter of the bundle that this package carries."""
    return Segmenter(DEFAULT_MODEL / SEGMENTATION_MODEL, Bundle(DEFAULT_MODEL).read(SEGMENTATION_MODEL))
