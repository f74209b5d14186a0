from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from fashion_classifier.network import Network
from train.networks.evidence import add_evidence
from train.networks.exporting import explanation_layer
from train.networks.serving import export_float16

INPUTS = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 2)).astype(np.float32)


def network(end: list[keras.Layer]) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(5, 2, strides=2, activation="relu", name="maps")(inputs)
    for layer in end:
        x = layer(x)
    model = keras.Model(inputs, x)
    model.set_weights([np.random.default_rng(2).normal(size=weights.shape) for weights in model.get_weights()])
    return model


def exported(model: keras.Model, path: Path) -> Path:
    model.export(path, format="litert", verbose=False)
    return path


@pytest.mark.parametrize("pool", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])
def test_evidence_is_the_dense_layer_of_the_maps(tmp_path: Path, pool: type[keras.Layer]) -> None:
    model = network([pool(), layers.Dropout(0.5), layers.Dense(10)])
    path = exported(model, tmp_path / "network.tflite")
    before = Network(path, inputs=(1, 8, 8, 2), outputs=(1, 10)).run(INPUTS)
    assert add_evidence(path)
    after = Network(path, inputs=(1, 8, 8, 2), outputs=(1, 10))
    np.testing.assert_array_equal(after.run(INPUTS), before)
    weights, biases = model.layers[-1].get_weights()
    maps = keras.Model(model.inputs, model.get_layer("maps").output).predict(INPUTS, verbose=0)
    found = after.run_further(INPUTS)
    np.testing.assert_allclose(found, maps @ weights, atol=1e-5)
    if pool is layers.GlobalAveragePooling2D:
        np.testing.assert_allclose(found.mean(axis=(1, 2)) + biases, before, atol=1e-5)
    assert explanation_layer(model) == "maps"


def test_weights_in_half_precision(tmp_path: Path) -> None:
    model = network([layers.GlobalAveragePooling2D(), layers.Dense(10)])
    export_float16(model, tmp_path / "network.tflite")
    assert add_evidence(tmp_path / "network.tflite")
    served = Network(tmp_path / "network.tflite", inputs=(1, 8, 8, 2), outputs=(1, 10))
    biases = model.layers[-1].get_weights()[1]
    np.testing.assert_allclose(served.run_further(INPUTS).mean(axis=(1, 2)) + biases, served.run(INPUTS), atol=2e-3)


@pytest.mark.parametrize(
    "end",
    [
        [layers.Flatten(), layers.Dense(10)],
        [layers.GlobalAveragePooling2D(), layers.Dense(10), layers.Softmax()],
        [layers.GlobalAveragePooling2D(), layers.Dense(7, "relu"), layers.Dense(10)],
        [layers.Reshape((80,)), layers.Dense(10)],
    ],
    ids=["flat", "softmax", "two dense layers", "reshaped"],
)
def test_a_network_of_another_end_is_left_as_it_is(tmp_path: Path, end: list[keras.Layer]) -> None:
    path = exported(network(end), tmp_path / "network.tflite")
    before = path.read_bytes()
    assert not add_evidence(path)
    assert path.read_bytes() == before
