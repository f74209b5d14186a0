"""A garment in a photo, and people dressed in another one like paper dolls."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.labels import LABELS
from train.pictures.boxes import box_of
from train.pictures.photo_augmentation import put_on
from train.pictures.street import StreetGarment
from train.pictures.targets import SHOES, target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

TOPS = ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt")
SHORT_SLEEVES = ("T-shirt/top", "Dress")
DRESSED_WIDTH = (0.95, 1.4)  # of the top, against the covered one's
DRESSED_ASPECT = 1.25  # largest stretch of its width against its height, as a factor
BARE = 0.9  # of those who put on a T-shirt or a dress have bare arms
SHADING = 0.5  # exponent of the cloth's light on the skin that takes its place
SKIN = 100  # px of a photo that tell the colour of somebody's skin


@dataclass(frozen=True, eq=False)
class Garment:
    """A photo with the garment to name.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 255 on the garment.
        figure: (H, W) uint8, 255 on the person who wears it; None where nobody does.
        skin: (3,) uint8, the colour of that person's skin; None where none is seen.
        target: (10,) float32, 1 for every acceptable class.
        is_main: Whether it is most of what is worn in its box; else another garment covers it, or it covers another.
    """

    photo: UInt8Array
    mask: UInt8Array
    figure: UInt8Array | None
    skin: UInt8Array | None
    target: Float32Array
    is_main: bool = True

    @property
    def box(self) -> tuple[int, int, int, int]:
        return box_of(self.mask)

    @property
    def is_top(self) -> bool:
        return self._may_be(TOPS)

    @property
    def has_short_sleeves(self) -> bool:
        """As most do of its kind."""
        return self._may_be(SHORT_SLEEVES)

    @property
    def is_shoe(self) -> bool:
        return self._may_be(SHOES)

    @property
    def is_sold_alone(self) -> bool:
        """Shops show it without anybody who carries or wears it."""
        return self._may_be(("Bag", *SHOES))

    def _may_be(self, labels: Sequence[str]) -> bool:
        return any(self.target[LABELS.index(label)] for label in labels)


def worn_garment(garment: StreetGarment) -> Garment:
    mask, figure = (layer.astype(np.uint8) * 255 for layer in (garment.mask, garment.figure))
    bare = garment.photo[garment.skin]
    skin = np.median(bare, axis=0).astype(np.uint8) if len(bare) >= SKIN else None
    return Garment(garment.photo, mask, figure, skin, target(garment.accepted), garment.is_main)


def dressed(worn: Garment, top: Garment, rng: np.random.Generator) -> Garment:
    """A person with another top drawn over the worn one, like a paper doll: few people in the street wear T-shirts.

    Both begin at the same height. What the worn one shows beside a top with short sleeves becomes arms.
    """
    left, start, width, _ = worn.box
    top_left, top_start, top_width, _ = top.box
    scale = width * rng.uniform(*DRESSED_WIDTH) / top_width * np.array([1.0, DRESSED_ASPECT ** rng.uniform(-1, 1)])
    offset = (left + width / 2, start) - scale * (top_left + top_width / 2, top_start)
    matrix = np.column_stack([np.diag(scale), offset])  # pixels of the top -> of the person's photo
    size = worn.mask.shape[::-1]
    photo, mask = (cv2.warpAffine(layer, matrix, size).astype(np.uint8) for layer in (top.photo, top.mask))
    person = worn.photo
    if worn.skin is not None and top.has_short_sleeves and rng.random() < BARE:
        _, mask_start, _, mask_height = box_of(mask)
        sleeves = worn.mask.copy()
        sleeves[mask_start + mask_height :] = 0  # a worn dress goes on below
        person = _undressed(person, sleeves, worn.skin)
    figure = None if worn.figure is None else np.maximum(worn.figure, mask)
    return Garment(put_on(photo, mask // 255, person), mask, figure, worn.skin, top.target)


def _undressed(photo: UInt8Array, mask: UInt8Array, skin: UInt8Array) -> UInt8Array:
    """The masked part in the colour of skin, lit as the cloth was."""
    light = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (5, 5), 0).astype(np.float32) + 32
    lit = np.clip((light / np.median(light[mask > 0])) ** SHADING, 0.6, 1.3) if mask.any() else light
    return put_on(np.clip(skin * lit[..., np.newaxis], 0, 255).astype(np.uint8), mask // 255, photo)
