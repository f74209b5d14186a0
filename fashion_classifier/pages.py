"""A picture of a page -> the photo on it: screenshots of shops, polaroids, frames, bars, rounded corners.

A page is drawn: what of it surrounds a photo is of one colour. A photo's outline is one that garments do not have, convex and
the same when it is turned by half a circle: a rectangle, upright or not, one with rounded corners, an ellipse.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fashion_classifier.figures import Box, differs
from fashion_classifier.images import UInt8Array, to_rgb

SAMPLES = 512  # pixels a side at most, in which outlines are looked for
COLOURS = 100  # pixels a side, about, in which the commonest colour is
LEAST_PAGE = 0.06  # of a picture that has one colour, or nearly, where its corners do not
MOST_PLAIN = 0.7  # of a photo; buttons and bars are of one colour
SMALLEST = 24  # samples, a photo's shorter side
LONGEST = 3  # times as long as the shorter one
SOLID = 0.96  # of the convex hull that is not of the page's colour; a photo's own edge may be
LEAST_FULL = 0.45  # of the box, that an outline fills: a square turned by 45 degrees half of it, an ellipse more
FULL = 0.997  # from which on it is the whole box
SYMMETRIC = 0.985  # intersection over union of an outline and itself turned
RIVAL = 0.5  # of the largest photo's box, from which on another one may be meant as well
DEPTH = 3  # pages in one another: a print on a table
FADED = 5  # samples across, in which an outline fades into the page


@dataclass(frozen=True, eq=False)
class Inset:
    """A photo on a page.

    Attributes:
        box: Where it is: left, top, width, height in pixels.
        pixels: (height, width, 3) uint8 RGB; what of the box is beside its outline has the colours that are next to it within.
    """

    box: Box
    pixels: UInt8Array


def find_photo(picture: UInt8Array) -> Inset | None:
    """The one large photo on a page; None for a picture without a page, and for a page with several photos or none.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
    """
    inset, (height, width) = None, picture.shape[:2]
    left = top = 0
    inner = Inset((0, 0, width, height), to_rgb(picture))
    for _ in range(DEPTH):
        found = _within(inner.pixels)
        if found is None:
            break
        left, top = left + found.box[0], top + found.box[1]
        inset = Inset((left, top, *found.box[2:]), found.pixels)
        inner = inset
    return inset


def _within(picture: UInt8Array) -> Inset | None:
    """What stands on the outermost page of an (H, W, 3) picture."""
    step = -(-max(picture.shape[:2]) // SAMPLES)
    samples = np.ascontiguousarray(picture[::step, ::step])
    page = _page(samples)
    if page is None:
        return None
    _, numbers, statistics, _ = cv2.connectedComponentsWithStats(differs(samples, page), connectivity=4)
    sides = statistics[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    shorter, longer, areas = sides.min(axis=1), sides.max(axis=1), sides.prod(axis=1)
    likely = np.flatnonzero((shorter >= SMALLEST) & (longer <= LONGEST * shorter))
    found: tuple[int, Box, UInt8Array] | None = None
    for i in sorted(likely[likely > 0], key=areas.__getitem__, reverse=True):  # the page is 0
        if found and areas[i] < RIVAL * found[0]:
            break
        left, top, across, down = (int(length) for length in statistics[i, :4])
        box = left, top, across, down
        outline = _outline((numbers[top : top + down, left : left + across] == i).astype(np.uint8))
        if outline is not None and _commonest(_cut(samples, box))[1] <= MOST_PLAIN:
            if found:
                return None  # which one is meant?
            found = int(areas[i]), box, outline
    if found is None:
        return None
    _, (left, top, across, down), outline = found
    if outline.all() and (across, down) == samples.shape[1::-1]:
        return None
    box = step * left, step * top, step * (across - 1) + 1, step * (down - 1) + 1  # the samples alone are surely within
    pixels = _cut(picture, box)
    return Inset(box, pixels if outline.all() else _filled(pixels, outline))


def _cut(image: UInt8Array, box: Box) -> UInt8Array:
    left, top, width, height = box
    return image[top : top + height, left : left + width]


def _page(samples: UInt8Array) -> UInt8Array | None:
    """The colour of a page: its four corners', or else the commonest, where much has that."""
    corners = samples[[0, 0, -1, -1], [0, -1, 0, -1]]
    colour: UInt8Array = np.median(corners, axis=0).astype(np.uint8)
    if not differs(corners[np.newaxis], colour).any():
        return colour
    colour, share = _commonest(samples)
    return colour if share >= LEAST_PAGE else None


def _commonest(samples: UInt8Array) -> tuple[UInt8Array, float]:
    """The commonest colour of an (H, W, 3) picture, to five bits, and the share of the picture that has it."""
    step = max(1, max(samples.shape[:2]) // COLOURS)
    colours = samples[::step, ::step].reshape(-1, 3)
    red, green, blue = (colours >> 3).astype(np.int32).T
    keys = red << 10 | green << 5 | blue
    counts = np.bincount(keys)
    commonest = counts.argmax()
    return np.median(colours[keys == commonest], axis=0).astype(np.uint8), counts[commonest] / len(keys)


def _outline(mask: UInt8Array) -> UInt8Array | None:
    """What an (H, W) mask of 0 and 1 encloses, 1 everywhere where that is nearly all; None where it is no photo's outline."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    hull, filled = (np.zeros_like(mask) for _ in range(2))
    cv2.fillConvexPoly(hull, cv2.convexHull(contour), 1)
    cv2.drawContours(filled, [contour], 0, 1, cv2.FILLED)
    area, turned = np.count_nonzero(hull), hull[::-1, ::-1]
    if area < LEAST_FULL * hull.size or np.count_nonzero(filled) < SOLID * area:
        return None
    if np.count_nonzero(hull & turned) < SYMMETRIC * np.count_nonzero(hull | turned):
        return None
    return np.ones_like(filled) if area >= FULL * hull.size else filled


def _filled(pixels: UInt8Array, outline: UInt8Array) -> UInt8Array:
    """A photo of (H, W, 3) whose pixels beside an outline, of samples, have the colour of the nearest within."""
    kept = cv2.erode(outline, np.ones((FADED, FADED), np.uint8))  # the box's edges are kept
    kept = cv2.resize(kept, pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    _, nearest = cv2.distanceTransformWithLabels(1 - kept, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colours = np.empty((nearest.max() + 1, 3), np.uint8)
    colours[nearest[kept > 0]] = pixels[kept > 0]
    filled: UInt8Array = colours[nearest]
    return filled
