"""A picture that was made from a photo -> the photo: of a page, of a collage, under a banner.

A page (a shop's screenshot, a polaroid, a frame, bars, rounded corners) is drawn: what of it is around a photo has one colour.
A photo's outline is one that garments do not have, convex and the same when it is turned by half a circle: a rectangle, upright
or not, one with rounded corners, an ellipse. The photos of a collage meet in seams, straight from edge to edge. A banner over a
photo is a strip of one colour, with words or without, from edge to edge too.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.figures import PLAIN_DISTANCE, Box, differs
from fashion_classifier.images import UInt8Array, to_gray, to_rgb

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
LINES = 64  # across a seam, on which it is looked for
STRETCHES = 8  # that they are in, as a garment before a straight edge hides one of them
SEAM = 0.5  # of the lines of each stretch that have a step at a seam
NEAR = np.array([[1, 1, 0, 0, 0, 1, 1]], np.uint8)  # steps two and three samples away, which are less
LEAST_PANEL = 0.2  # of a collage's side, that a photo spans; nearer to the edge are floors and shelves
MOST_GAP = 0.06  # of that side, between two photos; wider are strips with words over one
LEAST_BANNER = 0.01  # of a picture that has one colour without noise
MOST_BANNER = 0.35  # of a picture's shorter side, across a banner
STRAIGHT = 0.9  # intersection over union of a banner and a strip that nothing ends


@dataclass(frozen=True, eq=False)
class Inset:
    """A photo in a picture that was made from it.

    Attributes:
        box: Where it is: left, top, width, height in pixels.
        pixels: (height, width, 3) uint8 RGB; what of the box is not the photo has the colours of the photo next to it.
    """

    box: Box
    pixels: UInt8Array


def find_photo(picture: UInt8Array) -> Inset | None:
    """The photo that a picture was made from; None for a photo as it was taken, and for a page with several photos or none.

    On a page it is the only large photo. Of a collage it is the largest, of several as large the first. Under a banner it is
    the whole photo, and has the colours beside the banner in its place.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
    """
    inset, pixels, left, top = None, to_rgb(picture), 0, 0
    for _ in range(DEPTH):
        step = -(-max(pixels.shape[:2]) // SAMPLES)
        samples = np.ascontiguousarray(pixels[::step, ::step])
        if min(samples.shape[:2]) < SMALLEST:
            break
        found = _panel(pixels, samples, step) or _within(pixels, samples, step)
        if found is None:
            uncovered = _under_banner(pixels, samples)
            return inset if uncovered is None else Inset((left, top, *pixels.shape[1::-1]), uncovered)
        left, top, pixels = left + found.box[0], top + found.box[1], found.pixels
        inset = Inset((left, top, *found.box[2:]), pixels)
    return inset


def _panel(picture: UInt8Array, samples: UInt8Array, step: int) -> Inset | None:
    """The largest photo of an (H, W, 3) collage."""
    height, width = samples.shape[:2]
    for below, lying in enumerate((samples, samples.transpose(1, 0, 2))):
        if photos := _beside(lying):
            start, end = max(photos, key=lambda ends: ends[1] - ends[0])
            box = _enlarged((0, start, width, end - start) if below else (start, 0, end - start, height), step)
            return Inset(box, _cut(picture, box))
    return None


def _beside(samples: UInt8Array) -> list[tuple[int, int]]:
    """The columns at which each of the photos side by side in an (H, W, 3) picture begins and ends; none where it is one."""
    width, seams = samples.shape[1], _seams(samples)
    wide = [ends for ends in pairwise([0, *seams, width]) if ends[1] - ends[0] >= LEAST_PANEL * width]
    photos = [ends for ends in wide if _has_detail(samples[:, slice(*ends)])] if len(wide) > 1 else []
    close = all(after[0] - before[1] <= MOST_GAP * width for before, after in pairwise(photos))
    return photos if len(photos) > 1 and close else []


def _seams(samples: UInt8Array) -> list[int]:
    """The columns of an (H, W, 3) picture that differ from the one before all of the way down."""
    lines = np.ascontiguousarray(samples[np.linspace(0, len(samples) - 1, LINES).astype(int)])
    steps = _differences(lines[:, 1:], lines[:, :-1])
    edges = (steps > PLAIN_DISTANCE) & (steps > cv2.dilate(steps, NEAR))
    shares = edges.reshape(STRETCHES, LINES // STRETCHES, -1).mean(axis=1).min(axis=0)
    return [int(column) + 1 for column in np.flatnonzero(shares >= SEAM)]


def _has_detail(samples: UInt8Array) -> bool:
    """Whether most pixels of an (H, W, 3) picture differ from the next, across and down, as those of what was drawn do not."""
    gray = to_gray(samples)
    return all(np.count_nonzero(np.diff(gray, axis=axis)) > gray.size / 2 for axis in (0, 1))


def _within(picture: UInt8Array, samples: UInt8Array, step: int) -> Inset | None:
    """What stands on the outermost page of an (H, W, 3) picture."""
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
        if outline is not None and _commonest(_thinned(_cut(samples, box)))[1] <= MOST_PLAIN:
            if found:
                return None  # which one is meant?
            found = int(areas[i]), box, outline
    if found is None:
        return None
    _, (left, top, across, down), outline = found
    if outline.all() and (across, down) == samples.shape[1::-1]:
        return None
    box = _enlarged((left, top, across, down), step)
    pixels = _cut(picture, box)
    return Inset(box, pixels if outline.all() else _filled(pixels, outline))


def _under_banner(picture: UInt8Array, samples: UInt8Array) -> UInt8Array | None:
    """An (H, W, 3) photo with a strip of one colour over it, from edge to edge; the colours beside it are in its place."""
    colour = _drawn(samples)
    if colour is None:
        return None
    outline = _contour(1 - differs(samples, colour))
    centre, (across, along), angle = cv2.minAreaRect(outline)
    if min(across, along) > MOST_BANNER * min(samples.shape[:2]):
        return None
    endless = 2 * sum(samples.shape[:2])
    sides = (across, endless) if across < along else (endless, along)
    strip, filled = (np.zeros(samples.shape[:2], np.uint8) for _ in range(2))
    cv2.fillConvexPoly(strip, cv2.boxPoints((centre, sides, angle)).round().astype(np.int32), 1)
    cv2.drawContours(filled, [outline], 0, 1, cv2.FILLED)
    if np.count_nonzero(strip & filled) < STRAIGHT * np.count_nonzero(strip | filled):
        return None
    return _filled(picture, 1 - strip)


def _drawn(samples: UInt8Array) -> UInt8Array | None:
    """The commonest colour that pixels of an (H, W, 3) picture share with those above and before them; None where few do."""
    rows = np.linspace(1, len(samples) - 1, LINES).astype(int)
    here, above, before = samples[rows, 1:], samples[rows - 1, 1:], samples[rows, :-1]
    alike = (_differences(here, above) | _differences(here, before)) == 0
    if np.count_nonzero(alike) < LEAST_BANNER * alike.size:
        return None
    colour, share = _commonest(here[alike])
    return colour if share * np.count_nonzero(alike) >= LEAST_BANNER * alike.size else None


def _differences(samples: UInt8Array, others: UInt8Array) -> UInt8Array:
    """Of two (H, W, 3) pictures the largest difference of a channel: (H, W)."""
    red, green, blue = cv2.split(cv2.absdiff(samples, others))  # numpy's max over the channels takes ten times as long
    return cv2.max(cv2.max(red, green), blue).astype(np.uint8)


def _enlarged(box: Box, step: int) -> Box:
    """The box, in pixels, that surely is in a box of samples: between the outermost ones."""
    left, top, width, height = box
    return step * left, step * top, step * (width - 1) + 1, step * (height - 1) + 1


def _cut(image: UInt8Array, box: Box) -> UInt8Array:
    left, top, width, height = box
    return image[top : top + height, left : left + width]


def _page(samples: UInt8Array) -> UInt8Array | None:
    """The colour of a page: its four corners', or else the commonest, where much has that."""
    corners = samples[[0, 0, -1, -1], [0, -1, 0, -1]]
    colour: UInt8Array = np.median(corners, axis=0).astype(np.uint8)
    if not differs(corners[np.newaxis], colour).any():
        return colour
    colour, share = _commonest(_thinned(samples))
    return colour if share >= LEAST_PAGE else None


def _thinned(samples: UInt8Array) -> UInt8Array:
    """Enough of the colours of an (H, W, 3) picture: (n, 3)."""
    step = max(1, max(samples.shape[:2]) // COLOURS)
    return samples[::step, ::step].reshape(-1, 3)


def _commonest(colours: UInt8Array) -> tuple[UInt8Array, float]:
    """The commonest of (n, 3) colours, to five bits, and the share of them that is it."""
    red, green, blue = (colours >> 3).astype(np.int32).T
    keys = red << 10 | green << 5 | blue
    counts = np.bincount(keys)
    commonest = counts.argmax()
    return np.median(colours[keys == commonest], axis=0).astype(np.uint8), counts[commonest] / len(keys)


def _contour(mask: UInt8Array) -> npt.NDArray[np.int32]:
    """The longest way around what an (H, W) mask of 0 and 1 encloses, (n, 1, 2) columns and rows."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(contours, key=len), np.int32)


def _outline(mask: UInt8Array) -> UInt8Array | None:
    """What an (H, W) mask of 0 and 1 encloses, 1 everywhere where that is nearly all; None where it is no photo's outline."""
    contour = _contour(mask)
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
