"""The networks of the comparison that lie beside its report, and what they and ours say of a picture. Gradio is unknown here.

Thumbnails are all that these small networks know: of a photo they are shown its 28x28 form, as of everything.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_classifier import LABELS, CanonicalImage, ModelIntegrityError, Prediction
from fashion_classifier.confidence import calibrated, energy, typicality
from fashion_classifier.ensemble import Ensemble
from fashion_classifier.manifest import Expert, Member
from page.service import Service

REPORT = Path(__file__).parent.parent / "report"  # what train.reports.compare wrote
OURS = "ours"
THUMBNAIL, PHOTO = "28x28 gray pixels", "the photo in colour"  # what a network is shown


@dataclass(frozen=True)
class Opinion:
    """What one network says of a picture.

    Attributes:
        network: Its name in the report, or `OURS`.
        shown: `THUMBNAIL` or `PHOTO`.
        probabilities: Label to probability, all ten in dataset order; their sum is 1.
        typicality: How much the picture is like what this network knows, in [0, 1].
        uncertain: True when it is probably none of the ten.
        model_version: Of this network.
    """

    network: str
    shown: str
    probabilities: dict[str, float]
    typicality: float
    uncertain: bool
    model_version: str

    @property
    def label(self) -> str:
        return self.top(1)[0][0]

    @property
    def confidence(self) -> float:
        return self.probabilities[self.label]

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k most probable (label, probability), best first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types, as `Prediction.to_dict` names them."""
        return {
            "network": self.network,
            "shown": self.shown,
            "label": self.label,
            "confidence": self.confidence,
            "uncertain": self.uncertain,
            "typicality": self.typicality,
            "probabilities": self.probabilities,
            "model_version": self.model_version,
        }


class Peer:
    """A network that lies beside the report. Safe to use from several threads at once."""

    def __init__(self, name: str, kept: dict[str, Any], folder: Path) -> None:
        """Load it.

        Args:
            name: In the report.
            kept: What the report says of it, as `train.reports.compare.Kept` in JSON.
            folder: Of the report.

        Raises:
            ModelIntegrityError: The file is another one than the report is about.
            InvalidBundleError: The file is no network, or one of other shapes.
        """
        self.name, self._version, self._uncertain_below = name, kept["version"], kept["uncertain_below"]
        members = tuple(Member(**member) for member in kept["expert"]["members"])
        self._expert = Expert(**kept["expert"] | {"members": members})
        content = (folder / kept["file"]).read_bytes()
        if (found := hashlib.sha256(content).hexdigest()) != kept["sha256"]:
            raise ModelIntegrityError(folder / kept["file"], found, kept["sha256"])
        self._ensemble = Ensemble(folder, members, lambda file: content)

    def answer(self, image: CanonicalImage) -> Opinion:
        """Name the garment in a picture by its 28x28 form."""
        logits = self._ensemble.logits([image])
        (row,) = calibrated(logits, self._expert.temperature, self._expert.smoothing).tolist()
        (share,) = typicality(energy(logits), self._expert.energies).tolist()
        probabilities = dict(zip(LABELS, row, strict=True))
        return Opinion(self.name, THUMBNAIL, probabilities, share, share < self._uncertain_below, self._version)


class Peers:
    """The small networks and ours, side by side.

    Attributes:
        report: What was measured of them, as comparison.json says it.
    """

    def __init__(self, service: Service, folder: Path = REPORT) -> None:
        """Read a report and load its networks; raises as `Peer`."""
        self.service = service
        self.report: dict[str, Any] = json.loads((folder / "comparison.json").read_text())
        kept = [network for network in self.report["networks"] if network["kept"]]
        self._peers = [Peer(network["name"], network["kept"], folder) for network in kept]

    def answer(self, picture: bytes) -> tuple[Prediction, list[Opinion]]:
        """Name the garment in a picture by each network.

        Args:
            picture: Of a file, as it was uploaded.

        Returns:
            Our prediction, which holds the picture as the networks saw it, and what each says, ours last. Nothing is written
            down: this is a lesson, and no use of the page.

        Raises:
            InvalidImageError: The picture cannot be read.
        """
        prediction = self.service.predict(picture)
        by_photo = prediction.bundle.manifest.expert_for(photo=prediction.image.is_photo) == "photo"
        ours = Opinion(
            OURS,
            PHOTO if by_photo else THUMBNAIL,
            prediction.probabilities,
            prediction.typicality,
            prediction.uncertain,
            prediction.model_version,
        )
        return prediction, [*(peer.answer(prediction.image) for peer in self._peers), ours]
