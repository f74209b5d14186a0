"""What stands in for networks where it must be plain what they answer."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fashion_classifier import LABELS, CanonicalImage, FashionClassifier, Prediction
from fashion_classifier.bundle import DEFAULT_MODEL, Bundle
from fashion_classifier.images import to_rgb
from fashion_classifier.masks import BoolArray, largest_part
from fashion_classifier.segmentation import Segmenter

UInt8Array = npt.NDArray[np.uint8]

NAMED = ("Ankle boot", "Coat", "Trouser")  # what is most of all red, green and blue


class Finding(Segmenter):
    """A segmenter that is a function of the photo."""

    def __init__(self, find: Callable[[UInt8Array], BoolArray]) -> None:
        self.find = find

    def __call__(self, photo: UInt8Array, at: tuple[float, float] | None = None) -> BoolArray:
        return self.find(photo)

    def each(self, photo: UInt8Array, main: BoolArray) -> list[BoolArray]:
        return [main]


class FindingParts(Finding):
    """Each part of what the function finds is a garment; the main one is the largest. A point finds the one that it lies on."""

    def __call__(self, photo: UInt8Array, at: tuple[float, float] | None = None) -> BoolArray:
        parts = self._parts(photo)
        on = [part for part in parts if at is None or part[round(at[1]), round(at[0])]]
        return on[0] if on else np.zeros(photo.shape[:2], np.bool_)

    def each(self, photo: UInt8Array, main: BoolArray) -> list[BoolArray]:
        return [main, *(part for part in self._parts(photo) if not (part & main).any())]

    def _parts(self, photo: UInt8Array) -> list[BoolArray]:
        left, parts = self.find(photo), []
        while left.any():
            parts.append(largest_part(left))
            left &= ~parts[-1]
        return parts


def left_half(photo: UInt8Array) -> BoolArray:
    mask = np.zeros(photo.shape[:2], np.bool_)
    mask[:, : photo.shape[1] // 2] = True
    return mask


def dark(photo: UInt8Array) -> BoolArray:
    found: BoolArray = photo.mean(axis=2) < 128
    return found


class Naming(FashionClassifier):
    """Names what is dark in a picture by its colour; typical is what is light. What is black is not sure."""

    def __init__(self, segmenter: Segmenter | None = None) -> None:
        self.bundle = Bundle(DEFAULT_MODEL)
        self._segment = segmenter or Finding(dark)

    def _answer(self, images: list[CanonicalImage]) -> list[Prediction]:
        colours = [to_rgb(image.photo)[image.mask].mean(axis=0) for image in images]
        answers = [dict.fromkeys(LABELS, 0.03) | {NAMED[colour.argmax()]: 0.73} for colour in colours]
        return [
            Prediction(answer, float(colour.max()) / 255, image, self.bundle)
            for answer, colour, image in zip(answers, colours, images, strict=True)
        ]
