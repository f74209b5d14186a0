import base64
import dataclasses
import io
import json
import pickle
import re

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import LABELS, Prediction, canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, Bundle

VALUES = (0.05, 0.1, 0.0, 0.02, 0.3, 0.0, 0.5, 0.01, 0.01, 0.01)


@pytest.fixture
def prediction() -> Prediction:
    image = canonicalize(np.zeros((28, 28), np.uint8))
    return Prediction(dict(zip(LABELS, VALUES, strict=True)), 0.25, image, Bundle(DEFAULT_MODEL))


def test_label_and_confidence(prediction: Prediction) -> None:
    assert (prediction.label, prediction.confidence) == ("Shirt", 0.5)


def test_repr_is_short(prediction: Prediction) -> None:
    assert repr(prediction) == "Prediction('Shirt', confidence=0.500)"
    assert repr(dataclasses.replace(prediction, typicality=0)) == "Prediction('Shirt', confidence=0.500, uncertain)"


def test_a_notebook_shows_picture_name_and_bars(prediction: Prediction) -> None:
    shown = prediction._repr_html_()
    assert "<b>Shirt</b><" in shown
    assert "<td>Coat</td><td><meter value='0.300' style='width: 12em'></meter></td><td>30.0%</td>" in shown
    assert "Sandal" not in shown
    (encoded,) = re.findall("src='data:image/png;base64,([^']+)'", shown)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.size == (28, 28)
    assert "<b>Shirt</b> (not sure)<" in dataclasses.replace(prediction, typicality=0)._repr_html_()


def test_a_notebook_shows_names_as_they_are(prediction: Prediction) -> None:
    named = dataclasses.replace(prediction, probabilities={"<b>&'": 1.0} | dict.fromkeys("abcdefghi", 0.0))
    assert "<td>&lt;b&gt;&amp;&#x27;</td>" in named._repr_html_()


def test_top(prediction: Prediction) -> None:
    assert prediction.top(3) == [("Shirt", 0.5), ("Coat", 0.3), ("Trouser", 0.1)]
    assert [label for label, _ in prediction.top(10)][-2:] == ["Pullover", "Sandal"]


@pytest.mark.parametrize("k", [0, -1, 11])
def test_top_of_too_few_or_too_many(prediction: Prediction, k: int) -> None:
    with pytest.raises(ValueError, match=rf"top takes k from 1 to 10, received {k}\."):
        prediction.top(k)


def test_uncertain_compares_typicality_with_the_manifest(prediction: Prediction) -> None:
    threshold = prediction.bundle.manifest.uncertain_below
    assert threshold == 0.05
    assert not dataclasses.replace(prediction, typicality=threshold).uncertain
    assert dataclasses.replace(prediction, typicality=threshold - 1e-9).uncertain


def test_frozen(prediction: Prediction) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.probabilities = {}  # type: ignore[misc]


def test_as_json_and_as_pickle(prediction: Prediction) -> None:
    content = json.loads(json.dumps(prediction.to_dict()))
    assert content["probabilities"] == prediction.probabilities
    assert (content["typicality"], content["uncertain"]) == (0.25, False)
    copy = pickle.loads(pickle.dumps(prediction))
    assert copy.to_dict() == prediction.to_dict()
    np.testing.assert_array_equal(copy.image.pixels, prediction.image.pixels)
