"""Nothing here talks to the world: no tokens, no telemetry, no downloads, and a Hub on the loopback interface."""

import atexit
import os
import shutil
import tempfile

from tests.loopback_hub import LoopbackHub

HUB = LoopbackHub()
HF_HOME, JOURNAL, UPLOADS = (tempfile.mkdtemp(prefix=prefix) for prefix in ("hf-home-", "journal-", "uploads-"))
for folder in (HF_HOME, JOURNAL, UPLOADS):
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

for name, value in {
    "FASHION_CLASSIFIER_JOURNAL": JOURNAL,
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_TEMP_DIR": UPLOADS,
    "HF_ENDPOINT": HUB.endpoint,  # these are read when huggingface_hub is imported
    "HF_HOME": HF_HOME,
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_TOKEN": "",
    "MPLBACKEND": "Agg",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}.items():
    os.environ[name] = value
os.environ.pop("FASHION_CLASSIFIER_MODEL", None)

import csv
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import LABELS, classifier, hub
from fashion_classifier.locks import once
from tests.patience import PATIENCE
from train.pictures.fashion_mnist import Pictures

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="session")
def example_labels() -> dict[Path, str]:
    """Every example picture with its label; "" for none of the ten."""
    with (EXAMPLES / "labels.csv").open(newline="") as file:
        return {EXAMPLES / row["file"]: row["label"] for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def outfit() -> Path:
    """A picture of two garments, a shirt above trousers."""
    return Path(__file__).parent / "fixtures" / "outfit.jpg"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The page, served on a port that is free: Gradio's own search leaks a socket for each port that is taken."""
    import app  # imported here: Gradio takes seconds

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield app.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    app.demo.close()


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub and an empty cache. The Hub may take its time: who wants it to be silent sets `hub.TIMEOUT`."""
    monkeypatch.setattr(hub, "TIMEOUT", PATIENCE)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    # what former tests published under the same name is forgotten
    monkeypatch.setattr(classifier, "_classifier", once(classifier._classifier.__wrapped__))  # type: ignore[attr-defined]
    HUB.reset()
    yield HUB
    HUB.reset()
    if not HUB.running:
        HUB.start()


@pytest.fixture(scope="session")
def tiny_bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles of "thumbnail" alone, with "one look" at photos and with "two looks"; who changes one changes a copy."""
    from tests.tiny_bundles import write_bundles  # imported here: it loads TensorFlow

    return write_bundles(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def thumbnails() -> Pictures:
    """200 images of the Fashion-MNIST test set, the first 20 of each class (Zalando SE, MIT licence)."""
    with np.load(Path(__file__).parent / "fixtures" / "fashion-mnist-200.npz") as stored:
        images, labels = stored["images"], stored["labels"]
    targets = np.eye(len(LABELS), dtype=np.float32)[labels]
    return Pictures(images, targets, tuple(LABELS[label] for label in labels))
