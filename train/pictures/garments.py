"""A garment to name: a photo, and where in it the garment is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.figures import PLAIN_DISTANCE
from fashion_classifier.labels import LABELS
from fashion_classifier.masks import BoolArray, box_of, innermost, iou, widened
from fashion_classifier.segmentation import Segmenter
from train.pictures.rows import Row
from train.pictures.street import StreetGarment, StreetPhoto
from train.pictures.targets import SHOES, target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

RIGHT = 0.5  # intersection over union with the true mask, from which on the segmentation has found the garment
CROP_MARGINS = (0.05, 0.3)  # of crops in which it looks, of the longer side of the garment's box


@dataclass(frozen=True, eq=False)
class Garment:
    """A photo with the garment to name.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 255 on the garment.
        figure: (H, W) uint8, 255 on all that is not background: the garment, or the person who wears it; None if unknown.
        target: (10,) float32, 1 for every acceptable class.
    """

    photo: UInt8Array
    mask: UInt8Array
    figure: UInt8Array | None
    target: Float32Array

    @property
    def box(self) -> tuple[int, int, int, int]:
        return box_of(self.mask > 0)

    @property
    def is_shoe(self) -> bool:
        return self._may_be(SHOES)

    @property
    def is_sold_alone(self) -> bool:
        """Shops show it without anybody who carries or wears it."""
        return self._may_be(("Bag", *SHOES))

    def _may_be(self, labels: Sequence[str]) -> bool:
        return any(self.target[LABELS.index(label)] for label in labels)


def found_garment(row: Row, segmenter: Segmenter) -> Garment:
    """A picture with what the segmentation finds in it."""
    photo = row.load()
    return Garment(photo, _marked(segmenter(photo)), None, target(row.accepted))


def single_garment(row: Row, segmenter: Segmenter) -> Garment:
    """Likewise, of a photo that shows nothing but the garment and what it lies on."""
    garment = found_garment(row, segmenter)
    return replace(garment, figure=garment.mask)


def product(row: Row, segmenter: Segmenter) -> Garment:
    """Likewise, of a shop's picture: all that stands out from its white belongs to the figure."""
    garment = found_garment(row, segmenter)
    return replace(garment, figure=_marked(on_white(garment.photo)))


def worn_garments(photo: StreetPhoto, garments: Iterable[StreetGarment], segmenter: Segmenter) -> list[Garment]:
    """The garments of a street photo, each with its true mask and with those of the segmentation that show it.

    The segmentation looks at the whole photo, at crops around each garment, and where a finger points to.
    """
    marked = {garment.label: garment.mask for garment in garments}
    targets = {garment.label: target(garment.accepted) for garment in garments}
    figure = _marked(photo.labels > 0)
    shown = list(marked.items())
    whole = segmenter(photo.photo)
    for label, mask in marked.items():
        looks = [whole, segmenter(photo.photo, at=innermost(mask))]
        looks += [_in_crop(photo.photo, mask, margin, segmenter) for margin in CROP_MARGINS]
        shown += [(label, look) for look in looks if iou(look, mask) >= RIGHT]
    return [Garment(photo.photo, _marked(mask), figure, targets[label]) for label, mask in shown]


def on_white(photo: UInt8Array) -> UInt8Array:
    """What stands out from the white around it in an (H, W, 3) photo: (H, W), 1 on it and on what it encloses."""
    mask: UInt8Array = (photo.min(axis=2) < 255 - PLAIN_DISTANCE).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mask, outlines, -1, (1,), cv2.FILLED)
    return mask


def _in_crop(photo: UInt8Array, mask: BoolArray, margin: float, segmenter: Segmenter) -> BoolArray:
    """What the segmentation marks in a crop around a garment."""
    around = widened(box_of(mask), margin)
    found = np.zeros_like(mask)
    found[around] = segmenter(photo[around])
    return found


def _marked(mask: npt.NDArray[np.generic]) -> UInt8Array:
    return mask.astype(np.uint8) * np.uint8(255)
