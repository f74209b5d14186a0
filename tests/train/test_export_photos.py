"""Networks for photos in a bundle, from photos to the answers of the bundle."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from fashion_classifier import Bundle, FashionClassifier, explain
from fashion_classifier.bundle import (
    DEFAULT_MODEL,
    FADED_KERAS_MODEL,
    FADED_SERVING_MODEL,
    PHOTO_KERAS_MODEL,
    PHOTO_SERVING_MODEL,
)
from tests.drawn_garments import photo, shirt
from train import export_photos
from train.export import export
from train.export_photos import add_photo_networks, in_half_precision
from train.networks.efficientnet import FEATURES
from train.networks.runs import WEIGHTS, open_run
from train.photos import network
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.phone import PHOTO_LABELS
from train.thumbnails import RECIPES, fit

CONFIG = {"recipe": {"epochs": 16}, "data": {"phone photos": 3}, "command": "python -m train.photos --run RUN"}
COLOURS = [(180, 30, 40), (30, 40, 90), (235, 230, 225), (40, 40, 40), (60, 120, 60), (200, 180, 60)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a validation sender six shirts, one of them called shoes, a hat, and a shop's gray picture on white."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    rows = [(f"{i}", "95", "Shoes" if i == 5 else "Shirt") for i in range(6)]
    rows += [("hat", "95", "Hat"), ("shop", "95", "Shirt"), ("training", "181", "Shirt")]
    (folder / "photos.csv").write_text("image,sender_id,label,kids\n" + "".join(f"{i},{s},{lab},False\n" for i, s, lab in rows))
    for i, (name, *_) in enumerate(rows):
        picture = photo(shirt(120, 160), COLOURS[i % 6], (150, 140, 120))
        if name == "shop":
            picture = np.where(shirt(120, 160)[..., np.newaxis], 90, 255).repeat(3, 2).astype(np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{name}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def data(thumbnails: Pictures) -> FashionMNIST:
    order = np.random.default_rng(0).permutation(200)
    return FashionMNIST(thumbnails.take(order), thumbnails.take(order[:100]), thumbnails.take(order[100:]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Finished runs of `train.photos` for either look, as far as an export can tell."""
    folders = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("faded")
    for folder, look in zip(folders, ("plain", "faded"), strict=True):
        open_run(folder, CONFIG | {"recipe": {"epochs": 16, "look": look}})
        keras.utils.set_random_seed(0)
        network(look).save_weights(folder / WEIGHTS)
    return folders


@pytest.fixture(scope="module")
def thumbnail_run(data: FashionMNIST, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("run")
    fit(replace(RECIPES["ann"], epochs=5, batch_size=20), data, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.export.DISAGREEMENT", 0.05)  # of a hundred test images one may be named differently
        yield folder


@pytest.fixture(scope="module")
def bundle(
    data: FashionMNIST, runs: tuple[Path, Path], thumbnail_run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    out = tmp_path_factory.mktemp("out") / "bundle"
    return export(thumbnail_run, out, version="0.2.0", data=data, photo_run=runs[0], faded_run=runs[1], photos=photos)


@pytest.fixture(scope="module")
def alone(data: FashionMNIST, thumbnail_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same bundle without networks for photos."""
    return export(thumbnail_run, tmp_path_factory.mktemp("alone") / "bundle", version="0.2.0", data=data)


def test_what_the_manifest_says(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.version, manifest.architecture) == ("0.2.0", "ann")
    assert set(bundle.networks) <= manifest.files.keys()
    assert manifest.photo is not None
    assert manifest.photo.architectures == ("efficientnet-lite0", "efficientnet-lite1")
    assert manifest.photo.explanation_layer == FEATURES
    assert len(manifest.photo.energies) == 201
    assert [training["recipe"]["look"] for training in manifest.photo.training] == ["plain", "faded"]
    assert all(training["data"] == CONFIG["data"] for training in manifest.photo.training)
    assert manifest.metrics["photos"]["parameters"] == 3_425_834 + 4_202_154
    for name in (PHOTO_KERAS_MODEL, PHOTO_SERVING_MODEL):
        assert 1.8 < bundle.file(name).stat().st_size / 3_425_834 < 2.4  # bytes to a weight
    for name in (FADED_KERAS_MODEL, FADED_SERVING_MODEL):
        assert 1.8 < bundle.file(name).stat().st_size / 4_202_154 < 2.4


def test_what_was_measured_is_what_the_bundle_answers(bundle: Bundle, photos: Path) -> None:
    measured, manifest = bundle.manifest.metrics["photos"], bundle.manifest
    assert manifest.photo is not None
    assert measured["validation photos"] == 6  # neither the hat nor what needed no segmentation
    assert measured["largest difference of a probability"] < 0.05
    classifier = FashionClassifier(bundle)
    accepted = [PHOTO_LABELS["Shoes" if i == 5 else "Shirt"] for i in range(6)]
    predictions = classifier.predict([photos / "images" / f"{i}.jpg" for i in range(6)])
    right = [prediction.label in labels for prediction, labels in zip(predictions, accepted, strict=True)]
    assert measured["validation accuracy"] == pytest.approx(np.mean(right))
    # these are the pictures whose energies the manifest has: the least typical one is at 0, the most typical one at 1
    assert sorted(prediction.typicality for prediction in predictions) == pytest.approx(np.linspace(0, 1, 6), abs=0.02)


def test_thumbnails_are_answered_as_without_it(bundle: Bundle, alone: Bundle, data: FashionMNIST, photos: Path) -> None:
    assert alone.manifest.photo is None
    assert "photos" not in alone.manifest.metrics
    assert not {PHOTO_KERAS_MODEL, PHOTO_SERVING_MODEL, FADED_KERAS_MODEL, FADED_SERVING_MODEL} & alone.manifest.files.keys()
    one, other = FashionClassifier(bundle), FashionClassifier(alone)
    for image in data.test.images[:5]:
        assert one.predict(image).probabilities == pytest.approx(other.predict(image).probabilities, abs=1e-6)
    picture = photos / "images" / "0.jpg"
    assert one.predict(picture).probabilities != pytest.approx(other.predict(picture).probabilities, abs=1e-3)


@pytest.mark.parametrize(("index", "look", "name"), [(0, "plain", PHOTO_KERAS_MODEL), (1, "faded", FADED_KERAS_MODEL)])
def test_the_keras_form_is_the_served_network(
    bundle: Bundle, runs: tuple[Path, Path], index: int, look: str, name: str
) -> None:
    stored = keras.models.load_model(bundle.file(name), compile=False)
    trained = network(look)
    trained.load_weights(runs[index] / WEIGHTS)
    assert {weights.dtype for weights in stored.get_weights()} == {np.dtype(np.float16)}
    for half, single in zip(stored.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(half, single.astype(np.float16))


def test_half_precision_keeps_the_layers_and_the_answers() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, name="maps")(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(10, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))
    before = [weights.copy() for weights in model.get_weights()]
    half = in_half_precision(model)
    assert [layer.name for layer in half.layers[1:]] == [layer.name for layer in model.layers[1:]]
    assert half.get_layer("maps").compute_dtype == "float16"
    picture = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(half.predict(picture, verbose=0), model.predict(picture, verbose=0), atol=0.02)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_photos_are_explained(bundle: Bundle, photos: Path) -> None:
    """Though the network for thumbnails here, a dense one, has no maps."""
    explanation = explain(FashionClassifier(bundle).predict(photos / "images" / "0.jpg"), target="Shirt")
    assert explanation.on_photo.shape == (160, 120)
    assert np.isfinite(explanation.on_photo).all()


def test_networks_for_photos_need_photos_and_each_other(
    data: FashionMNIST, runs: tuple[Path, Path], thumbnail_run: Path, photos: Path, tmp_path: Path
) -> None:
    plain, faded = runs
    with pytest.raises(ValueError, match=r"^Networks for photos are calibrated on phone photos: give their folder\.$"):
        export(thumbnail_run, tmp_path / "bundle", version="0", data=data, photo_run=plain, faded_run=faded)
    for one, other in ((plain, None), (None, faded)):
        with pytest.raises(ValueError, match=r"^A bundle has two networks for photos: give --photo-run and --faded-run, or"):
            export(thumbnail_run, tmp_path / "bundle", version="0", data=data, photo_run=one, faded_run=other, photos=photos)
    assert not (tmp_path / "bundle").exists()


def test_runs_in_each_others_place_are_refused(alone: Bundle, runs: tuple[Path, Path], photos: Path) -> None:
    plain, faded = runs
    with pytest.raises(ValueError, match=r"holds a run for the faded look, needed is one for the plain look\.$"):
        add_photo_networks(alone, faded, plain, photos)


def test_a_folder_without_validation_photos_is_refused(
    alone: Bundle, runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos.csv").write_text("image,sender_id,label,kids\na,181,Shirt,False\n")
    monkeypatch.setattr(export_photos, "export_float16", lambda model, path: None)
    with pytest.raises(ValueError, match=r"holds no photo of one of the ten in the validation split to calibrate on\.$"):
        add_photo_networks(Bundle(shutil.copytree(alone.path, tmp_path / "bundle")), *runs, tmp_path)


def test_forms_that_do_not_agree_are_refused(
    alone: Bundle, runs: tuple[Path, Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DEFAULT_MODEL / PHOTO_SERVING_MODEL
    monkeypatch.setattr(export_photos, "export_float16", lambda model, path: shutil.copy(other, path))
    with pytest.raises(ValueError, match=r"^The Keras and the LiteRT network in photo\.tflite differ by 0\.\d+ in a prob"):
        add_photo_networks(Bundle(shutil.copytree(alone.path, tmp_path / "bundle")), *runs, photos)
