"""A thumbnail as tutorials draw it -> the thumbnail: out of its plot or page, and out of its colour map.

`matplotlib.pyplot.imshow` draws a 28x28 image in colours, enlarged, on a page with axes, ticks, a title or a colour bar.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fashion_classifier.images import UInt8Array, to_gray, to_rgb

Box = tuple[int, int, int, int]  # left, top, width, height

SIZE = 28  # px, side of a thumbnail
PLAIN_DISTANCE = 13  # gray levels, 5 % of full scale: Zalando's tolerance when trimming
PAGE_SHARE = 0.9  # of a picture's border that is of one colour where a page surrounds a figure
EDGE_SHARE = 0.8  # of a figure's outline that differs from the page; of a garment's box much less
SQUARE = 0.015  # of its longer side, by which a figure may miss a square
LINE = 0.025  # of its side: the widest line around a figure, less than a pixel of the thumbnail
GROUND_SHARE = 0.4  # of a thumbnail's border that is of its ground's colour, one end of the colour map
GROUND_DISTANCE = 24  # of a channel from that colour: JPEG, and thumbnails whose black is not quite
ON_MAP = 12.0  # mean distance of what is drawn from the colours of a map, in RGB
DETAIL = 0.07  # of a picture's standard deviation: the mean error of its 28x28 form, from which on it shows more than that

_LEVELS = np.arange(256, dtype=np.uint8)
GRAY = [np.stack([_LEVELS] * 3, axis=1)]  # colour maps are (256, 3) uint8, RGB
COLOURS = [
    cv2.applyColorMap(_LEVELS[:, np.newaxis], colours)[:, 0, ::-1].astype(np.uint8)
    for colours in (
        cv2.COLORMAP_VIRIDIS,
        cv2.COLORMAP_PLASMA,
        cv2.COLORMAP_INFERNO,
        cv2.COLORMAP_MAGMA,
        cv2.COLORMAP_CIVIDIS,
        cv2.COLORMAP_JET,
        cv2.COLORMAP_TURBO,
    )
]


@dataclass(frozen=True, eq=False)
class Figure:
    """A thumbnail that is drawn in a picture.

    Attributes:
        pixels: (28, 28) uint8 in [0, 255], light garment on black.
        box: Where it is in the picture: left, top, width, height; a square, but for a pixel or two.
    """

    pixels: UInt8Array
    box: Box


def find_figure(photo: UInt8Array) -> Figure | None:
    """The thumbnail in a picture that is a figure of one: on a plain page, or in the colours of a colour map, or both.

    Args:
        photo: (H, W) or (H, W, 3) uint8.

    Returns:
        None for every other picture, thumbnails in gray without a page among them.
    """
    height, width = photo.shape[:2]
    figure = _read(photo, (0, 0, width, height), COLOURS) if photo.ndim == 3 and height == width >= SIZE else None
    if figure is None and (box := _on_page(photo)) is not None:
        figure = _read(photo, box, GRAY + COLOURS)
    return figure


def border_values(image: UInt8Array) -> UInt8Array:
    """The outermost pixels of an (H, W[, 3]) picture, each once: (2 (H + W) - 4[, 3])."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def _on_page(photo: UInt8Array) -> Box | None:
    """The box of the largest thing that stands on a plain page, without a line around it; None where it is no square."""
    border = border_values(photo)
    page = np.rint(np.median(border, axis=0)).astype(np.uint8)
    if differs(border[np.newaxis], page).mean() > 1 - PAGE_SHARE:
        return None
    _, numbers, statistics, _ = cv2.connectedComponentsWithStats(differs(photo, page))
    boxes = statistics[1:, :4]  # of the page none
    if not len(boxes):
        return None
    number = int(np.argmax(boxes[:, cv2.CC_STAT_WIDTH] * boxes[:, cv2.CC_STAT_HEIGHT])) + 1
    left, top, width, height = (int(length) for length in statistics[number, :4])
    drawn = numbers[top : top + height, left : left + width] == number
    # ticks stick out of the square: few pixels of a row or a column
    rows, columns = (np.flatnonzero(drawn.mean(axis=axis) > 0.5) for axis in (1, 0))
    if not rows.size or not columns.size:
        return None
    drawn = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = drawn.shape
    if min(height, width) < SIZE or abs(height - width) > SQUARE * max(height, width):
        return None
    if border_values(drawn).mean() < EDGE_SHARE:
        return None
    left, top = left + int(columns[0]), top + int(rows[0])
    square = photo[top : top + height, left : left + width]
    line = max(_line(np.rot90(square, turns)) for turns in range(4))
    return left + line, top + line, width - 2 * line, height - 2 * line


def differs(image: UInt8Array, colour: UInt8Array) -> UInt8Array:
    """Where an (H, W[, 3]) picture has another colour: (H, W) uint8, 1 there and 0 elsewhere."""
    least, most = (np.atleast_1d(colour.astype(float) + distance) for distance in (-PLAIN_DISTANCE, PLAIN_DISTANCE))
    return (cv2.inRange(image, least, most) + 1).astype(np.uint8)  # from 255 and 0


def _line(square: UInt8Array) -> int:
    """How many rows of pixels at the top are a line around a figure: of one colour each, another one than further in."""
    within = int(LINE * len(square))
    inner = np.median(square[within], axis=0)
    for width in range(within, 0, -1):
        row = square[width - 1]
        colour = np.rint(np.median(row, axis=0)).astype(np.uint8)
        if np.abs(colour - inner).max() > PLAIN_DISTANCE and differs(row[np.newaxis], colour).mean() <= 1 - PAGE_SHARE:
            return width
    return 0


def _read(photo: UInt8Array, box: Box, colour_maps: list[UInt8Array]) -> Figure | None:
    """What a square of a picture shows; None where it is no thumbnail in the colours of a map."""
    square = _cut(photo, box)
    border = border_values(square).astype(np.int16).reshape(-1, 1 if photo.ndim == 2 else 3)
    grounds = [
        (colour_map, bool(inverted), ground)
        for colour_map in colour_maps
        for inverted, ground in enumerate(colour_map[[0, -1]])
        if np.mean(np.abs(border - ground).max(axis=1) <= GROUND_DISTANCE) >= GROUND_SHARE
    ]
    aligned = _aligned(to_gray(square), box) if grounds else None
    if aligned is None:
        return None
    cells = to_rgb(_centres(_cut(photo, aligned))).reshape(-1, 3).astype(np.float32)
    readings = []
    for colour_map, inverted, ground in grounds:
        distances, nearest = cv2.batchDistance(cells, colour_map.astype(np.float32), cv2.CV_32F, normType=cv2.NORM_L2, K=1)
        levels = nearest[:, 0].astype(np.uint8)
        drawn = np.abs(cells - ground).max(axis=1) > GROUND_DISTANCE  # the ground alone would speak for any map that begins so
        error = float(distances[drawn].mean()) if drawn.any() else np.inf
        readings.append((error, ~levels if inverted else levels))
    error, levels = min(readings, key=lambda reading: reading[0])
    return Figure(levels.reshape(SIZE, SIZE), aligned) if error <= ON_MAP else None


def _cut(photo: UInt8Array, box: Box) -> UInt8Array:
    left, top, width, height = box
    return photo[top : top + height, left : left + width]


def _aligned(gray: UInt8Array, box: Box) -> Box | None:
    """The box of the 28x28 cells that a square shows, (H, W) uint8 in the given box; None where it has more detail than these.

    Cells of one colour each have straight, evenly spaced edges; cells that were blended are those of an enlargement.
    """
    columns, rows = _grid(gray), _grid(gray.T)
    if columns is not None and rows is not None:
        left, top = max(0, box[0] + columns[0]), max(0, box[1] + rows[0])
        return left, top, box[0] + columns[1] - left, box[1] + rows[1] - top
    centres = cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    enlarged = (cv2.resize(centres, gray.shape[::-1], interpolation=by) for by in (cv2.INTER_LINEAR, cv2.INTER_CUBIC))
    detailed = min(cv2.absdiff(gray, smooth).mean() for smooth in enlarged) > DETAIL * gray.std()
    return None if detailed else box


def _grid(gray: UInt8Array) -> tuple[int, int] | None:
    """Where 28 columns of cells begin and end, in pixels from the left edge; None where there are no such columns.

    Both may be half a cell beyond the picture's edges, as a line is drawn half on what it surrounds.
    """
    width = gray.shape[1]
    if width < 2 * SIZE:
        return (0, width) if width == SIZE else None
    steps = np.square(cv2.absdiff(gray[:, 1:], gray[:, :-1]), dtype=np.float32).mean(axis=0)  # from each column to the next
    quarters = 2 * width // SIZE  # of a pixel, in half a cell
    shifts = np.array(sorted(range(-quarters, quarters + 1), key=abs)) / 4  # of several that do, the least
    starts, ends = shifts[:, np.newaxis, np.newaxis], width + shifts[:, np.newaxis]
    edges = np.rint(starts + (ends - starts) * np.arange(1, SIZE) / SIZE).astype(int)
    explained = steps[edges - 1].sum(axis=2)
    first, last = np.unravel_index(explained.argmax(), explained.shape)
    by_chance = SIZE / width
    if explained[first, last] < (1 + by_chance) / 2 * steps[1:-1].sum():
        return None
    return round(float(shifts[first])), round(width + float(shifts[last]))


def _centres(square: UInt8Array) -> UInt8Array:
    """The middle of each of 28x28 cells, averaged where it has several pixels: (28, 28[, 3]) uint8."""
    if min(square.shape[:2]) < 3 * SIZE:
        return cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return cv2.resize(square, (3 * SIZE, 3 * SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8)[1::3, 1::3]
