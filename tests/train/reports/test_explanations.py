import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier import Bundle, FashionClassifier, Prediction
from fashion_classifier.bundle import SEGMENTATION_MODEL
from tests.stand_ins import Finding, Naming
from tests.tiny_folders import write_folders
from train.networks.shuffling import shuffled
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.street import StreetGarment
from train.reports import explanations
from train.reports.explanations import (
    BASELINES,
    MAPS,
    Figure,
    agreement,
    evaluate_pointing,
    insertion_minus_deletion,
    main,
    maps_of,
    mean_colour,
)

PHOTO, THUMBNAIL = "examples/dress.jpg", "examples/fashion-mnist-bag.png"
Float32Array = npt.NDArray[np.float32]


def first_pixel(picture: npt.NDArray[np.uint8]) -> float:
    """Of ten pixels the first one decides."""
    return float(picture[0, 0, 0]) / 255


@pytest.mark.parametrize(
    ("heat", "expected"),
    [
        (np.arange(10, 0, -1), 0.9),  # put in first: the curves are 0, 1, 1, ... and 1, 0, 0, ..., areas .95 and .05
        (np.arange(10), -0.9),  # last
        (np.array([5, 9, 8, 7, 6, 4, 3, 2, 1, 0]), 0.1),  # fifth: 0 up to .4, 1 from .5 on, areas .55 and .45
    ],
)
def test_insertion_minus_deletion_by_hand(heat: npt.NDArray[np.integer], expected: float) -> None:
    photo, bare = np.full((1, 10, 3), 255, np.uint8), np.zeros((1, 10, 3), np.uint8)
    found = insertion_minus_deletion(first_pixel, photo, bare, heat[np.newaxis].astype(np.float32))
    assert found == pytest.approx(expected)


def test_agreement_of_ranks() -> None:
    heat = np.random.default_rng(0).random((5, 4), np.float32)
    assert agreement(heat, heat**3) == pytest.approx(1)
    assert agreement(heat, -heat) == pytest.approx(-1)
    assert agreement(heat, np.ones_like(heat)) == 0


def test_a_figure_by_hand() -> None:
    figure = Figure.of([0.0, 1.0])  # standard deviation .707, error of the mean .5
    assert (figure.n, figure.mean) == (2, 0.5)
    assert figure.interval == pytest.approx((0.5 - 0.98, 0.5 + 0.98))
    assert str(figure) == "0.500 (-0.480 to 1.480)"


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("picture", [PHOTO, THUMBNAIL])
def test_maps_that_know_no_network(picture: str, name: str) -> None:
    prediction = FashionClassifier.from_pretrained().predict(picture)
    heat = MAPS[name](prediction)
    assert heat.shape == prediction.image.photo.shape[:2]
    assert heat.dtype == np.float32
    assert np.isfinite(heat).all()
    np.testing.assert_array_equal(heat, MAPS[name](prediction))
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    if name == "centre":
        assert abs(2 * row - heat.shape[0]) <= 2
        assert abs(2 * column - heat.shape[1]) <= 2
    if name == "the garment's mask":
        assert prediction.image.mask[row, column]


def test_mean_colour() -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[:2] = 100, 200, 50
    image = Naming(Finding(lambda photo: np.ones(photo.shape[:2], np.bool_))).predict(photo).image
    np.testing.assert_array_equal(mean_colour(image), np.full((4, 4, 3), (50, 100, 25)))


def at(row: int, column: int) -> Callable[[Prediction], Float32Array]:
    def make(prediction: Prediction) -> Float32Array:
        heat = np.zeros(prediction.image.photo.shape[:2], np.float32)
        heat[row, column] = 1
        return heat

    return make


def test_the_hottest_point_lies_on_the_garment_or_not() -> None:
    photo, mask = np.full((40, 30, 3), 90, np.uint8), np.zeros((40, 30), np.bool_)
    mask[10:20, 10:20] = True
    photo[mask] = 200, 0, 0
    garment = StreetGarment("0", "coat", photo, mask, (10, 10, 10, 10), 1.0)
    figures = evaluate_pointing(Naming(), [garment, garment], {"on": at(5, 5), "beside": at(0, 0)})
    (by_map,) = figures.values()
    # the crop begins one pixel beside the garment's box
    assert {name: figure.mean for name, figure in by_map.items()} == {"on": 1, "beside": 0}


def test_shuffled_networks_keep_their_weights_and_nothing_else(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    bundle = Bundle(tiny_bundles["one look"])
    other = shuffled(bundle, tmp_path / "shuffled")
    assert other.read(SEGMENTATION_MODEL) == bundle.read(SEGMENTATION_MODEL)
    one, two = (FashionClassifier(each).predict([PHOTO, THUMBNAIL]) for each in (bundle, other))
    for before, after in zip(one, two, strict=True):
        assert before.probabilities != pytest.approx(after.probabilities, abs=1e-3)
        np.testing.assert_array_equal(before.image.mask, after.image.mask)
    assert sorted(bundle.read("photo.tflite")) == sorted(other.read("photo.tflite"))
    assert not list(other.path.glob("*.keras"))


def test_the_report(
    tiny_bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thumbnails: Pictures
) -> None:
    folders = write_folders(tmp_path / "folders")
    few = thumbnails.take(np.arange(3))
    monkeypatch.setattr(explanations, "load_fashion_mnist", lambda folder: FashionMNIST(few, few, few))
    monkeypatch.setattr(explanations, "STEPS", 3)
    monkeypatch.setattr(explanations, "SHOWN", ("dress.jpg", "fashion-mnist-bag.png"))
    assert "Grad-CAM" not in maps_of(Bundle(tiny_bundles["one look"]))  # its network for thumbnails has no evidence
    assert maps_of(FashionClassifier.from_pretrained().bundle) == MAPS
    options = ["--photos", str(folders["photos"]), "--street", str(folders["street"]), "--thumbnails", "2"]
    main([str(tiny_bundles["one look"]), *options, "--out", str(tmp_path / "report")])
    report = json.loads((tmp_path / "report" / "explanations.json").read_text())
    assert (report["version"], report["split"]) == ("1.0.0", "test")
    assert [next(iter(figures.values()))["perturbation"]["n"] for figures in report["sources"].values()] == [2, 1, 1]
    written = (tmp_path / "report" / "explanations.md").read_text()
    assert (
        "## Fashion-MNIST images (n = 2)\n\n| map | insertion - deletion, blur | insertion - deletion, mean colour |" in written
    )
    assert (tmp_path / "report" / "explanations.png").is_file()
