"""GrabCut's masks of photos: what the segmentation network learns single garments from, and what it is measured against."""

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.images import UInt8Array

BoolArray = npt.NDArray[np.bool_]

GRABCUT_SIDE = 160  # px, longest side on which GrabCut runs; larger is slower and not better on phone photos
GRABCUT_ITERATIONS = 3
BORDER = 0.03  # share of the shorter side, taken as background to start from
SMALLEST, LARGEST = 0.02, 0.98  # share of the picture that a believable garment covers


def grabcut_mask(photo: UInt8Array) -> BoolArray:
    """The foreground of an (H, W, 3) RGB photo, (H, W), by GrabCut (Rother, Kolmogorov, Blake 2004) from its border.

    Deterministic. Where GrabCut finds next to nothing or nearly everything, the mask is the whole picture.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, GRABCUT_SIDE / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    margin = max(1, round(BORDER * min(size)))
    labels = np.full((size[1], size[0]), cv2.GC_BGD, np.uint8)
    labels[margin:-margin, margin:-margin] = cv2.GC_PR_FGD
    cv2.setRNGSeed(0)  # GrabCut starts from k-means with random centres
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))  # colour models, filled in by GrabCut
    no_rectangle = (0, 0, 0, 0)  # the mask stands in for it
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    cv2.grabCut(bgr, labels, no_rectangle, background, foreground, GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK)
    mask = _main_parts((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
    if not SMALLEST <= mask.mean() <= LARGEST:
        return np.ones((height, width), bool)
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5


def _main_parts(mask: BoolArray) -> BoolArray:
    """The parts of a mask that are at least a quarter as large as its largest one, holes closed (a pair of shoes is two)."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    if count < 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.isin(parts, 1 + np.flatnonzero(areas >= areas.max() / 4)).astype(np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(kept, outlines, -1, 1, cv2.FILLED)
    return kept.astype(bool)
