"""Nothing here talks to the world: no tokens, no telemetry, no downloads."""

import os
import tempfile

for name, value in {
    "FASHION_CLASSIFIER_JOURNAL": tempfile.mkdtemp(prefix="journal-"),
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_TOKEN": "",
    "MPLBACKEND": "Agg",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}.items():
    os.environ[name] = value

import csv
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import LABELS
from train.data import Pictures

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="session")
def example_labels() -> dict[Path, str]:
    """Every example picture with its label; "" for none of the ten."""
    with (EXAMPLES / "labels.csv").open(newline="") as file:
        return {EXAMPLES / row["file"]: row["label"] for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def thumbnails() -> Pictures:
    """200 images of the Fashion-MNIST test set, the first 20 of each class (Zalando SE, MIT licence)."""
    with np.load(Path(__file__).parent / "fixtures" / "fashion-mnist-200.npz") as stored:
        images, labels = stored["images"], stored["labels"]
    return Pictures(images, np.eye(len(LABELS), dtype=np.float32)[labels], tuple(LABELS[label] for label in labels))
