"""Targets: sets of acceptable classes, float32 (n, 10) of zeros and ones.

One class for most pictures, the three kinds of shoe for a photo whose label says only "Shoes", none for a picture of none of
the ten.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from fashion_classifier.labels import LABELS

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

SHOES = ("Sandal", "Sneaker", "Ankle boot")
CLOSED_SHOES = ("Sneaker", "Ankle boot")


def target(labels: Iterable[str]) -> Float32Array:
    """A (10,) float32 set: 1 at each of the labels."""
    members = set(labels)
    return np.array([label in members for label in LABELS], np.float32)


def balanced(targets: Float32Array, share: float) -> npt.NDArray[np.float64]:
    """For each target the probability to be drawn: its set of classes counts as its number of pictures to the power `share`."""
    _, kinds, counts = np.unique(targets, axis=0, return_inverse=True, return_counts=True)
    weights = counts[kinds.reshape(-1)].astype(np.float64) ** (share - 1.0)
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares
