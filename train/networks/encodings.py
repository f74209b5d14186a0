"""How people feed pixels to their networks, and what those give back; loads nothing."""

from typing import NamedTuple

MEAN, DEVIATION = 0.2860, 0.3530  # of Fashion-MNIST's training pixels in [0, 1]


class Encoding(NamedTuple):
    """Pixels in [0, 1], light garments on black, times a scale, plus an offset.

    Attributes:
        scale: The one.
        offset: The other.
        rarity: How much clearer than the usual encodings it must be the network's own.
    """

    scale: float
    offset: float
    rarity: float


INPUTS = {
    "0..1": Encoding(1, 0, 0),
    "0..255": Encoding(255, 0, 0),
    "+-1": Encoding(2, -1, 0.05),
    "+-0.5": Encoding(1, -0.5, 0.1),
    "standardised": Encoding(1 / DEVIATION, -MEAN / DEVIATION, 0.11),
    "inverted-0..1": Encoding(-1, 1, 0.05),
    "inverted-0..255": Encoding(-255, 255, 0.08),
    "inverted-+-1": Encoding(-2, 1, 0.1),
}
OUTPUTS = ("logits", "probabilities", "sigmoids")
