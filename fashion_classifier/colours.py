"""Maps as colours whose steps look as large as they are, drawn on a photo."""

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.images import UInt8Array

Float32Array = npt.NDArray[np.float32]

FOR, AGAINST = (230, 97, 1), (60, 80, 200)  # RGB of the two sides of a map, told apart by colour-blind eyes too


def tinted(photo: UInt8Array, heat: Float32Array, strength: float) -> UInt8Array:
    """A photo with a map drawn on it; where the map is 0 the photo shows.

    Args:
        photo: (H, W, 3) uint8 RGB.
        heat: (H, W) in [0, 1], drawn in Inferno's colours; or in [-1, 1], drawn in one colour for each side.
        strength: Opacity where the map is 1 or -1, in [0, 1].
    """
    opacity = (strength * np.abs(heat))[..., np.newaxis]
    tint = _sides(heat) if heat.min() < 0 else _inferno(heat)
    return np.round(photo * (1 - opacity) + tint * opacity).astype(np.uint8)


def _inferno(heat: Float32Array) -> UInt8Array:
    """Perceptually uniform, by Smith and van der Walt."""
    coloured = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB).astype(np.uint8)


def _sides(heat: Float32Array) -> UInt8Array:
    return np.where(heat[..., np.newaxis] > 0, FOR, AGAINST).astype(np.uint8)
