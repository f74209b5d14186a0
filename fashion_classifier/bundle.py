"""A model version on disk: the networks' files and the manifest that says what they are.

A network never travels without its labels, preprocessing version, calibration and checksums.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fashion_classifier.errors import InvalidBundleError, ModelIntegrityError
from fashion_classifier.manifest import MOST_BYTES, Manifest, parse_manifest

MANIFEST = "manifest.json"
TRAINING = "training.json"  # how the networks came to be; never read to predict
HDF5_MODEL = "fashion_model.h5"  # the network for thumbnails, on request
SEGMENTATION_MODEL = "segmentation.tflite"  # finds the garment in a photo
ORIENTATION_MODEL = "orientation.tflite"  # turns thumbnails upright; a bundle without it takes them as they come
LICENCES = "LICENCES.md"  # of the networks, and of what they were trained on
DEFAULT_MODEL = Path(__file__).parent / "default_model"


@dataclass(frozen=True)
class Bundle:
    """A folder with a readable manifest. Files are checked against their checksum when they are used.

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
            with (self.path / MANIFEST).open("rb") as file:
                manifest = parse_manifest(file.read(MOST_BYTES + 1))
        except OSError as error:
            raise InvalidBundleError(self.path, f"cannot read {MANIFEST}: {error.strerror}.") from error
        except ValueError as error:
            raise InvalidBundleError(self.path, f"{MANIFEST} {error}") from error
        if SEGMENTATION_MODEL not in manifest.files:
            raise InvalidBundleError(self.path, f"{MANIFEST} lists no {SEGMENTATION_MODEL} in files.")
        return manifest

    @property
    def networks(self) -> tuple[str, ...]:
        """The files that predictions need, and explanations without TensorFlow."""
        serving = [member.file for expert in self.manifest.experts.values() for member in expert.members]
        turning = [ORIENTATION_MODEL] if ORIENTATION_MODEL in self.manifest.files else []
        return tuple(dict.fromkeys([SEGMENTATION_MODEL, *turning, *serving]))

    def read(self, name: str) -> bytes:
        """One of the bundle's files: the very bytes whose checksum was verified.

        Raises:
            InvalidBundleError: The file is not in the manifest, or missing.
            ModelIntegrityError: The file was changed.
        """
        if name not in self.manifest.files:
            raise InvalidBundleError(self.path, f"its manifest lists no {name}, only {sorted(self.manifest.files)}.")
        path, expected = self.path / name, self.manifest.files[name]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InvalidBundleError(self.path, f"cannot read {name}: {error.strerror}.") from error
        if (found := hashlib.sha256(content).hexdigest()) != expected:
            raise ModelIntegrityError(path, found, expected)
        return content

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files, its checksum verified, for what reads no bytes; raises as `read` does."""
        self.read(name)
        return self.path / name


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
