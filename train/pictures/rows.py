"""What every source of pictures gives: rows, each a picture with the classes that are right for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion_classifier.images import load_image, to_rgb

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """A labelled picture of a source.

    Attributes:
        path: Its file.
        group: What must not be torn apart by a split: pictures of one group share a room, a person or a design.
        label: What the source calls it.
        accepted: The acceptable classes; none for a picture of none of the ten.
    """

    path: Path
    group: str
    label: str
    accepted: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its file name without suffix."""
        return self.path.stem

    def load(self) -> UInt8Array:
        """The picture, (H, W, 3) uint8 RGB."""
        return to_rgb(load_image(self.path))
