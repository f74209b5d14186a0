import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.ndimage import zoom

from fashion_classifier import (
    LABELS,
    ExplanationError,
    FashionClassifier,
    ModelIntegrityError,
    Prediction,
    canonicalize,
    explain,
)
from fashion_classifier.bundle import DEFAULT_MODEL, FORMAT, KERAS_MODEL, MANIFEST, Bundle, Manifest, sha256
from fashion_classifier.preprocessing import PREPROCESSING_VERSION

METHODS = ("gradcam", "gradcam++", "scorecam")


@pytest.fixture
def linear_prediction(tmp_path: Path) -> Callable[..., Prediction]:
    """A network whose Grad-CAM can be written down: one 1x1 convolution to two maps, their averages, a dense layer."""

    def make(image: np.ndarray, weights: np.ndarray) -> Prediction:
        inputs = keras.Input((28, 28, 1))
        x = keras.layers.Conv2D(2, 1, use_bias=False, name="features")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        network = keras.Model(inputs, keras.layers.Dense(len(LABELS), use_bias=False)(x))
        network.set_weights([np.array([1.0, -1.0], np.float32).reshape(1, 1, 1, 2), weights])
        network.save(tmp_path / KERAS_MODEL)
        files = {KERAS_MODEL: sha256(tmp_path / KERAS_MODEL)}
        manifest = Manifest(FORMAT, "0", "custom", LABELS, PREPROCESSING_VERSION, 1.0, False, 0.5, "features", {}, {}, files)
        (tmp_path / MANIFEST).write_text(manifest.to_json())
        return Prediction(dict.fromkeys(LABELS, 0.1), canonicalize(image), Bundle(tmp_path))

    return make


def half_bright() -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[5:10, 5:12] = 255
    image[15:20, 5:12] = 51
    return image


def test_gradcam_by_hand(linear_prediction: Callable[..., Prediction]) -> None:
    # maps x and -x, d logit_k / d map_c = w[c, k] / 784: Grad-CAM is ReLU((w[0, k] - w[1, k]) x), scaled to maximum 1
    weights = np.zeros((2, 10), np.float32)
    weights[:, 4] = 3, 1
    heatmap = explain(linear_prediction(half_bright(), weights), target="Coat").heatmap
    assert heatmap.dtype == np.float32
    assert heatmap.shape == (28, 28)
    np.testing.assert_allclose(heatmap, half_bright() / 255, atol=1e-5)


def test_an_empty_map_is_said(linear_prediction: Callable[..., Prediction]) -> None:
    weights = np.zeros((2, 10), np.float32)
    weights[:, 4] = 1, 3  # everything in the picture speaks against Coat
    explanation = explain(linear_prediction(half_bright(), weights), target="Coat")
    assert explanation.empty
    assert not explanation.heatmap.any()
    np.testing.assert_array_equal(np.asarray(explanation.overlay())[:, :, 0], half_bright())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_the_embedded_network(method: str, example_labels: dict[Path, str]) -> None:
    classifier = FashionClassifier.from_pretrained()
    for path in example_labels:
        explanation = explain(classifier.predict(path), method=method)  # type: ignore[arg-type]
        assert explanation.heatmap.shape == (28, 28)
        assert np.isfinite(explanation.heatmap).all()
        assert explanation.heatmap.min() >= 0
        assert explanation.empty or explanation.heatmap.max() == 1
        height, width = explanation.prediction.image.photo.shape[:2]
        assert explanation.overlay().size == (width, height)


def test_gradcam_against_tensorflow(example_labels: dict[Path, str]) -> None:
    """The formula of the paper, written out with a gradient tape."""
    import tensorflow as tf

    prediction = FashionClassifier.from_pretrained().predict("examples/coat.jpg")
    network = keras.models.load_model(DEFAULT_MODEL / KERAS_MODEL, compile=False)
    layer = network.get_layer(prediction.bundle.manifest.explanation_layer)
    both = keras.Model(network.inputs, [layer.output, network.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits = both([prediction.image.pixels.reshape(1, 28, 28, 1).astype(np.float32) / 255], training=False)
        score = logits[:, LABELS.index("Coat")]
    weights = tape.gradient(score, maps).numpy().mean(axis=(1, 2), keepdims=True)
    coarse = np.maximum((weights * maps.numpy()).sum(axis=-1), 0)[0]
    expected = np.clip(zoom(coarse, 28 / coarse.shape[0], order=1), 0, None)
    np.testing.assert_allclose(explain(prediction).heatmap, expected / expected.max(), atol=1e-4)


def test_another_target_gives_another_map() -> None:
    prediction = FashionClassifier.from_pretrained().predict("examples/coat.jpg")
    assert explain(prediction).target == "Coat"
    assert np.abs(explain(prediction).heatmap - explain(prediction, target="Dress").heatmap).max() > 0.1


def test_overlay_strength() -> None:
    explanation = explain(FashionClassifier.from_pretrained().predict("examples/coat.jpg"))
    np.testing.assert_array_equal(np.asarray(explanation.overlay(0)), explanation.prediction.image.photo)
    with pytest.raises(ValueError, match=r"strength must be from 0 to 1, received 2\."):
        explanation.overlay(2)


def test_wrong_method_and_target() -> None:
    prediction = FashionClassifier.from_pretrained().predict("examples/coat.jpg")
    with pytest.raises(ExplanationError, match=r"Unknown method 'lime'; allowed are gradcam, gradcam\+\+, scorecam\."):
        explain(prediction, method="lime")  # type: ignore[arg-type]
    with pytest.raises(ExplanationError, match=r"Unknown target 'Hat'; allowed are T-shirt/top, Trouser"):
        explain(prediction, target="Hat")


def test_a_network_without_convolutions(tmp_path: Path) -> None:
    prediction = FashionClassifier.from_pretrained().predict("examples/coat.jpg")
    manifest = replace(prediction.bundle.manifest, explanation_layer=None)
    (tmp_path / MANIFEST).write_text(manifest.to_json())
    with pytest.raises(ExplanationError, match="has no convolutional layer, and class activation maps need one"):
        explain(replace(prediction, bundle=Bundle(tmp_path)))


def test_a_changed_network_is_not_loaded(tmp_path: Path) -> None:
    folder = shutil.copytree(DEFAULT_MODEL, tmp_path / "bundle")
    (folder / KERAS_MODEL).write_bytes(b"something else")
    prediction = FashionClassifier.from_pretrained(folder).predict("examples/coat.jpg")
    with pytest.raises(ModelIntegrityError, match=r"model\.keras has the checksum"):
        explain(prediction)


def test_another_backend_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = shutil.copytree(DEFAULT_MODEL, tmp_path / "bundle")
    prediction = FashionClassifier.from_pretrained(folder).predict("examples/coat.jpg")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExplanationError, match="need Keras on TensorFlow, it runs on jax: set KERAS_BACKEND=tensorflow"):
        explain(prediction)


def test_a_network_that_was_changed_after_its_first_use_is_not_used_again(tmp_path: Path) -> None:
    folder = shutil.copytree(DEFAULT_MODEL, tmp_path / "bundle")
    prediction = FashionClassifier.from_pretrained(folder).predict("examples/coat.jpg")
    assert not explain(prediction).empty
    (folder / KERAS_MODEL).write_bytes(b"something else")
    with pytest.raises(ModelIntegrityError, match=r"model\.keras has the checksum"):
        explain(prediction)


def test_what_is_no_prediction() -> None:
    with pytest.raises(ExplanationError, match=r"explain takes a Prediction, as predict gives it for one picture, not str\."):
        explain("examples/coat.jpg")  # type: ignore[arg-type]
