"""Which pictures are trained on, which choose and calibrate, and which are measured."""

import hashlib
from typing import Literal

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

Split = Literal["training", "validation", "test"]


def split_of(source: str) -> Split:
    """The split of all pictures from one source: a tenth-bucket of a hash, so that new sources never move old ones."""
    bucket = int(hashlib.sha256(source.encode()).hexdigest(), 16) % 10
    return "validation" if bucket in (2, 4) else "test" if bucket in (5, 9) else "training"
