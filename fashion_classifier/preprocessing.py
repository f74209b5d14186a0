"""Array -> `CanonicalImage`: the one 28x28 form that training and serving share.

The form is Zalando's (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747, section 2): the picture trimmed to the garment, its
longest side shrunk to 28 pixels, centred on 28x28, intensities negated (a dark garment on white becomes a light one on
black), 8-bit gray.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.images import Picture, UInt8Array, load_image, to_gray, to_rgb
from fashion_classifier.segmentation import PLAIN_DISTANCE, BoolArray, border_values, grabcut_mask, white_background

PREPROCESSING_VERSION = "1"  # changes whenever the same picture may give other pixels
SIZE = 28  # px, side of the canonical image
DARK, BRIGHT = 32, 223  # gray levels that count as background of a negative and of a positive
FILLED = 0.9  # share of the frame that the garment of a canonical image spans, 26 of 28 pixels or more
GRAY_TOLERANCE = 8  # largest difference of two channels in a picture without colour, JPEG noise allowed

Isolation = Literal["thumbnail", "dark background", "white background", "grabcut"]


@dataclass(frozen=True)
class Geometry:
    """Where the canonical image came from, in pixels of the photo.

    The box (left, top, width, height) of the photo was scaled to (columns, rows) pixels and placed with its upper left
    corner at (column, row) of the 28x28 canvas.
    """

    photo_size: tuple[int, int]  # width, height
    box: tuple[int, int, int, int]  # left, top, width, height
    placed: tuple[int, int, int, int]  # column, row, columns, rows

    def project(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Draw a (28, 28) map back onto the photo: float32 (H, W), zero outside the box."""
        if values.shape != (SIZE, SIZE):
            raise ValueError(f"project takes a map of shape {(SIZE, SIZE)}, not {values.shape}.")
        left, top, width, height = self.box
        column, row, columns, rows = self.placed
        projected = np.zeros(self.photo_size[::-1], np.float32)
        inner = np.ascontiguousarray(values[row : row + rows, column : column + columns], np.float32)
        projected[top : top + height, left : left + width] = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
        return projected


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

    @cached_property
    def renderings(self) -> UInt8Array:
        """What the network is shown; its answers are averaged: (r, 28, 28) uint8, `pixels` first.

        A garment that was cut out of a photo may have been cut out badly: then also the whole photo squashed, negated and as
        it is, and the cut-out stretched to full contrast, in both polarities. Otherwise `pixels` alone.
        """
        if self.isolation != "grabcut":
            return self.pixels[np.newaxis]
        squashed = cv2.resize(to_gray(self.photo), (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8)
        garment = self.pixels > 0
        low, high = np.percentile(self.pixels[garment], (2, 98)) if garment.any() else (0, 255)
        stretched = np.clip((self.pixels.astype(np.float32) - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
        cut_outs = (np.where(garment, light, 0).astype(np.uint8) for light in (stretched, ~stretched))
        return np.stack([self.pixels, ~squashed, squashed, *cut_outs])


def canonicalize(picture: "Picture | CanonicalImage") -> CanonicalImage:
    """Bring any picture of a garment into canonical form.

    A 28x28 gray picture is taken as canonical: it passes through bit for bit, or exactly negated if its border is
    bright. So is a canonical picture that was enlarged, after shrinking it back. Other gray pictures on black are taken
    as negatives and trimmed. On plain white the picture is trimmed as Zalando did; on anything else the garment is cut
    out with GrabCut.

    Raises:
        InvalidImageError: As `fashion_classifier.images.load_image`.
    """
    if isinstance(picture, CanonicalImage):
        return picture
    photo = load_image(picture)
    gray = to_gray(photo)
    colourless = photo.ndim == 2 or int(np.ptp(photo, axis=2).max()) <= GRAY_TOLERANCE
    if colourless and gray.shape[0] == gray.shape[1] >= SIZE:
        light = ~gray if _bright_border(gray) else gray
        if len(gray) == SIZE or _fills_frame(light):
            return cut_out(photo, light, np.ones_like(light, bool), "thumbnail")
    if colourless and np.mean(border_values(gray) < DARK) > 0.5:
        return cut_out(photo, gray, gray > PLAIN_DISTANCE, "dark background")
    level = white_background(gray)
    if level is not None:
        light = np.clip((level - gray.astype(np.int16)) * (255 / level), 0, 255).astype(np.uint8)
        return cut_out(photo, light, light > PLAIN_DISTANCE, "white background")
    mask = grabcut_mask(to_rgb(photo))
    return cut_out(photo, np.where(mask, ~gray, 0), mask, "grabcut")


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
