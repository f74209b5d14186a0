"""What the network says of a picture."""

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fashion_classifier.bundle import Bundle
from fashion_classifier.preprocessing import CanonicalImage

SHOWN = 5  # names in a notebook
SHOWN_SIDE = 320  # px of the picture there, at most


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """One picture's answer.

    Attributes:
        probabilities: Label to probability, all ten in dataset order; their sum is 1.
        typicality: How much the picture is like what the network knows, in [0, 1]: the share of good validation pictures
            that have a lower energy score (Liu et al. 2020, arXiv 2010.03759) than this one, of that source of pictures for
            which it is largest. Of good pictures from any source at most a share t is below t; none of the ten is near 0.
        image: The picture as the network saw it, with the way back to the photo.
        bundle: The model version that answered.
    """

    probabilities: dict[str, float]
    typicality: float
    image: CanonicalImage
    bundle: Bundle

    def __repr__(self) -> str:
        return f"Prediction({self.label!r}, confidence={self.confidence:.3f}{', uncertain' if self.uncertain else ''})"

    def _repr_html_(self) -> str:
        """Picture, name and bars, for notebooks."""
        rows = "".join(
            f"<tr><td>{html.escape(label)}</td><td><meter value='{probability:.3f}' style='width: 12em'></meter></td>"
            f"<td>{probability:.1%}</td></tr>"
            for label, probability in self.top(SHOWN)
        )
        doubt = " (not sure)" if self.uncertain else ""
        picture = f"<img src='data:image/png;base64,{self._thumbnail()}' alt='' style='max-height: 10em'>"
        return f"<div>{picture}<p><b>{html.escape(self.label)}</b>{doubt}</p><table>{rows}</table></div>"

    def _thumbnail(self) -> str:
        picture, file = Image.fromarray(self.image.photo), io.BytesIO()
        picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        picture.save(file, "png")
        return base64.b64encode(file.getvalue()).decode()

    @property
    def label(self) -> str:
        """The most probable of the ten names."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of `label`, in [0.1, 1]."""
        return self.probabilities[self.label]

    @property
    def uncertain(self) -> bool:
        """True when the picture is probably none of the ten."""
        return self.typicality < self.bundle.manifest.uncertain_below

    @property
    def model_version(self) -> str:
        return self.bundle.manifest.version

    @property
    def model_commit(self) -> str | None:
        """The model's commit on the Hub, 40 hex digits; None for a model that is from elsewhere."""
        return self.bundle.commit

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """The k most probable (label, probability), best first; k from 1 to 10."""
        if not 1 <= k <= len(self.probabilities):
            raise ValueError(f"top takes k from 1 to {len(self.probabilities)}, received {k}.")
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_dict(self) -> dict[str, Any]:
        """The answer in JSON's types; `box` is the garment's: left, top, width and height in pixels of the upright picture."""
        return {
            "label": self.label,
            "confidence": self.confidence,
            "uncertain": self.uncertain,
            "typicality": self.typicality,
            "box": list(self.image.box),
            "probabilities": self.probabilities,
            "model_version": self.model_version,
            "model_commit": self.model_commit,
        }
