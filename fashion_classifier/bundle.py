"""A model version on disk: the network's files and the manifest that says what they are.

A network never travels without its labels, preprocessing version, calibration and checksums.
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from fashion_classifier.errors import InvalidBundleError, ModelIntegrityError
from fashion_classifier.labels import LABELS

MANIFEST = "manifest.json"
KERAS_MODEL = "model.keras"  # the network for thumbnails, the source of truth; explanations and retraining
SERVING_MODEL = "model.tflite"  # the same network for LiteRT
PHOTO_KERAS_MODEL = "photo.keras"  # the network for photos as they are, weights in half precision
PHOTO_SERVING_MODEL = "photo.tflite"
FADED_KERAS_MODEL = "faded.keras"  # the network for photos with faded surroundings, likewise
FADED_SERVING_MODEL = "faded.tflite"
HDF5_MODEL = "fashion_model.h5"  # on request
SEGMENTATION_MODEL = "segmentation.tflite"  # finds the garment in a photo
LICENCES = "LICENCES.md"  # of the networks, and of what they were trained on
FORMAT = 5
PREPROCESSING_VERSION = "3"  # changes whenever the same picture and mask may give another canonical image or other views
DEFAULT_MODEL = Path(__file__).parent / "default_model"


@dataclass(frozen=True)
class PhotoNetworks:
    """How a bundle's networks for photos are used, one for either look at a photo: as it is, with faded surroundings.

    Attributes:
        architectures: Names of the two networks.
        temperature: As `Manifest.temperature`.
        smoothing: As `Manifest.smoothing`.
        energies: As `Manifest.energies`, of photos.
        explanation_layer: The layer of the first network whose maps Grad-CAM weighs.
        training: Command, data, recipe and versions of either.
    """

    architectures: tuple[str, str]
    temperature: float
    smoothing: float
    energies: tuple[float, ...]
    explanation_layer: str
    training: tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; manifest.json holds these fields.

    Attributes:
        format: Of the manifest itself.
        version: Of the model, as a Hub tag would name it.
        architecture: Name of the network for thumbnails in `train.networks.architectures`, or "custom".
        labels: In the order of the network's outputs.
        preprocessing: Version of the canonical form and the views that the bundle was made for.
        temperature: The logits are divided by it before the softmax (`fashion_classifier.confidence.calibrated`).
        smoothing: Share of the probability that the network spreads over the classes evenly, taken off again.
        flip: Whether probabilities are averaged over the image and its mirror image.
        energies: Quantiles of the energy scores of good validation thumbnails, ascending, evenly spaced from the 0th to the
            100th percentile; they turn a score into a typicality (`fashion_classifier.confidence`). Without networks for
            photos they serve for photos as well, which score lower.
        uncertain_below: Typicality under which a picture counts as probably none of the ten.
        explanation_layer: The layer whose maps Grad-CAM weighs; None where a network has none.
        photo: The networks for photos; None where that for thumbnails names them too.
        metrics: Measured figures, each with its n.
        training: Command, data, recipe and versions.
        files: Name of every other file of the bundle, with its SHA-256.
    """

    format: int
    version: str
    architecture: str
    labels: tuple[str, ...]
    preprocessing: str
    temperature: float
    smoothing: float
    flip: bool
    energies: tuple[float, ...]
    uncertain_below: float
    explanation_layer: str | None
    photo: PhotoNetworks | None
    metrics: dict[str, Any]
    training: dict[str, Any]
    files: dict[str, str]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def _accepted_photo_networks(content: dict[str, Any]) -> bool:
    return (
        content.keys() == {field.name for field in fields(PhotoNetworks)}
        and _accepted_pair(content["architectures"], str)
        and isinstance(content["explanation_layer"], str)
        and bool(content["explanation_layer"])
        and all(_accepted_number(name, content[name]) for name in ("temperature", "smoothing"))
        and isinstance(content["energies"], list)
        and _accepted_quantiles(content["energies"])
        and _accepted_pair(content["training"], dict)
    )


def _accepted_pair(values: Any, kind: type) -> bool:
    return isinstance(values, list) and len(values) == 2 and all(isinstance(value, kind) and value != "" for value in values)


def _accepted_number(name: str, value: Any) -> bool:
    kinds, accepted = _ACCEPTED_VALUES[name]
    return isinstance(value, kinds) and accepted(value)


def _accepted_quantiles(values: list[Any]) -> bool:
    numbers = all(isinstance(value, float) and math.isfinite(value) for value in values)
    return numbers and len(values) > 1 and values == sorted(values)


_ACCEPTED_VALUES: dict[str, tuple[type | UnionType, Callable[[Any], bool]]] = {
    "version": (str, bool),  # not empty
    "architecture": (str, bool),
    "labels": (list, lambda labels: True),  # compared with ours
    "preprocessing": (str, bool),
    "temperature": (int | float, lambda value: 0 < value < math.inf),
    "smoothing": (int | float, lambda value: 0 <= value < 1),
    "flip": (bool, lambda value: True),
    "energies": (list, _accepted_quantiles),
    "uncertain_below": (int | float, lambda value: 0 <= value <= 1),
    "explanation_layer": (str | NoneType, lambda value: value != ""),
    "photo": (dict | NoneType, lambda value: value is None or _accepted_photo_networks(value)),
    "metrics": (dict, lambda value: True),
    "training": (dict, lambda value: True),
    "files": (dict, lambda files: all(isinstance(value, str) and "/" not in name for name, value in files.items())),
}


@dataclass(frozen=True)
class Bundle:
    """A folder with a readable manifest. Files are checked against their checksum when they are first used.

    Attributes:
        path: The folder.
        commit: 40-hex id of the commit on the Hub that it is a copy of; None for a bundle that is from elsewhere.
    """

    path: Path
    commit: str | None = None

    @cached_property
    def manifest(self) -> Manifest:
        """Raises `InvalidBundleError` where the folder holds no manifest that this version of the package understands."""
        try:
            content = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidBundleError(self.path, f"cannot read {MANIFEST}: {error.strerror}.") from error
        except ValueError as error:
            raise InvalidBundleError(self.path, f"{MANIFEST} is not JSON: {error}.") from error
        names = {field.name for field in fields(Manifest)}
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            received = content.get("format") if isinstance(content, dict) else type(content).__name__
            remedy = ""
            if isinstance(received, int) and received > FORMAT:
                remedy = " It was made for a newer version of this package: update fashion-classifier."
            elif isinstance(received, int):
                remedy = " It was made for an older version of this package: use that one, or another model."
            raise InvalidBundleError(self.path, f"{MANIFEST} has format {received!r}, this package reads {FORMAT}.{remedy}")
        if content.keys() != names:
            missing, unknown = sorted(names - content.keys()), sorted(content.keys() - names)
            raise InvalidBundleError(self.path, f"{MANIFEST} lacks {missing} and has unknown {unknown}.")
        for name, (kinds, accepted) in _ACCEPTED_VALUES.items():
            if not isinstance(content[name], kinds) or not accepted(content[name]):
                raise InvalidBundleError(self.path, f"{MANIFEST} has {content[name]!r} for {name}.")
        lists = {name: tuple(content[name]) for name in ("labels", "energies")}
        photo = content["photo"] and PhotoNetworks(
            **content["photo"] | {name: tuple(content["photo"][name]) for name in ("architectures", "energies", "training")}
        )
        manifest = Manifest(**content | lists | {"photo": photo})
        if manifest.labels != LABELS:
            raise InvalidBundleError(self.path, f"its labels are {manifest.labels}, this package knows {LABELS}.")
        if manifest.preprocessing != PREPROCESSING_VERSION:
            raise InvalidBundleError(
                self.path,
                f"it was made for preprocessing version {manifest.preprocessing!r}, this package has "
                f"{PREPROCESSING_VERSION!r}. Use the version of the package that it was made with, or another model.",
            )
        return manifest

    @property
    def networks(self) -> tuple[str, ...]:
        """The files that predictions and explanations need."""
        photo = (PHOTO_SERVING_MODEL, PHOTO_KERAS_MODEL, FADED_SERVING_MODEL) if self.manifest.photo else ()
        return (SEGMENTATION_MODEL, SERVING_MODEL, KERAS_MODEL, *photo)

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files, its checksum verified.

        Raises:
            InvalidBundleError: The file is not in the manifest, or missing.
            ModelIntegrityError: The file was changed.
        """
        if name not in self.manifest.files:
            raise InvalidBundleError(self.path, f"its manifest lists no {name}, only {sorted(self.manifest.files)}.")
        path = self.path / name
        try:
            found = sha256(path)
        except OSError as error:
            raise InvalidBundleError(self.path, f"cannot read {name}: {error.strerror}.") from error
        if found != self.manifest.files[name]:
            raise ModelIntegrityError(path, found, self.manifest.files[name])
        return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
