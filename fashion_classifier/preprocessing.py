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

from fashion_classifier.images import Picture, UInt8Array, load_image, to_gray, to_rgb
from fashion_classifier.segmentation import BoolArray, default_segmenter

SIZE = 28  # px, side of the canonical image
VIEW_SIZE = 224  # px, side of the view of a photo
VIEW_SPAN = 1.15  # of the view, of the longer side of the garment's box: some of its surroundings shows
PLAIN_DISTANCE = 13  # gray levels, 5 % of full scale: Zalando's tolerance when trimming
PLAIN_SHARE = 0.9  # of the border that must lie within PLAIN_DISTANCE of its median to be a plain background
WHITE = 200  # gray level from which a plain background counts as white
DARK, BRIGHT = 32, 223  # gray levels that count as background of a negative and of a positive
FILLED = 0.9  # share of the frame that the garment of a canonical image spans, 26 of 28 pixels or more
DETAIL = 0.07  # of a picture's standard deviation: the mean error of its 28x28 form, from which on it shows more than that
GRAY_TOLERANCE = 8  # largest difference of two channels in a picture without colour, JPEG noise allowed

Isolation = Literal["thumbnail", "dark background", "white background", "segmentation"]
Segment = Callable[[UInt8Array], BoolArray]  # an (H, W, 3) RGB photo -> (H, W), True on its main garment


@dataclass(frozen=True)
class Geometry:
    """Where a square image of the garment came from, in pixels of the photo.

    The box (left, top, width, height) of the photo was scaled to (columns, rows) pixels and placed with its upper left
    corner at (column, row) of the square canvas, which was then mirrored left to right or not.
    """

    photo_size: tuple[int, int]  # width, height
    box: tuple[int, int, int, int]  # left, top, width, height
    placed: tuple[int, int, int, int]  # column, row, columns, rows
    canvas: int = SIZE  # side
    mirrored: bool = False

    def project(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Draw a (canvas, canvas) map back onto the photo: float32 (H, W), zero outside the box."""
        if values.shape != (self.canvas, self.canvas):
            raise ValueError(f"project takes a map of shape {(self.canvas, self.canvas)}, not {values.shape}.")
        left, top, width, height = self.box
        column, row, columns, rows = self.placed
        projected = np.zeros(self.photo_size[::-1], np.float32)
        upright = values[:, ::-1] if self.mirrored else values
        inner = np.ascontiguousarray(upright[row : row + rows, column : column + columns], np.float32)
        projected[top : top + height, left : left + width] = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
        return projected

    def pick(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The way there: an (H, W) map over the photo as a (canvas, canvas) one, zero beside what was placed."""
        left, top, width, height = self.box
        column, row, columns, rows = self.placed
        picked = np.zeros((self.canvas, self.canvas), np.float32)
        inner = np.ascontiguousarray(values[top : top + height, left : left + width], np.float32)
        picked[row : row + rows, column : column + columns] = cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_AREA)
        return picked[:, ::-1] if self.mirrored else picked


@dataclass(frozen=True, eq=False)
class CanonicalImage:
    """What the network sees, and how it was made.

    Attributes:
        pixels: (28, 28) uint8 in [0, 255], light garment on black: the canonical form itself.
        photo: The decoded picture, (H, W) or (H, W, 3) uint8, at most 1024 px a side.
        mask: (H, W) bool, True where the garment was found; all True for a thumbnail.
        geometry: The way from `pixels` back to `photo`.
        isolation: How the garment was found.
    """

    pixels: UInt8Array
    photo: UInt8Array = field(repr=False)
    mask: BoolArray = field(repr=False)
    geometry: Geometry
    isolation: Isolation

    @property
    def is_photo(self) -> bool:
        """Whether the garment had to be found in a photo."""
        return self.isolation == "segmentation"

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
        """The square around the garment in colour, (224, 224, 3) uint8."""
        return _cut_square(to_rgb(self.photo), self._square)

    @property
    def view_mask(self) -> UInt8Array:
        """Where the garment is in `view`: (224, 224) uint8, 255 on it, 0 beside it, in between on its edge."""
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


def canonicalize(picture: "Picture | CanonicalImage", segment: Segment | None = None) -> CanonicalImage:
    """Bring any picture of a garment into canonical form.

    A 28x28 gray picture is taken as canonical: it passes through bit for bit, or exactly negated if its border is
    bright. So is a canonical picture that was enlarged, after shrinking it back. Other gray pictures on black are taken
    as negatives and trimmed, those on plain white are trimmed as Zalando did. Everything else is a photo: a network finds
    the main garment (`fashion_classifier.segmentation`), and the rest is cut away.

    Args:
        picture: Anything that holds a picture. Who means another garment than the main one gives a crop.
        segment: Finds the garment in a photo; None for the network that this package carries, whatever model is meant: what
            is learnt must not depend on the environment. Users have `fashion_classifier.canonicalize`.

    Raises:
        InvalidImageError: As `fashion_classifier.images.load_image`.
    """
    if isinstance(picture, CanonicalImage):
        return picture
    photo = load_image(picture)
    gray = to_gray(photo)
    colourless = photo.ndim == 2 or _is_colourless(photo)
    if colourless and gray.shape[0] == gray.shape[1] >= SIZE:
        light = ~gray if _bright_border(gray) else gray
        if len(gray) == SIZE or _fills_frame(light):
            return cut_out(photo, light, np.ones_like(light, bool), "thumbnail")
    if colourless and np.mean(border_values(gray) < DARK) > 0.5:
        return cut_out(photo, gray, gray > PLAIN_DISTANCE, "dark background")
    level = white_background(gray) if colourless else None
    if level is not None:
        light = np.clip((level - gray.astype(np.int16)) * (255 / level), 0, 255).astype(np.uint8)
        return cut_out(photo, light, light > PLAIN_DISTANCE, "white background")
    return _from_photo(photo, gray, segment)


def as_photo(image: CanonicalImage, segment: Segment | None = None) -> CanonicalImage | None:
    """A gray picture on plain white or black as the photo that it may be nevertheless.

    Its pixels alone do not say whether it is a thumbnail with a margin or a photo in gray: the networks for both are asked.

    Args:
        image: What `canonicalize` returned.
        segment: As for `canonicalize`.

    Returns:
        None for what is a photo already, and for thumbnails: 28x28 pictures, and enlarged ones without further detail.
    """
    if image.is_photo or max(image.photo.shape[:2]) <= SIZE:
        return None
    gray = to_gray(image.photo)
    if image.isolation == "thumbnail" and not _has_detail(gray):
        return None
    return _from_photo(image.photo, gray, segment)


def _from_photo(photo: UInt8Array, gray: UInt8Array, segment: Segment | None) -> CanonicalImage:
    mask = (segment or default_segmenter())(to_rgb(photo))
    return cut_out(photo, np.where(mask, ~gray, 0), mask, "segmentation")


def border_values(gray: UInt8Array) -> UInt8Array:
    """The outermost pixels of an (H, W) picture, each once: (2 (H + W) - 4,)."""
    return np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]])


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
    """Whether a square picture shows more than its 28x28 form does, however that was enlarged."""
    small = cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    enlargements = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    errors = [cv2.absdiff(gray, cv2.resize(small, gray.shape, interpolation=enlarge)).mean() for enlarge in enlargements]
    return bool(min(errors) > DETAIL * gray.std())


def cut_out(photo: UInt8Array, light: UInt8Array, mask: BoolArray, isolation: Isolation) -> CanonicalImage:
    """Trim the negated gray picture `light` to the mask, shrink its longest side to 28, centre it on black."""
    height, width = light.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:  # nothing stands out: the whole picture
        mask = np.ones_like(mask)
        rows, columns = np.arange(height), np.arange(width)
    left, top = int(columns[0]), int(rows[0])
    box_width, box_height = int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
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
    return CanonicalImage(pixels, photo, mask, geometry, isolation)
