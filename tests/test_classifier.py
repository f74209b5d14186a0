import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from scipy.special import softmax

from fashion_classifier import (
    FashionClassifier,
    InvalidBundleError,
    InvalidImageError,
    InvalidReferenceError,
    canonicalize,
    predict,
)
from fashion_classifier.bundle import DEFAULT_MODEL, SERVING_MODEL
from train.data import ENVIRONMENT_VARIABLE, Pictures, load_fashion_mnist
from train.evaluate import evaluate


def test_every_example_gets_its_name(example_labels: dict[Path, str]) -> None:
    answers = dict(zip(example_labels, predict(example_labels), strict=True))
    wrong = {path.name: answers[path].label for path, label in example_labels.items() if label and answers[path].label != label}
    assert wrong == {}
    assert [path.name for path, label in example_labels.items() if not label and not answers[path].uncertain] == []


def test_thumbnails_as_pil_images(thumbnails: Pictures) -> None:
    evaluation = evaluate(FashionClassifier.from_pretrained(), thumbnails.images, thumbnails.groups)
    assert evaluation.n == 200
    assert evaluation.accuracy >= 0.9


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(ENVIRONMENT_VARIABLE), reason="set FASHION_MNIST_DIR to the folder of the four IDX files"
)
def test_the_manifest_tells_the_truth_of_the_whole_test_set() -> None:
    classifier = FashionClassifier.from_pretrained()
    test = load_fashion_mnist().test
    measured = evaluate(classifier, test.images, test.groups)
    assert measured.n == 10_000
    assert measured.accuracy >= 0.94
    assert measured.accuracy == pytest.approx(classifier.bundle.manifest.metrics["fashion-mnist test"]["accuracy"], abs=0.0005)


def test_probabilities_against_the_interpreter_and_scipy(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    manifest = classifier.bundle.manifest
    interpreter = Interpreter(str(DEFAULT_MODEL / SERVING_MODEL))
    interpreter.allocate_tensors()
    image = thumbnails.images[3]
    views = [image, np.fliplr(image)] if manifest.flip else [image]
    logits = []
    for view in views:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], view.reshape(1, 28, 28, 1).astype(np.float32) / 255)
        interpreter.invoke()
        logits.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    expected = softmax(np.array(logits, np.float64) / manifest.temperature, axis=1).mean(axis=0)
    prediction = classifier.predict(image)
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-5)
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-12)


def test_a_batch_answers_as_single_pictures_do_and_in_order(thumbnails: Pictures) -> None:
    images = list(thumbnails.images[:70])  # more than two batches, the last one partial
    batch = predict(iter(images))
    assert len(batch) == 70
    for image, prediction in zip(images, batch, strict=True):
        np.testing.assert_array_equal(prediction.image.pixels, image)
        assert prediction.probabilities == pytest.approx(predict(image).probabilities, abs=1e-5)


def test_no_pictures_no_predictions() -> None:
    assert predict([]) == []


def test_every_kind_of_picture_gives_the_same_answer(example_labels: dict[Path, str]) -> None:
    path = next(iter(example_labels))
    data = path.read_bytes()
    with path.open("rb") as file, Image.open(path) as image:
        kinds: list[Any] = [
            path,
            str(path),
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
            image,
            canonicalize(path),
        ]
        answers = [predict(kind).probabilities for kind in kinds]
    assert all(answer == answers[0] for answer in answers)


def test_many_threads_one_classifier(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    images = list(thumbnails.images[:40])
    expected = [classifier.predict(image).probabilities for image in images]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: classifier.predict(image).probabilities, images * 5))
    assert found == expected * 5


def test_a_bad_picture_in_a_list_is_located() -> None:
    with pytest.raises(InvalidImageError, match=r"^Picture 1: The data is empty \(0 bytes\)\. Accepted: a path") as caught:
        predict([np.zeros((28, 28), np.uint8), b""])
    assert caught.value.index == 1


def test_neither_a_picture_nor_pictures() -> None:
    with pytest.raises(
        InvalidImageError, match=r"Received an object of type int\. Accepted: a path.*or an iterable of these\.$"
    ):
        predict(7)  # type: ignore[call-overload]


def test_a_bundle_of_ones_own(tmp_path: Path) -> None:
    manifest = json.loads((DEFAULT_MODEL / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"version": "9.9.9", "uncertain_below": 1.1}))
    (tmp_path / SERVING_MODEL).write_bytes((DEFAULT_MODEL / SERVING_MODEL).read_bytes())
    prediction = FashionClassifier.from_pretrained(tmp_path).predict("examples/coat.jpg")
    assert prediction.model_version == "9.9.9"
    assert prediction.uncertain


def test_no_such_bundle(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidBundleError, match=r"nowhere is not a usable model bundle: cannot read manifest\.json: No such file"
    ):
        FashionClassifier.from_pretrained(tmp_path / "nowhere")


def test_a_revision_of_a_folder_makes_no_sense() -> None:
    with pytest.raises(InvalidReferenceError, match=r"names no model: it is a folder, and a folder has no revision"):
        FashionClassifier.from_pretrained(DEFAULT_MODEL, revision="v1")


@pytest.mark.parametrize("ref", [5, b"a/b", "", "a" * 300])
def test_what_names_no_model(ref: Any) -> None:
    with pytest.raises(
        InvalidReferenceError, match=r"names no model: .* Accepted: a bundle's folder, or owner/name\[@revision\]\."
    ):
        FashionClassifier.from_pretrained(ref)
