"""What a mask marks: (H, W) arrays, True on the garment."""

import cv2
import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]

SMALLEST = 0.004  # share of the picture that a believable garment covers
SMALLEST_PART = 0.2  # of the largest part; a pair of shoes has two parts of a size


def box_of(mask: BoolArray) -> tuple[int, int, int, int]:
    """Left, top, width and height of the smallest box around what is True; zeros where nothing is."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return left, top, width, height


def widened(box: tuple[int, int, int, int], margin: float) -> tuple[slice, slice]:
    """The rows and columns of a box (left, top, width, height), widened on every side by `margin` times its longer side."""
    left, top, width, height = box
    extra = round(margin * max(width, height))
    return slice(max(0, top - extra), top + height + extra), slice(max(0, left - extra), left + width + extra)


def innermost(mask: BoolArray) -> tuple[int, int]:
    """The point (column, row) of a mask that is farthest from its edge; the picture's edge is one too."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(column), int(row)


def iou(found: BoolArray, true: BoolArray) -> float:
    """Intersection over union of two masks of one shape, of which one at least is not empty."""
    return float(np.count_nonzero(found & true) / np.count_nonzero(found | true))


def main_parts(found: BoolArray) -> BoolArray:
    """Without what is too small to be the garment or a part of it; all False where nothing believable is left."""
    if found.mean() < SMALLEST:
        return np.zeros_like(found)
    numbers, areas = _parts(found)
    kept: BoolArray = _is_part(areas)[numbers]
    return kept


def parts_of(found: BoolArray) -> list[BoolArray]:
    """Each part that hangs together and is not too small beside the largest, which is the first, the smallest the last."""
    numbers, areas = _parts(found)
    return [numbers == part for part in np.argsort(-areas, kind="stable") if _is_part(areas)[part]]


def largest_part(found: BoolArray) -> BoolArray:
    """The largest of the parts that hang together; all False where there is none."""
    numbers, areas = _parts(found)
    largest: BoolArray = (numbers == areas.argmax()) & found
    return largest


def _is_part(areas: npt.NDArray[np.int32]) -> BoolArray:
    is_part: BoolArray = (areas >= SMALLEST_PART * areas.max()) & (areas > 0)
    return is_part


def _parts(found: BoolArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """For each pixel the number of its part, and each part's area; part 0 is the background, and counts as empty."""
    _, numbers, statistics, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    areas = statistics[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    return np.asarray(numbers, np.int32), np.asarray(areas, np.int32)
