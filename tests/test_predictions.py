import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import LABELS, Prediction, canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST, Bundle

VALUES = (0.05, 0.1, 0.0, 0.02, 0.3, 0.0, 0.5, 0.01, 0.01, 0.01)


@pytest.fixture
def prediction() -> Prediction:
    image = canonicalize(np.zeros((28, 28), np.uint8))
    return Prediction(dict(zip(LABELS, VALUES, strict=True)), image, Bundle(DEFAULT_MODEL))


def test_label_and_confidence(prediction: Prediction) -> None:
    assert (prediction.label, prediction.confidence) == ("Shirt", 0.5)


def test_top(prediction: Prediction) -> None:
    assert prediction.top(3) == [("Shirt", 0.5), ("Coat", 0.3), ("Trouser", 0.1)]
    assert [label for label, _ in prediction.top(10)][-2:] == ["Pullover", "Sandal"]


@pytest.mark.parametrize("k", [0, -1, 11])
def test_top_of_too_few_or_too_many(prediction: Prediction, k: int) -> None:
    with pytest.raises(ValueError, match=rf"top takes k from 1 to 10, received {k}\."):
        prediction.top(k)


def test_uncertain_compares_with_the_manifest(prediction: Prediction) -> None:
    threshold = prediction.bundle.manifest.uncertain_below
    assert 0.1 < threshold < 1
    sure = dataclasses.replace(prediction, probabilities=prediction.probabilities | {"Shirt": threshold})
    unsure = dataclasses.replace(prediction, probabilities=prediction.probabilities | {"Shirt": threshold - 1e-9, "Coat": 0.0})
    assert not sure.uncertain
    assert unsure.uncertain


def test_a_photo_has_a_threshold_of_its_own(prediction: Prediction, tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    manifest = prediction.bundle.manifest
    assert manifest.photo is not None
    images = [prediction.image, canonicalize(photo, segment=lambda photo: np.ones((40, 40), np.bool_))]
    assert [image.is_photo for image in images] == [False, True]
    for thumbnails, photos, uncertain in ((0.6, 0.4, [True, False]), (0.4, 0.6, [False, True]), (0.6, None, [True, True])):
        network = None if photos is None else dataclasses.replace(manifest.photo, uncertain_below=photos)
        (tmp_path / MANIFEST).write_text(dataclasses.replace(manifest, uncertain_below=thumbnails, photo=network).to_json())
        answers = [dataclasses.replace(prediction, image=image, bundle=Bundle(tmp_path)) for image in images]
        assert [answer.confidence for answer in answers] == [0.5, 0.5]
        assert [answer.uncertain for answer in answers] == uncertain


def test_frozen(prediction: Prediction) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.probabilities = {}  # type: ignore[misc]


def test_as_json_and_as_pickle(prediction: Prediction) -> None:
    assert json.loads(json.dumps(prediction.to_dict()))["probabilities"] == prediction.probabilities
    copy = pickle.loads(pickle.dumps(prediction))
    assert copy.to_dict() == prediction.to_dict()
    np.testing.assert_array_equal(copy.image.pixels, prediction.image.pixels)
