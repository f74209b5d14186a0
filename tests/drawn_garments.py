"""Photos whose garment is known because it is drawn here."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
SHIRT = [(0.30, 0.20), (0.42, 0.16), (0.58, 0.16), (0.70, 0.20), (0.88, 0.40), (0.76, 0.50), (0.68, 0.42), (0.68, 0.84)]
SHIRT += [(0.32, 0.84), (0.32, 0.42), (0.24, 0.50), (0.12, 0.40)]  # share of width and height, clockwise

COLOURS = pytest.mark.parametrize(
    ("garment", "background"),
    [
        ((180, 30, 40), (150, 150, 140)),
        ((30, 40, 90), (190, 160, 120)),
        ((235, 230, 225), (110, 80, 50)),
        ((40, 40, 40), (70, 140, 70)),
    ],
    ids=["red on gray", "navy on wood", "white on brown", "black on green"],
)


def shirt(width: int, height: int) -> BoolArray:
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(SHIRT) * (width, height)).astype(np.int32)], 1)
    return mask.astype(bool)


def photo(mask: BoolArray, garment: tuple[int, int, int], background: tuple[int, int, int], noise: float = 20) -> UInt8Array:
    """Garment and background, both with a coarse texture and with the grain of a phone camera."""
    rng = np.random.default_rng(0)
    height, width = mask.shape
    coarse = cv2.resize(rng.normal(0, noise, (height // 12 + 1, width // 12 + 1)), (width, height))
    colours = np.where(mask[..., None], garment, background) + coarse[..., None] + rng.normal(0, 4, (height, width, 3))
    return np.clip(colours, 0, 255).astype(np.uint8)


def person() -> tuple[UInt8Array, BoolArray, BoolArray]:
    """A photo of somebody in a white shirt and black trousers, with the masks of these two."""
    width, height = 200, 320
    top, trousers, skin = (np.zeros((height, width), np.bool_) for _ in range(3))
    top[38:198, 20:180] = shirt(160, 160)
    for left, right, upper, lower in ((71, 97, 172, 294), (103, 129, 172, 294), (71, 129, 166, 192)):
        trousers[upper:lower, left:right] = True
    trousers[top] = False
    skin[10:54] = np.hypot(*np.ogrid[-22:22, -100:100]) < 18
    skin[48:64, 92:108] = True
    shown = photo(top, (235, 230, 225), (110, 120, 110), noise=8)
    for mask, colour in ((skin & ~top, (220, 180, 150)), (trousers, (40, 40, 40))):
        shown = np.where(mask[..., None], photo(mask, colour, colour, noise=8), shown)
    return shown, top, trousers


def overlap(found: BoolArray, true: BoolArray) -> float:
    """Intersection over union."""
    return float(np.sum(found & true) / np.sum(found | true))
