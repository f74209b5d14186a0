"""What is measured of a version before it is published, and where that is kept, so that it is measured once.

A measurement is kept under the hash of all that it depends on: the networks' files and their calibration, the pictures, and the
code of this project. The files lie in `fashion-classifier/measurements` of the user's cache, `XDG_CACHE_HOME` or ~/.cache.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fashion_classifier import FashionClassifier
from train.networks.calibration import Reliability
from train.pictures.fashion_mnist import Pictures
from train.reports.photos import ask, measure
from train.reports.thumbnails import ClassScores, Evaluation, evaluate

ROOT = Path(__file__).parent.parent.parent
CODE = ("fashion_classifier", "train")  # folders whose Python files decide what is measured


@dataclass(frozen=True)
class Report:
    """What was measured of one bundle.

    Attributes:
        evaluation: On the Fashion-MNIST test images.
        photos: What `train.reports.photos.measure` says of each source of photos that was given, by the option that names it.
    """

    evaluation: Evaluation
    photos: dict[str, dict[str, Any]]

    def to_json(self) -> str:
        return json.dumps({"evaluation": asdict(self.evaluation), "photos": self.photos})

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Raises `ValueError`, `KeyError` or `TypeError` where the text is no report."""
        content = json.loads(text)
        evaluation = content["evaluation"]
        classes = [ClassScores(**scores) for scores in evaluation["classes"]]
        calibration = Reliability(**evaluation["calibration"])
        return cls(Evaluation(**evaluation | {"classes": classes, "calibration": calibration}), content["photos"])


@dataclass(frozen=True)
class HeldOut:
    """What versions are measured on.

    Attributes:
        thumbnails: Fashion-MNIST's test images.
        photos: The folders of photos, by the option that names them; of each the test split is asked about.
    """

    thumbnails: Pictures
    photos: Mapping[str, Path] = field(default_factory=dict)

    def report(self, classifier: FashionClassifier) -> Report:
        """Measure a version, or read what was measured of the same networks on the same pictures."""
        kept = cache() / f"{self._key(classifier)}.json"
        try:
            return Report.from_json(kept.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
            pass
        evaluation = evaluate(classifier, self.thumbnails.images, self.thumbnails.groups)
        photos = {name: measure(ask(classifier, name, folder, "test")) for name, folder in self.photos.items()}
        text = Report(evaluation, photos).to_json()
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")  # whole or not at all
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(kept)
        return Report.from_json(text)

    def _key(self, classifier: FashionClassifier) -> str:
        bundle = classifier.bundle
        manifest = asdict(bundle.manifest)
        about_networks = {name: manifest[name] for name in ("experts", "preprocessing", "uncertain_below")}
        about_networks["files"] = {name: bundle.manifest.files[name] for name in bundle.networks}
        digest = hashlib.sha256(json.dumps(about_networks, sort_keys=True).encode())
        for array in (self.thumbnails.images, self.thumbnails.targets):
            digest.update(array.tobytes())
        for name, folder in sorted(self.photos.items()):
            digest.update(name.encode())
            for part in _contents(folder, "*"):
                digest.update(part)
        for name in CODE:
            for part in _contents(ROOT / name, "*.py"):
                digest.update(part)
        return digest.hexdigest()


def _contents(folder: Path, pattern: str) -> Iterator[bytes]:
    """Name and checksum of every file in a folder, in order."""
    for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
        with path.open("rb") as file:
            yield path.relative_to(folder).as_posix().encode() + hashlib.file_digest(file, "sha256").digest()


def cache() -> Path:
    """Where measurements are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fashion-classifier" / "measurements"
