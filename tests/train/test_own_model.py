"""The five commands of README, from nothing to an own model in the page and on the Hub."""

import json
import os
import re
import shlex
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from gradio_client import Client, handle_file

from fashion_classifier import FashionClassifier
from fashion_classifier.bundle import MANIFEST
from tests.loopback_hub import WRITE_TOKEN, LoopbackHub
from train.pictures.fashion_mnist import ENVIRONMENT_VARIABLE, VALIDATION_IMAGES, Pictures, load_fashion_mnist

ROOT = Path(__file__).parent.parent.parent
IMAGES = 2_000  # to train on, and as many to be tested on
REPO = "zalando/mine"
BAG = ROOT / "examples" / "fashion-mnist-bag.png"


@pytest.fixture
def data(tmp_path: Path, thumbnails: Pictures) -> Path:
    """Four IDX files: of Fashion-MNIST itself where FASHION_MNIST_DIR says where it is, else of 200 images again and again."""
    folder = tmp_path / "data"
    folder.mkdir()
    training = test = thumbnails
    if os.environ.get(ENVIRONMENT_VARIABLE):
        whole = load_fashion_mnist()
        training, test = Pictures.joined([whole.training, whole.validation]), whole.test
    for name, pictures, n in (("train", training, IMAGES + VALIDATION_IMAGES), ("t10k", test, IMAGES)):
        chosen = pictures.take(np.arange(n) % len(pictures))
        write_idx(folder / f"{name}-images-idx3-ubyte", chosen.images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", chosen.targets.argmax(axis=1).astype(np.uint8))
    return folder


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def environment(tmp_path: Path, loopback: LoopbackHub) -> dict[str, str]:
    """What the commands find: no Fashion-MNIST but what they are given, an empty cache, and the Hub of this test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASHION_", "PYTEST"))}
    own = {"XDG_CACHE_HOME": f"{tmp_path / 'cache'}", "HF_HOME": f"{tmp_path / 'hf'}", "HF_TOKEN": WRITE_TOKEN}
    return kept | own | {"PYTHONPATH": f"{ROOT}", "FASHION_CLASSIFIER_JOURNAL": f"{tmp_path / 'journal'}"}


def run(command: str, environment: dict[str, str]) -> tuple[str, list[str]]:
    """A command as a person types it; all that it prints, and the commands that it names as the next ones."""
    words = shlex.split(command)
    assert words[0] == "python"
    both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, env=environment, check=False, **both)
    assert done.returncode == 0, done.stdout
    following = [line for line in done.stdout.splitlines() if line.startswith(("python -m ", "FASHION_CLASSIFIER_MODEL="))]
    return done.stdout, following


@pytest.mark.slow
def test_an_own_model_in_five_commands(data: Path, environment: dict[str, str], loopback: LoopbackHub, tmp_path: Path) -> None:
    mine = tmp_path / "runs" / "mine"
    told, (exporting,) = run(f"python -m train.thumbnails cnn --run {mine} --epochs 3 --data {data}", environment)
    assert told.startswith("Epoch 1/3\n")  # and nothing of TensorFlow's
    told, (comparing,) = run(exporting, environment)
    assert len(told.splitlines()) == 4
    told, (serving, publishing) = run(comparing, environment)
    assert "cnn on the 2,000 test images" in told
    assert (mine / "report" / "comparison.md").read_text() in told

    bundle = FashionClassifier.from_pretrained(mine / "bundle")
    expected = bundle.predict(BAG)
    variable, _, command = serving.partition(" ")
    assert command == "python app.py"
    answer = ask_page(environment | dict([variable.split("=", 1)]), tmp_path)
    assert (answer["model_version"], answer["fallback"], answer["label"]) == ("0.1.0", None, expected.label)
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)

    run(publishing.replace("owner/name", REPO), environment)
    (kept,) = (tmp_path / "cache" / "fashion-classifier" / "measurements").iterdir()
    loaded = FashionClassifier.from_pretrained(REPO, revision="v0.1.0")
    assert loaded.bundle.commit == loopback.repositories[REPO].tags["v0.1.0"]
    assert loaded.predict(BAG).probabilities == expected.probabilities
    measured = json.loads(kept.read_text())
    assert measured["evaluation"]["n"] == IMAGES
    manifest = json.loads((mine / "bundle" / MANIFEST).read_text())
    assert measured["evaluation"]["accuracy"] == manifest["metrics"]["fashion-mnist test"]["accuracy"]
    check_figures(loopback.repositories[REPO].head.files["README.md"].decode(), [measured, manifest])


def ask_page(environment: dict[str, str], downloads: Path) -> dict[str, Any]:
    """What a page of its own process answers to the picture of a bag."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment |= {"GRADIO_SERVER_PORT": f"{port}", "GRADIO_SERVER_NAME": "127.0.0.1"}
    with subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment) as process:
        try:
            while True:
                assert process.poll() is None, "the page ended"
                try:
                    httpx.get(f"http://127.0.0.1:{port}/config", timeout=60).raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(1)
            client = Client(f"http://127.0.0.1:{port}", verbose=False, download_files=str(downloads))
            answer: dict[str, Any] = client.predict(handle_file(BAG), api_name="/predict")
            return answer
        finally:
            process.terminate()


def check_figures(card: str, reports: list[Any]) -> None:
    """Every number in what a model card says of a model's worth is one of its reports."""
    known = {"95", "15", "28", "10"}  # the intervals, the bins, the side of an image in "28x28", the ten names
    for number in (number for report in reports for number in numbers(report)):
        known |= {f"{number}", f"{number:,}"}
        known |= {f"{share * 100:.{digits}f}" for share in (number, 1 - number) for digits in (1, 2)}
        known |= {f"{number:.{digits}f}" for digits in (2, 3, 4)}
    for section in ("How right it is, and where it is not", "Limits", "Measured on Fashion-MNIST's test images"):
        (text,) = re.findall(rf"^## {section}$(.*?)^## ", card, re.MULTILINE | re.DOTALL)
        found = re.findall(r"\d[\d,]*(?:\.\d+)?", text.replace("F1", ""))
        assert [number for number in found if number.rstrip(",") not in known] == [], section
        assert found, section


def numbers(content: Any) -> Iterator[float]:
    """All numbers in what was JSON."""
    if isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from numbers(part)
    elif type(content) in (int, float):
        yield content


def test_a_figure_that_no_report_has_is_found() -> None:
    card = "## {}\n\n12.3 % of 40\n\n## {}\n\n40\n\n## {}\n\n0.1234\n\n## Training\n".format(
        "How right it is, and where it is not", "Limits", "Measured on Fashion-MNIST's test images"
    )
    check_figures(card, [{"share": 0.1234, "n": [40]}])
    with pytest.raises(AssertionError, match="How right it is"):
        check_figures(card, [{"share": 0.1254, "n": [40]}])
