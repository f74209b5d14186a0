"""Array -> `CanonicalImage`: the forms of a picture that training and serving share.

The form is Zalando's (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747, section 2): the picture trimmed to the garment, its
longest side shrunk to 28 pixels, centred on 28x28, intensities negated (a dark garment on white becomes a light one on
black), 8-bit gray. Of a photo there is also a view in colour, a square around the garment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.decoding import Size
from fashion_classifier.errors import InvalidPlaceError
from fashion_classifier.figures import PLAIN_DISTANCE, Figure, border_values, find_figure
from fashion_classifier.figures import SIZE as SIZE
from fashion_classifier.images import Picture, UInt8Array, load_sized, to_gray, to_rgb
from fashion_classifier.masks import BoolArray, box_of
from fashion_classifier.pages import Inset, find_photo
from fashion_classifier.places import Box, Point, checked_box, checked_point, reduced_box, reduced_point
from fashion_classifier.segmentation import default_segmenter

VIEW_SIZE = 192  # px, side of the view of a photo: as in training, larger ones are less likely to be named rightly
VIEW_SPAN = 1.15  # of the view, of the longer side of the garment's box: some of its surroundings shows
PLAIN_SHARE = 0.9  # of the border that must lie within PLAIN_DISTANCE of its median to be a plain background
WHITE = 200  # gray level from which a plain background counts as white
DARK, BRIGHT = 32, 223  # gray levels that count as background of a negative and of a positive
FILLED = 0.9  # share of the frame that the garment of a canonical image spans, 26 of 28 pixels or more
FINE = 20  # cycles along a garment's longer side; 28 pixels hold 14, and enlarging them adds little beyond 20
# 461 of 501 gray photos have more than that, and 52 of 1,200 enlarged thumbnails
DETAIL = 0.009  # of a garment's variance that lies beyond FINE
FINEST = 4 * SIZE  # px, the side at which that is measured
BLOCKS = 0.94  # of what changes in a thumbnail that was enlarged in blocks: so much at their edges, after JPEG too
GRAY_TOLERANCE = 8  # largest difference of two channels in a picture without colour, JPEG noise allowed

Isolation = Literal["thumbnail", "figure", "dark background", "white background", "segmentation"]
Segment = Callable[..., BoolArray]  # an (H, W, 3) RGB photo, and perhaps a point on it -> (H, W), True on the garment meant


@dataclass(frozen=True)
class Geometry:
    """Where a square image of the garment came from, in pixels of the photo.

    The box (left, top, width, height) of the photo was scaled to (columns, rows) pixels and placed with its upper left
    corner at (column, row) of the square canvas, which was then turned counterclockwise, and mirrored left to right or not.
    """

    photo_size: tuple[int, int]  # width, height
    box: tuple[int, int, int, int]  # left, top, width, height
    placed: tuple[int, int, int, int]  # column, row, columns, rows
    canvas: int = SIZE  # side
    quarter_turns: int = 0
    mirrored: bool = False

    def project(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Draw a (canvas, canvas) map back onto the photo: float32 (H, W), zero outside the box."""
        if values.shape != (self.canvas, self.canvas):
            raise ValueError(f"project takes a map of shape {(self.canvas, self.canvas)}, not {values.shape}.")
        left, top, width, height = self.box
        column, row, columns, rows = self.placed
        projected = np.zeros(self.photo_size[::-1], np.float32)
        placed = np.rot90(values[:, ::-1] if self.mirrored else values, -self.quarter_turns)
        inner = np.ascontiguousarray(placed[row : row + rows, column : column + columns], np.float32)
        projected[top : top + height, left : left + width] = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
        return projected

    def pick(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The way there: an (H, W) map over the photo as a (canvas, canvas) one, zero beside what was placed."""
        left, top, width, height = self.box
        column, row, columns, rows = self.placed
        picked = np.zeros((self.canvas, self.canvas), np.float32)
        inner = np.ascontiguousarray(values[top : top + height, left : left + width], np.float32)
        picked[row : row + rows, column : column + columns] = cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_AREA)
        turned = np.rot90(picked, self.quarter_turns)
        return turned[:, ::-1] if self.mirrored else turned


@dataclass(frozen=True, eq=False)
class CanonicalImage:
    """What the network sees, and how it was made.

    Attributes:
        pixels: (28, 28) uint8 in [0, 255], light garment on black: the canonical form itself.
        photo: The decoded picture, (H, W) or (H, W, 3) uint8, at most 1024 px a side. Corners that were cut off a photo, to
            round it or to turn it, and a banner over it have the photo's colours.
        mask: (H, W) bool, True where the garment was found; all True for a thumbnail.
        geometry: The way from `pixels` back to `photo`, which may be turned.
        isolation: How the garment was found.
        size: Width and height of the upright picture before it was reduced to `photo`, pixels.
    """

    pixels: UInt8Array
    photo: UInt8Array = field(repr=False)
    mask: BoolArray = field(repr=False)
    geometry: Geometry
    isolation: Isolation
    size: Size

    @property
    def is_photo(self) -> bool:
        """Whether the garment had to be found in a photo."""
        return self.isolation == "segmentation"

    @property
    def box(self) -> Box:
        """The box around the garment: left, top, width and height in pixels of the upright picture before it was reduced."""
        left, top, width, height = self.geometry.box
        across, down = (whole / kept for whole, kept in zip(self.size, self.geometry.photo_size, strict=True))
        return left * across, top * down, width * across, height * down

    @property
    def view_geometry(self) -> Geometry:
        """The way from `view` back to `photo`."""
        width, height = self.geometry.photo_size
        left, top, side = self._square
        inner_left, inner_top = max(0, left), max(0, top)
        inner_width, inner_height = min(width, left + side) - inner_left, min(height, top + side) - inner_top
        scale = VIEW_SIZE / side
        column, row = round((inner_left - left) * scale), round((inner_top - top) * scale)
        columns, rows = (max(1, round(length * scale)) for length in (inner_width, inner_height))
        placed = column, row, min(columns, VIEW_SIZE - column), min(rows, VIEW_SIZE - row)
        return Geometry((width, height), (inner_left, inner_top, inner_width, inner_height), placed, VIEW_SIZE)

    @property
    def view(self) -> UInt8Array:
        """The square around the garment in colour, (192, 192, 3) uint8."""
        return _cut_square(to_rgb(self.photo), self._square)

    @property
    def view_mask(self) -> UInt8Array:
        """Where the garment is in `view`: (192, 192) uint8, 255 on it, 0 beside it, in between on its edge."""
        return _cut_square(self.mask.astype(np.uint8) * 255, self._square)

    @property
    def _square(self) -> tuple[int, int, int]:
        """Left, top and side of the view's square in the photo; it may reach beyond the photo."""
        left, top, width, height = self.geometry.box
        side = max(1, round(VIEW_SPAN * max(width, height)))
        return (2 * left + width - side) // 2, (2 * top + height - side) // 2, side


def _cut_square(photo: UInt8Array, square: tuple[int, int, int]) -> UInt8Array:
    """A square of an (H, W[, 3]) array, shrunk or enlarged to the view's size; beyond the edge the edge is repeated."""
    left, top, side = square
    height, width = photo.shape[:2]
    inner = photo[max(0, top) : top + side, max(0, left) : left + side]
    beyond = max(0, -top), max(0, top + side - height), max(0, -left), max(0, left + side - width)
    padded = cv2.copyMakeBorder(inner, *beyond, cv2.BORDER_REPLICATE)
    interpolation = cv2.INTER_AREA if side > VIEW_SIZE else cv2.INTER_LINEAR
    return cv2.resize(padded, (VIEW_SIZE, VIEW_SIZE), interpolation=interpolation).astype(np.uint8)


def canonicalize(
    picture: "Picture | CanonicalImage",
    segment: Segment | None = None,
    *,
    at: Point | None = None,
    box: Box | None = None,
) -> CanonicalImage:
    """Bring any picture of a garment into canonical form.

    A 28x28 gray picture is taken as canonical: it passes through bit for bit, or exactly negated if its border is
    bright. So is a canonical picture that was enlarged, after shrinking it back, or drawn as a figure
    (`fashion_classifier.figures`), after taking it out of its page and its colours. Other gray pictures on black are taken
    as negatives and trimmed, those on plain white are trimmed as Zalando did. Everything else is a photo: a network finds
    the garment (`fashion_classifier.segmentation`), the main one where nothing else is said, and the rest is cut away. Of a
    page with one photo on it, and of a collage (`fashion_classifier.pages`), it sees one photo alone, and a photo without the
    banner over it, where no point and no box are given.

    Args:
        picture: Anything that holds a picture.
        segment: Finds the garment in a photo; None for the network that this package carries, whatever model is meant: what
            is learnt must not depend on the environment. Users have `fashion_classifier.canonicalize`.
        at: A point on the garment that is meant: column and row in pixels of the upright picture.
        box: In place of a point, a box around the garment: left, top, width and height, likewise.

    Raises:
        InvalidImageError: As `fashion_classifier.images.load_image`.
        InvalidPlaceError: The point or the box is none in this picture.
    """
    if isinstance(picture, CanonicalImage):
        if at is None and box is None:
            return picture
        photo, size = picture.photo, picture.size
    else:
        photo, size = load_sized(picture)
    find = _finder(size, at, box)
    figure = find_figure(photo)
    if figure is not None:
        return _from_figure(photo, figure, size)
    plain = _on_plain(photo, to_gray(photo), size)
    if plain is not None and (plain.isolation == "thumbnail" or (at is None and box is None)):
        return plain
    if at is None and box is None and (inset := find_photo(photo)) is not None:
        return _from_page(photo, inset, segment or default_segmenter(), size)
    return cut_out_of_photo(photo, find(to_rgb(photo), segment or default_segmenter()), size)


def _finder(size: Size, at: Point | None, box: Box | None) -> Callable[[UInt8Array, Segment], BoolArray]:
    """How the garment that is meant is found in the (H, W, 3) photo that a picture of (width, height) was reduced to."""
    if at is not None and box is not None:
        raise InvalidPlaceError("Received a point and a box; give one of them", size)
    if at is not None:
        point = checked_point(at, size)
        return lambda photo, segment: segment(photo, reduced_point(point, size, photo.shape[1::-1]))
    if box is not None:
        checked = checked_box(box, size)

        def in_box(photo: UInt8Array, segment: Segment) -> BoolArray:
            inside = reduced_box(checked, size, photo.shape[1::-1])
            mask = np.zeros(photo.shape[:2], np.bool_)
            mask[inside] = segment(photo[inside])
            return mask

        return in_box
    return lambda photo, segment: segment(photo)


def _on_plain(photo: UInt8Array, gray: UInt8Array, size: Size) -> CanonicalImage | None:
    """A gray picture that is a thumbnail or stands on plain black or white; None for any other."""
    if photo.ndim == 3 and not _is_colourless(photo):
        return None
    if gray.shape[0] == gray.shape[1] >= SIZE:
        light = ~gray if _bright_border(gray) else gray
        if len(gray) == SIZE or _fills_frame(light):
            return cut_out(photo, light, np.ones_like(light, bool), "thumbnail", size)
    if np.mean(border_values(gray) < DARK) > 0.5:
        return cut_out(photo, gray, gray > PLAIN_DISTANCE, "dark background", size)
    level = white_background(gray)
    if level is None:
        return None
    light = np.clip((level - gray.astype(np.int16)) * (255 / level), 0, 255).astype(np.uint8)
    return cut_out(photo, light, light > PLAIN_DISTANCE, "white background", size)


def as_photo(image: CanonicalImage, segment: Segment | None = None) -> CanonicalImage | None:
    """A gray picture on plain white or black as the photo that it is, where it shows more than a thumbnail can.

    Args:
        image: What `canonicalize` returned.
        segment: As for `canonicalize`.

    Returns:
        None for what is a photo already, and for thumbnails: 28x28 pictures, enlarged ones without further detail, figures.
    """
    if image.isolation in ("segmentation", "figure"):
        return None
    left, top, width, height = image.geometry.box
    if not _has_detail(to_gray(image.photo)[top : top + height, left : left + width]):
        return None
    return cut_out_of_photo(image.photo, (segment or default_segmenter())(to_rgb(image.photo)), image.size)


def cut_out_of_photo(photo: UInt8Array, mask: BoolArray, size: Size) -> CanonicalImage:
    """The canonical form of what an (H, W) mask marks in an (H, W[, 3]) photo that had (width, height) pixels."""
    return cut_out(photo, np.where(mask, ~to_gray(photo), 0), mask, "segmentation", size)


def _from_figure(photo: UInt8Array, figure: Figure, size: Size) -> CanonicalImage:
    height, width = photo.shape[:2]
    left, top, across, down = figure.box
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + down, left : left + across] = True
    geometry = Geometry((width, height), figure.box, (0, 0, SIZE, SIZE))
    return CanonicalImage(figure.pixels, photo, mask, geometry, "figure", size)


def _from_page(photo: UInt8Array, inset: Inset, segment: Segment, size: Size) -> CanonicalImage:
    left, top, width, height = inset.box
    inside = np.s_[top : top + height, left : left + width]
    page, mask = to_rgb(photo).copy(), np.zeros(photo.shape[:2], np.bool_)
    page[inside], mask[inside] = inset.pixels, segment(inset.pixels)
    return cut_out_of_photo(page, mask, size)


def white_background(gray: UInt8Array) -> int | None:
    """The gray level of a plain white background, or None where the (H, W) picture has another one."""
    border = border_values(gray).astype(np.int16)
    level = int(np.median(border))
    plain = np.mean(np.abs(border - level) <= PLAIN_DISTANCE) >= PLAIN_SHARE
    return level if plain and level >= WHITE else None


def _is_colourless(photo: UInt8Array) -> bool:
    red, green, blue = cv2.split(photo)  # np.ptp over the channels takes fifteen times as long
    largest, smallest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return int(cv2.subtract(largest, smallest).max()) <= GRAY_TOLERANCE


def _bright_border(gray: UInt8Array) -> bool:
    """Whether a thumbnail is dark on white. Right for all 70,000 Fashion-MNIST images and all their negatives."""
    border = border_values(gray)
    return int(np.count_nonzero(border > BRIGHT)) > int(np.count_nonzero(border < DARK))


def _fills_frame(light: UInt8Array) -> bool:
    """Whether an enlarged picture is framed as Zalando framed: pure black around a garment that spans the longest side.

    Trimming such a picture again would move it, by a pixel where one of its edges is faint.
    """
    *_, width, height = cv2.boundingRect((light > PLAIN_DISTANCE).astype(np.uint8))
    plain = np.mean(border_values(light) <= GRAY_TOLERANCE) > 0.5
    return bool(plain and max(width, height) >= FILLED * len(light))


def _has_detail(gray: UInt8Array) -> bool:
    """Whether a garment, an (H, W) picture that is trimmed to it, shows more than a 28x28 image that was enlarged."""
    if _is_in_blocks(gray):
        return False
    if (scale := FINEST / max(gray.shape)) < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    height, width = gray.shape
    power = np.square(np.abs(np.fft.fft2(gray - gray.mean())))
    cycles = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width)) * max(height, width)
    return bool(power[cycles > FINE].sum() > DETAIL * power.sum())


def _is_in_blocks(gray: UInt8Array) -> bool:
    """Whether nearly all that changes from row to row, and from column to column, does so at 28 places."""
    steps = (np.square(np.diff(gray.astype(np.float32), axis=axis)).mean(axis=1 - axis) for axis in (0, 1))
    return all(np.sort(step)[-SIZE:].sum() >= BLOCKS * step.sum() for step in steps)


def cut_out(photo: UInt8Array, light: UInt8Array, mask: BoolArray, isolation: Isolation, size: Size) -> CanonicalImage:
    """Trim the negated gray picture `light` to the mask, shrink its longest side to 28, centre it on black."""
    height, width = light.shape
    if not mask.any():  # nothing stands out: the whole picture
        mask = np.ones_like(mask)
    left, top, box_width, box_height = box_of(mask)
    scale = SIZE / max(box_width, box_height)
    new_width, new_height = max(1, round(box_width * scale)), max(1, round(box_height * scale))
    crop = light[top : top + box_height, left : left + box_width]
    # INTER_AREA averages every pixel when it shrinks (no aliasing); it cannot enlarge.
    interpolation = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    column, row = (SIZE - new_width) // 2, (SIZE - new_height) // 2
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[row : row + new_height, column : column + new_width] = cv2.resize(
        crop, (new_width, new_height), interpolation=interpolation
    )
    geometry = Geometry((width, height), (left, top, box_width, box_height), (column, row, new_width, new_height))
    return CanonicalImage(pixels, photo, mask, geometry, isolation, size)
