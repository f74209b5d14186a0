from pathlib import Path

import keras
import numpy as np
from keras import layers

from fashion_classifier.network import Network
from train.networks.evidence import add_evidence
from train.networks.serving import export_float16, export_int8


def test_half_precision_takes_half_the_bytes_and_gives_nearly_the_same(tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256, activation="relu"), keras.layers.Dense(64)])
    export_float16(network, tmp_path / "half.tflite")
    size = (tmp_path / "half.tflite").stat().st_size
    assert 2 * network.count_params() < size < 2.5 * network.count_params()
    inputs = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    outputs = Network(tmp_path / "half.tflite", inputs=(1, 64), outputs=(1, 64)).run(inputs)
    np.testing.assert_allclose(outputs, network.predict(inputs, verbose=0), atol=0.01)


def test_eight_bits_take_a_quarter_of_the_bytes_and_end_in_single_precision(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = layers.ReLU(6)(layers.Conv2D(64, 3, strides=2)(inputs))
    x = layers.ReLU(6)(layers.Conv2D(256, 3)(x))
    network = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    pictures = np.random.default_rng(0).uniform(-1, 1, (40, 16, 16, 3)).astype(np.float32)
    path = tmp_path / "network.tflite"
    export_int8(network, path, pictures[:20])
    assert network.count_params() < path.stat().st_size < 1.5 * network.count_params()
    assert add_evidence(path)
    served = Network(path, inputs=(1, 16, 16, 3), outputs=(1, 10))
    logits, expected = served.run(pictures[20:]), network.predict(pictures[20:], verbose=0)
    assert 0 < np.abs(logits - expected).max() < 0.05 * expected.std(axis=0).max() + 0.02
    # logits are the mean of what the dense layer says of each cell in float32: in eight bits they would be rounded
    biases = network.layers[-1].get_weights()[1]
    np.testing.assert_allclose(served.run_further(pictures[20:]).mean(axis=(1, 2)) + biases, logits, atol=1e-5)
