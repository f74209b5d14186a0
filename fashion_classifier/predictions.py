"""What the network says of a picture."""

from dataclasses import dataclass, field
from typing import Any

from fashion_classifier.bundle import Bundle
from fashion_classifier.preprocessing import CanonicalImage


@dataclass(frozen=True, eq=False)
class Prediction:
    """One picture's answer.

    Attributes:
        probabilities: Label to probability, all ten in dataset order; their sum is 1.
        image: The picture as the network saw it, with the way back to the photo.
        bundle: The model version that answered.
    """

    probabilities: dict[str, float]
    image: CanonicalImage = field(repr=False)
    bundle: Bundle = field(repr=False)

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
        manifest = self.bundle.manifest
        network = manifest.photo if manifest.photo and self.image.is_photo else manifest
        return self.confidence < network.uncertain_below

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
        """The answer in JSON's types."""
        return {
            "label": self.label,
            "confidence": self.confidence,
            "uncertain": self.uncertain,
            "probabilities": self.probabilities,
            "model_version": self.model_version,
            "model_commit": self.model_commit,
        }
