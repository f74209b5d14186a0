"""LiteRT against NumPy: four-to-three.tflite is one dense layer without bias, 4 numbers in, 3 out."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier import InvalidBundleError
from fashion_classifier.network import Network

FOUR_TO_THREE = Path(__file__).parent / "fixtures" / "four-to-three.tflite"
WEIGHTS = [
    [-0.50457907, 0.20476913, 0.52549744, -0.8282644],
    [0.4744687, 0.57486415, -0.90175915, -0.48761776],
    [0.05878311, 0.8715737, 0.28848004, 0.4888512],
]


@pytest.fixture
def network() -> Network:
    return Network(FOUR_TO_THREE, inputs=(1, 4), outputs=(1, 3))


def rows(n: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)


def test_batches_of_any_size_one_after_the_other(network: Network) -> None:
    for n in (1, 5, 2, 1, 64):
        outputs = network.run(rows(n))
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, rows(n) @ np.transpose(WEIGHTS), atol=1e-6)


def test_an_answer_stays_when_the_next_one_is_given(network: Network) -> None:
    first = network.run(rows(3))
    before = first.copy()
    network.run(-rows(3))
    np.testing.assert_array_equal(first, before)


def test_many_threads_get_the_answers_that_one_gets(network: Network) -> None:
    batches = [rows(1 + i % 7) for i in range(200)]
    alone = [network.run(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(network.run, batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("inputs", "outputs"), [((1, 28, 28, 1), (1, 3)), ((1, 4), (1, 10)), ((4,), (3,))])
def test_a_network_of_other_shapes_is_refused(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    problem = f"four-to-three.tflite has the shapes [(1, 4), (1, 3)], needed are [{inputs}, {outputs}]."
    with pytest.raises(InvalidBundleError, match=re.escape(problem)) as caught:
        Network(FOUR_TO_THREE, inputs=inputs, outputs=outputs)
    assert caught.value.path == FOUR_TO_THREE.parent


@pytest.mark.parametrize("content", [b"", b"no network at all", FOUR_TO_THREE.read_bytes()[:500]])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "torn.tflite").write_bytes(content)
    with pytest.raises(InvalidBundleError, match=r"not a usable model bundle: torn\.tflite is no network for LiteRT: "):
        Network(tmp_path / "torn.tflite", inputs=(1, 4), outputs=(1, 3))


def test_the_answer_is_known_by_its_shape_among_other_outputs(tiny_bundles: dict[str, Path]) -> None:
    path = tiny_bundles["one look"] / "photo.tflite"  # its second output is the evidence
    inputs = np.random.default_rng(0).uniform(-1, 1, (3, 192, 192, 4)).astype(np.float32)
    network = Network(path, inputs=(1, 192, 192, 4), outputs=(1, 10))
    logits, evidence = network.run(inputs), network.run_further(inputs)
    assert network.further == [(1, 4, 4, 10)]
    assert (logits.shape, evidence.shape) == ((3, 10), (3, 4, 4, 10))
    np.testing.assert_array_equal(evidence, Network(path, inputs=(1, 192, 192, 4), outputs=(1, 4, 4, 10)).run(inputs))
    stored = keras.models.load_model(path.with_suffix(".keras"), compile=False)
    np.testing.assert_allclose(logits, stored.predict(inputs, verbose=0), rtol=1e-4, atol=1e-3)


def test_what_was_read_of_a_file_is_loaded_and_not_the_file(tmp_path: Path) -> None:
    network = Network(tmp_path / "gone.tflite", FOUR_TO_THREE.read_bytes(), inputs=(1, 4), outputs=(1, 3))
    np.testing.assert_allclose(network.run(rows(2)), rows(2) @ np.transpose(WEIGHTS), atol=1e-6)


def test_a_network_of_other_numbers_is_refused(tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Rescaling(1.0)])
    network.export(tmp_path / "whole.tflite", format="litert", verbose=False)
    with pytest.raises(InvalidBundleError, match=r"whole\.tflite takes int32 and gives float32, needed is float32\.$"):
        Network(tmp_path / "whole.tflite", inputs=(1, 4), outputs=(1, 4))
