"""Garments that are boxes of one colour, and views that leave them as they are."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fashion_classifier.masks import BoolArray
from train.pictures.garments import Garment
from train.pictures.photo_augmentation import Changes, Framing
from train.pictures.targets import target

UInt8Array = npt.NDArray[np.uint8]

STILL = Framing((1.0, 1.0), shift=0, rotation=0, aspect=1, quarter_turns=0)
UNCHANGED = Changes(gray=0, recoloured=0, turned_hue=0, relit=0, tinted=0, dyed=0, coarse=0, erased=0)

RED, GREEN, BLUE, GRAY = (200, 20, 20), (20, 180, 40), (30, 40, 200), (120, 120, 120)


def filled(size: tuple[int, int], box: tuple[int, int, int, int], inside: Any, outside: Any) -> UInt8Array:
    """A picture of (width, height) with a box of (left, top, width, height)."""
    left, top, width, height = box
    picture = np.empty((size[1], size[0], *np.shape(inside)), np.uint8)
    picture[:] = outside
    picture[top : top + height, left : left + width] = inside
    return picture


def garment(
    labels: tuple[str, ...], box: tuple[int, int, int, int], colour: tuple[int, int, int], *, worn: bool = False
) -> Garment:
    """A box of one colour, on blue; where it is worn, by a gray figure around it."""
    size, mask, figure = (200, 240), filled((200, 240), box, 255, 0), None
    shown = filled(size, box, colour, BLUE)
    if worn:
        left, top, width, height = box
        figure = filled(size, (left - 10, top - 10, width + 20, height + 20), 255, 0)
        shown = np.where(mask[..., None] > 0, shown, np.where(figure[..., None] > 0, GRAY, BLUE)).astype(np.uint8)
    return Garment(shown, mask, figure, target(labels))


SHIRT = garment(("Shirt",), (30, 40, 120, 100), RED)
TROUSER = garment(("Trouser",), (60, 20, 60, 200), RED)
COAT = garment(("Coat",), (60, 60, 80, 120), GREEN, worn=True)
BAG = garment(("Bag",), (60, 100, 30, 60), GREEN, worn=True)


def grid(*boxes: tuple[int, int, int, int]) -> BoolArray:
    """80x80 cells, True in boxes of (left, top, width, height)."""
    cells = np.zeros((80, 80), np.bool_)
    for left, top, width, height in boxes:
        cells[top : top + height, left : left + width] = True
    return cells
