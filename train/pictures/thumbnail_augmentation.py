"""Random changes to canonical images that leave the garment what it is."""

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.preprocessing import SIZE

UInt8Array = npt.NDArray[np.uint8]

FLIP = 0.5
AFFINE = 0.7
ROTATION = 4.0  # degrees, either way
SCALE = (0.95, 1.05)
SHIFT = 0.07  # of the side, either way
ERASE = 0.5
ERASED_AREA = (0.02, 0.2)  # of the picture; Random Erasing, arXiv 1708.04896


def augment(images: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Changed copies of (n, 28, 28) uint8 images, reproducible for a given generator state."""
    return np.stack([_augment_one(image, rng) for image in images])


def _augment_one(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    if rng.random() < FLIP:
        image = image[:, ::-1]
    if rng.random() < AFFINE:
        image = _affine(image, rng)
    if rng.random() < ERASE:
        image = _erase(image, rng)
    return image


def _affine(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    centre = (SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-ROTATION, ROTATION), rng.uniform(*SCALE)).astype(np.float64)
    matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * SIZE
    return cv2.warpAffine(np.ascontiguousarray(image), matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR).astype(np.uint8)


def _erase(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """A rectangle of random size, shape and place filled with noise."""
    area = rng.uniform(*ERASED_AREA) * SIZE**2
    aspect = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
    height, width = (min(SIZE, max(1, round(float(np.sqrt(side))))) for side in (area * aspect, area / aspect))
    top, left = rng.integers(0, SIZE - height + 1), rng.integers(0, SIZE - width + 1)
    erased = image.copy()
    erased[top : top + height, left : left + width] = rng.integers(0, 256, (height, width), np.uint8)
    return erased
