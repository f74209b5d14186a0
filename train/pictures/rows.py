"""What every source of pictures gives: rows, each a picture with the classes that are right for it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion_classifier.images import Picture, load_image, to_rgb

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """A labelled picture of a source.

    Attributes:
        path: Its file, or its name where it is none of its own.
        group: What must not be torn apart by a split: pictures of one group share a room, a person or a design.
        label: What the source calls it.
        accepted: The acceptable classes; none for a picture of none of the ten.
        content: Its bytes, where it is no file of its own.
    """

    path: Path
    group: str
    label: str
    accepted: tuple[str, ...]
    content: bytes | None = field(default=None, repr=False)

    @property
    def picture(self) -> Picture:
        """What `predict` takes."""
        return self.path if self.content is None else self.content

    @property
    def name(self) -> str:
        """Its file name without suffix."""
        return self.path.stem

    def load(self) -> UInt8Array:
        """The picture, (H, W, 3) uint8 RGB."""
        return to_rgb(load_image(self.picture))
