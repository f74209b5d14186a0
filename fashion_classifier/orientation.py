"""Which way up a thumbnail is: a small network that was trained on turned ones (train/orientation.py)."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fashion_classifier.forms import FORMS
from fashion_classifier.network import Network
from fashion_classifier.preprocessing import SIZE, CanonicalImage

TURNS = 4  # the network's answers: by how many quarter turns, counterclockwise, the upright thumbnail was turned
SURE = 0.95  # probability from which on a thumbnail is turned back: 1 upright one in 1,200 is, and 19 turned ones in 20


class Orientation:
    """The network for orientations. Safe to use from several threads at once."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """Load a .tflite file, as `Network` does."""
        self._network = Network(path, content, inputs=(1, SIZE, SIZE, 1), outputs=(1, TURNS))

    def upright(self, image: CanonicalImage) -> CanonicalImage:
        """A thumbnail turned upright, where it surely is not; as it came otherwise, and where it was turned before."""
        if image.geometry.quarter_turns:
            return image
        logits = self._network.run(FORMS["canonical"].render([image]))[0]
        turned = int(logits.argmax())
        if not turned or 1 / np.exp(logits - logits[turned]).sum() < SURE:
            return image
        back = TURNS - turned
        geometry = replace(image.geometry, quarter_turns=back)
        return replace(image, pixels=np.rot90(image.pixels, back).copy(), geometry=geometry)
