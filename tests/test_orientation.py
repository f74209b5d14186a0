"""Turned thumbnails of Fashion-MNIST's test set, and a network by hand whose answer is what it is shown."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier import Bundle, CanonicalImage, FashionClassifier, canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, ORIENTATION_MODEL
from fashion_classifier.orientation import Orientation
from tests.tiny_bundles import changed, put
from train.pictures.fashion_mnist import Pictures

UInt8Array = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def brightest_quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that takes the top for where it is brightest: 20 times the mean of the top, left, bottom and right row."""
    inputs = keras.Input((28, 28, 1))
    network = keras.Model(inputs, keras.layers.Dense(4, use_bias=False)(keras.layers.Flatten()(inputs)))
    top = np.zeros((28, 28), np.float32)
    top[0] = 20 / 28
    network.set_weights([np.stack([np.rot90(top, turns).ravel() for turns in range(4)], axis=1)])
    path = tmp_path_factory.mktemp("orientation") / ORIENTATION_MODEL
    network.export(path, format="litert", verbose=False)
    return path


def bright_row(turns: int, level: int = 255) -> CanonicalImage:
    """A canonical picture that is gray but for its top row, which is turned."""
    pixels = np.full((28, 28), 1, np.uint8)
    pixels[0] = level
    pixels[14, :20] = 90
    return canonicalize(np.rot90(pixels, turns).copy())


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_thumbnail_is_turned_back(brightest_quarter: Path, turns: int) -> None:
    image = bright_row(turns)
    upright = Orientation(brightest_quarter).upright(image)
    np.testing.assert_array_equal(upright.pixels, bright_row(0).pixels)
    assert upright.geometry.quarter_turns == 4 - turns
    np.testing.assert_array_equal(upright.photo, image.photo)
    assert Orientation(brightest_quarter).upright(upright) is upright


def test_what_is_upright_or_may_be_stays(brightest_quarter: Path) -> None:
    orientation = Orientation(brightest_quarter)
    for image in (bright_row(0), bright_row(2, level=30)):  # exp(20 x 29 / 255) against four: 0.75 sure
        assert orientation.upright(image) is image


def test_a_map_over_a_turned_thumbnail_lands_on_the_picture_as_it_came(brightest_quarter: Path) -> None:
    image = bright_row(1)
    upright = Orientation(brightest_quarter).upright(image)
    drawn = upright.geometry.project(upright.pixels.astype(np.float32))
    np.testing.assert_array_equal(drawn, image.pixels)
    np.testing.assert_array_equal(upright.geometry.pick(drawn), upright.pixels)


def test_a_bundle_without_the_network_takes_thumbnails_as_they_come(
    tiny_bundles: dict[str, Path], brightest_quarter: Path, tmp_path: Path
) -> None:
    bundle = tiny_bundles["thumbnail"]
    assert FashionClassifier.from_pretrained(bundle).predict(bright_row(2)).image.geometry.quarter_turns == 0
    turning = changed(bundle, tmp_path / "turning")
    put(turning, ORIENTATION_MODEL, brightest_quarter.read_bytes())
    assert ORIENTATION_MODEL in Bundle(turning).networks
    turned = FashionClassifier.from_pretrained(turning).predict(bright_row(2))
    assert turned.image.geometry.quarter_turns == 2
    upright = FashionClassifier.from_pretrained(bundle).predict(bright_row(0))
    assert turned.probabilities == upright.probabilities


TURNED: dict[str, Any] = {
    "turned left": np.rot90,
    "upside down": lambda image: np.rot90(image, 2),
    "turned right": lambda image: np.rot90(image, 3),
    "transposed": np.transpose,
}


@pytest.mark.parametrize("way", TURNED)
def test_turned_thumbnails_are_named_as_upright_ones(thumbnails: Pictures, way: str) -> None:
    images = [np.ascontiguousarray(TURNED[way](image)) for image in thumbnails.images]
    predictions = FashionClassifier.from_pretrained(DEFAULT_MODEL).predict(images)
    sure = [(answer.label, name) for answer, name in zip(predictions, thumbnails.groups, strict=True) if not answer.uncertain]
    right = sum(label == name for label, name in sure)
    assert right >= 0.8 * len(images)
    assert len(sure) - right <= 0.12 * len(images)


def test_upright_thumbnails_stay_upright(thumbnails: Pictures) -> None:
    for images in (thumbnails.images, 255 - thumbnails.images):
        predictions = FashionClassifier.from_pretrained(DEFAULT_MODEL).predict(list(images))
        assert sum(answer.image.geometry.quarter_turns != 0 for answer in predictions) <= 1
