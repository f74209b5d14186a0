"""Random changes to colour photos, and to the maps that lie over them, that leave the garments what they are."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array = npt.NDArray[np.uint8]

SPARE = 1.25  # pixels kept for each of the view, before a view is warped


@dataclass(frozen=True)
class Changes:
    """How often and how far colours, cloth and detail change. Shares are probabilities in [0, 1], ranges are uniform.

    Attributes:
        gray: Share of the photos that lose their colour.
        recoloured: Share of the others whose hue and saturation change.
        turned_hue: Share of those that get any hue, because a garment's kind does not depend on its colour.
        saturation: Factor.
        relit: Share that gets another contrast and brightness.
        contrast: Factor.
        brightness: Gray levels, either way.
        tinted: Share whose channels change by themselves.
        tint: Factor of each channel.
        dyed: Share of the garments in cloth of another lightness and tone.
        lightness: Of that cloth, 1 is white.
        dye: Factor of each channel of it.
        relief: How much flatter or deeper its folds may be, as a factor.
        coarse: Share shrunk and enlarged again, as small pictures are.
        coarse_side: Pixels of such a view, their logarithm uniform.
        quality: Of JPEG, of the shrunk views.
        erased: Share with a rectangle of one colour on it (Random Erasing, arXiv 1708.04896).
        erased_side: Of the photo's side.
    """

    gray: float = 0.15
    recoloured: float = 0.6
    turned_hue: float = 0.5
    saturation: tuple[float, float] = (0.4, 1.5)
    relit: float = 0.7
    contrast: tuple[float, float] = (0.6, 1.3)
    brightness: float = 40
    tinted: float = 0.3
    tint: tuple[float, float] = (0.8, 1.2)
    dyed: float = 0.3
    lightness: tuple[float, float] = (0.08, 0.92)
    dye: tuple[float, float] = (0.7, 1.0)
    relief: tuple[float, float] = (0.5, 2.0)
    coarse: float = 0.35
    coarse_side: tuple[int, int] = (28, 150)
    quality: tuple[int, int] = (60, 96)
    erased: float = 0.3
    erased_side: tuple[float, float] = (0.1, 0.45)


@dataclass(frozen=True)
class Framing:
    """How a square view may lie in a photo.

    Attributes:
        side: Range of the view's side, as a share of the framed box's longer side.
        shift: Largest move of its centre, as a share of its side.
        rotation: Largest tilt, degrees either way.
        aspect: Largest stretch of width against height, as a factor.
        quarter_turns: Share of the views turned by 90, 180 or 270 degrees.
    """

    side: tuple[float, float]
    shift: float
    rotation: float
    aspect: float
    quarter_turns: float


def frame(
    layers: Sequence[tuple[UInt8Array, int]],
    box: tuple[int, int, int, int],
    size: int,
    framing: Framing,
    rng: np.random.Generator,
    *,
    square: bool = True,
) -> list[UInt8Array]:
    """The same random view of several layers of a photo, each (size, size[, 3]).

    Args:
        layers: Arrays of one height and width, each with OpenCV's interpolation for it. Beyond the edge the edge repeats.
        box: Left, top, width and height of what the view shall show, in pixels.
        size: Side of the view, pixels.
        framing: What may vary.
        rng: The source of chance.
        square: Keep the aspect ratio; False squashes the box to the view, as the segmentation network sees photos.
    """
    left, top, width, height = box
    sides = np.array([max(width, height)] * 2 if square else [width, height], np.float64)
    sides *= rng.uniform(*framing.side)
    stretch = np.exp(rng.uniform(-1, 1) * np.log(framing.aspect) / 2)
    sides *= (stretch, 1 / stretch)
    centre = np.array([left + (width - 1) / 2, top + (height - 1) / 2]) + rng.uniform(-framing.shift, framing.shift, 2) * sides
    angle = np.deg2rad(rng.uniform(-framing.rotation, framing.rotation))
    if rng.random() < framing.quarter_turns:
        angle += np.pi / 2 * rng.integers(1, 4)
    mirror = -1 if rng.random() < 0.5 else 1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_photo = turn * (sides * (mirror, 1) / size)  # (column, row) of the view, from its centre -> of the photo
    offset = centre - to_photo @ np.full(2, (size - 1) / 2)
    matrix = np.column_stack([to_photo, offset])
    shrink = min(1.0, SPARE * size / sides.max())  # warpAffine does not average: shrink with INTER_AREA before
    matrix = shrink * matrix + [0, 0, (shrink - 1) / 2]  # the centre of pixel 0 is half a pixel from the edge, before and after
    views = []
    for layer, interpolation in layers:
        if shrink < 1:
            averaging = cv2.INTER_AREA if interpolation == cv2.INTER_LINEAR else interpolation
            layer = cv2.resize(layer, None, fx=shrink, fy=shrink, interpolation=averaging).astype(np.uint8)
        flags = interpolation | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(layer, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        views.append(view.astype(np.uint8))
    return views


def recolour(photo: UInt8Array, changes: Changes, rng: np.random.Generator) -> UInt8Array:
    """Other light and other dye: an (H, W, 3) RGB photo in, one out."""
    changed = photo.astype(np.float32)
    if rng.random() < changes.gray:
        changed = np.repeat(changed.mean(axis=2, keepdims=True), 3, axis=2)
    elif rng.random() < changes.recoloured:
        hsv = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV).astype(np.float32)  # hue in [0, 180)
        turn = rng.uniform(-90, 90) if rng.random() < changes.turned_hue else rng.uniform(-8, 8)
        hsv[..., 0] = (hsv[..., 0] + turn) % 180
        hsv[..., 1] *= rng.uniform(*changes.saturation)
        changed = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    if rng.random() < changes.relit:
        mean = changed.mean()
        changed = (
            (changed - mean) * rng.uniform(*changes.contrast) + mean + rng.uniform(-changes.brightness, changes.brightness)
        )
    if rng.random() < changes.tinted:
        changed *= rng.uniform(*changes.tint, 3).astype(np.float32)
    return np.clip(changed, 0, 255).astype(np.uint8)


def dye(photo: UInt8Array, mask: UInt8Array, changes: Changes, rng: np.random.Generator) -> UInt8Array:
    """Sometimes the garment in other cloth: a coat may be pale and a shirt black, which few photos show.

    Args:
        photo: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 255 on the garment.
        changes: What may vary.
        rng: The source of chance.
    """
    if rng.random() >= changes.dyed or not mask.any():
        return photo
    cloth = photo.astype(np.float32)
    level = max(1.0, float(cloth[mask > 0].mean()))
    wanted = 255 * rng.uniform(*changes.lightness)
    dyed = (wanted + np.clip(wanted / level, *changes.relief) * (cloth - level)) * rng.uniform(*changes.dye, 3)
    return put_on(np.clip(dyed, 0, 255).astype(np.uint8), mask // 255, photo)


def coarsen(photo: UInt8Array, changes: Changes, rng: np.random.Generator) -> UInt8Array:
    """A share of the photos as if they had been tiny, their side between two numbers of pixels, and JPEGs."""
    if rng.random() >= changes.coarse:
        return photo
    side = round(np.exp(rng.uniform(*np.log(changes.coarse_side))))
    small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    stored = io.BytesIO()
    Image.fromarray(small).save(stored, "JPEG", quality=int(rng.integers(*changes.quality)))
    read = np.array(Image.open(stored))
    return cv2.resize(read, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def erase(photo: UInt8Array, changes: Changes, rng: np.random.Generator) -> UInt8Array:
    """Sometimes the photo with a rectangle of one random colour on it."""
    if rng.random() >= changes.erased:
        return photo
    height, width = (round(side * rng.uniform(*changes.erased_side)) for side in photo.shape[:2])
    top, left = (rng.integers(0, side - taken) for side, taken in zip(photo.shape, (height, width), strict=False))
    erased = photo.copy()
    erased[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return erased


def background(size: int, photos: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """A surface to put a cut-out on: a shop's white, any plain colour, a smooth gradient, or the edge of another photo."""
    kind = rng.random()
    if kind < 0.45:
        return np.full((size, size, 3), rng.integers(230, 256), np.uint8)
    if kind < 0.6:
        return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (size, size, 3))
    if kind < 0.75 or not photos:
        coarse = rng.integers(0, 256, (rng.integers(2, 6), rng.integers(2, 6), 3), np.uint8)
        return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    photo = photos[int(rng.integers(len(photos)))]
    depth = min(photo.shape[:2]) // 4
    edges = (photo[:depth], photo[-depth:], photo[:, :depth], photo[:, -depth:])
    return cv2.resize(edges[rng.integers(4)], (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def put_on(photo: UInt8Array, mask: UInt8Array, surface: UInt8Array) -> UInt8Array:
    """What a mask of zeros and ones cuts out of a photo, on another surface, its edge softened by a pixel."""
    opacity = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., np.newaxis]
    blended: UInt8Array = (photo * opacity + surface * (1 - opacity)).astype(np.uint8)
    return blended
