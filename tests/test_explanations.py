from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import zoom

from fashion_classifier import (
    LABELS,
    CanonicalImage,
    ExplanationError,
    FashionClassifier,
    InvalidBundleError,
    ModelIntegrityError,
    Prediction,
    canonicalize,
    explain,
)
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST, SEGMENTATION_MODEL, Bundle, sha256
from fashion_classifier.explanations import Method
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import FORMAT, PREPROCESSING_VERSION, Expert, ExpertName, FormName, Manifest, Member
from tests.tiny_bundles import change, changed, put
from train.networks.exporting import in_half_precision
from train.photos import network as efficientnet

Float32Array = npt.NDArray[np.float32]

METHODS = ("gradcam", "gradcam++", "scorecam")
PHOTO, THUMBNAIL = "examples/coat.jpg", "examples/fashion-mnist-bag.png"


def linear_network(side: int, kernel: list[list[float]], weights: np.ndarray) -> keras.Model:
    """A network whose Grad-CAM can be written down: one 1x1 convolution to two maps, their averages, a dense layer."""
    inputs = keras.Input((side, side, len(kernel)))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="features")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, keras.layers.Dense(len(LABELS), use_bias=False)(x))
    network.set_weights([np.array(kernel, np.float32)[np.newaxis, np.newaxis], weights])
    return network


def bundle_of(folder: Path, thumbnails: keras.Model, photos: keras.Model | None = None, form: FormName = "garment") -> Bundle:
    """A bundle that explains with these networks; there are none that predict."""
    experts: dict[ExpertName, Expert] = {"thumbnail": explaining(folder, "thumbnail", thumbnails, "canonical")}
    if photos is not None:
        experts["photo"] = explaining(folder, "photo", photos, form)
    (folder / SEGMENTATION_MODEL).touch()
    files = {path.name: sha256(path) for path in folder.iterdir()}
    manifest = Manifest(FORMAT, "0", LABELS, PREPROCESSING_VERSION, 0.05, experts, {}, files)
    (folder / MANIFEST).write_text(manifest.to_json())
    return Bundle(folder)


def explaining(folder: Path, name: ExpertName, network: keras.Model, form: FormName) -> Expert:
    network.save(folder / f"{name}.keras")
    return Expert(1.0, 0.0, (0.0, 1.0), (Member(form, f"{name}.keras", f"{name}.keras", "custom", "features", maps=False),))


@pytest.fixture
def linear_prediction(tmp_path: Path) -> Callable[..., Prediction]:
    def make(image: np.ndarray, weights: np.ndarray) -> Prediction:
        bundle = bundle_of(tmp_path, linear_network(28, [[1.0, -1.0]], weights))
        return Prediction(dict.fromkeys(LABELS, 0.1), 1.0, canonicalize(image), bundle)

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


def test_a_layer_that_is_not_there(linear_prediction: Callable[..., Prediction]) -> None:
    prediction = linear_prediction(half_bright(), np.ones((2, 10), np.float32))
    change(prediction.bundle.path, experts__thumbnail__members__0__explanation_layer="none")
    with pytest.raises(InvalidBundleError, match=r"thumbnail\.keras has no layer 'none', whose maps would explain it\.$"):
        explain(replace(prediction, bundle=Bundle(prediction.bundle.path)))


def test_a_file_that_is_no_network(linear_prediction: Callable[..., Prediction]) -> None:
    prediction = linear_prediction(half_bright(), np.ones((2, 10), np.float32))
    put(prediction.bundle.path, "thumbnail.keras", b"PK of another kind")
    with pytest.raises(InvalidBundleError, match=r"thumbnail\.keras is no network that Keras reads\.$"):
        explain(replace(prediction, bundle=Bundle(prediction.bundle.path)))


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def red_and_blue() -> CanonicalImage:
    """A photo whose garment, 100 columns of red and 67 of blue, is seen pixel by pixel: 1.15 x 167 is 192."""
    photo = np.zeros((280, 320, 3), np.uint8)
    photo[:, :150], photo[:, 150:] = RED, BLUE
    mask = np.zeros((280, 320), np.bool_)
    mask[70:170, 50:217] = True
    image = canonicalize(photo, segment=lambda photo: mask)
    assert image.view_geometry.box == (37, 24, 192, 192)
    return image


def columns(weight_of_red: float, weight_of_blue: float, box: tuple[int, int, int, int]) -> Float32Array:
    """A map over the photo: one value on the red half of a box, one on the blue half, zero elsewhere."""
    left, top, width, height = box
    found = np.zeros((280, 320), np.float32)
    found[top : top + height, left:150] = weight_of_red
    found[top : top + height, 150 : left + width] = weight_of_blue
    return found


def red_against_blue(red: float, blue: float) -> keras.Model:
    """Coat is what is red, and less so what is blue: maps (r - b) / 2 and (b - r) / 2 of inputs in [-1, 1]."""
    weights = np.zeros((2, 10), np.float32)
    weights[:, 4] = red, blue
    return linear_network(192, [[0.5, -0.5], [0, 0], [-0.5, 0.5], [0, 0]], weights)


def test_gradcam_of_a_photo_by_hand(red_and_blue: CanonicalImage, tmp_path: Path) -> None:
    # the maps are 1 and -1 on red, -1 and 1 on blue; ReLU(w0 map0 + w1 map1) is 2 on red, nothing on blue
    bundle = bundle_of(tmp_path, linear_network(28, [[1.0, -1.0]], np.ones((2, 10), np.float32)), red_against_blue(3, 1))
    explanation = explain(Prediction(dict.fromkeys(LABELS, 0.1), 1.0, red_and_blue, bundle), target="Coat")
    np.testing.assert_allclose(explanation.on_photo, columns(1, 0, (37, 24, 192, 192)), atol=1e-5)
    # of the garment's 167 columns, 28 in the heatmap and 100 red: 28 x 100 / 167 = 16.8
    assert explanation.heatmap.shape == (28, 28)
    column, row, _, height = red_and_blue.geometry.placed
    expected = np.zeros((28, 28))
    expected[row : row + height, column : column + 16] = 1
    expected[row : row + height, column + 16] = 28 * 100 / 167 - 16
    np.testing.assert_allclose(explanation.heatmap, expected, atol=1e-3)


def test_gradcam_of_a_mirrored_form_by_hand(red_and_blue: CanonicalImage, tmp_path: Path) -> None:
    thumbnails = linear_network(28, [[1.0, -1.0]], np.ones((2, 10), np.float32))
    bundle = bundle_of(tmp_path, thumbnails, red_against_blue(3, 1), "garment mirrored")
    explanation = explain(Prediction(dict.fromkeys(LABELS, 0.1), 1.0, red_and_blue, bundle), target="Coat")
    np.testing.assert_allclose(explanation.on_photo, columns(1, 0, (37, 24, 192, 192)), atol=1e-5)
    assert explanation.heatmap[:, :16].max() == 1
    assert explanation.heatmap[:, 17:].max() < 1e-3


def test_weights_in_half_precision_are_computed_with_in_single(red_and_blue: CanonicalImage, tmp_path: Path) -> None:
    network = red_against_blue(3, 1)
    kernel, weights = network.get_weights()
    network.set_weights([120_000 * kernel, weights])  # maps of 120,000: half precision ends at 65,504
    half = in_half_precision(network)
    assert not np.isfinite(half.predict(FORMS["garment"].render([red_and_blue]), verbose=0)).all()
    bundle = bundle_of(tmp_path, linear_network(28, [[1.0, -1.0]], np.ones((2, 10), np.float32)), half)
    explanation = explain(Prediction(dict.fromkeys(LABELS, 0.1), 1.0, red_and_blue, bundle), target="Coat")
    np.testing.assert_allclose(explanation.on_photo, columns(1, 0, (37, 24, 192, 192)), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_the_embedded_networks(
    method: Method, example_labels: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashion_classifier.explanations.SCORED_MAPS", 16)  # a run of the network for each
    classifier = FashionClassifier.from_pretrained()
    pictures = [Path(PHOTO), Path(THUMBNAIL)]
    if method == "gradcam":
        pictures += [path for path, label in example_labels.items() if label in ("Ankle boot", "")]  # "" is not sure
    for path in pictures:
        explanation = explain(classifier.predict(path), method=method)
        photo = explanation.prediction.image.photo
        assert (explanation.on_photo.shape, explanation.heatmap.shape) == (photo.shape[:2], (28, 28))
        for found in (explanation.on_photo, explanation.heatmap):
            assert found.dtype == np.float32
            assert np.isfinite(found).all()
            assert found.min() >= 0
        assert explanation.empty or explanation.on_photo.max() == explanation.heatmap.max() == 1
        assert explanation.overlay().size == photo.shape[1::-1]


def test_scorecam_does_not_try_every_map(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    predict = keras.Model.predict

    def counted(self: keras.Model, inputs: list[np.ndarray], **options: object) -> np.ndarray:
        runs.append(len(inputs[0]))
        found: np.ndarray = predict(self, inputs, **options)
        return found

    monkeypatch.setattr(keras.Model, "predict", counted)
    monkeypatch.setattr("fashion_classifier.explanations.SCORED_MAPS", 8)
    assert not explain(FashionClassifier.from_pretrained().predict(PHOTO), method="scorecam").empty
    assert set(runs) == {8}


def test_a_photo_is_explained_beyond_the_garments_edge() -> None:
    """The view shows some of its surroundings, and a map covers the whole view, but nothing more."""
    explanation = explain(FashionClassifier.from_pretrained().predict(PHOTO))
    assert not explanation.empty
    image = explanation.prediction.image
    left, top, width, height = image.view_geometry.box
    outside = np.ones(image.photo.shape[:2], bool)
    outside[top : top + height, left : left + width] = False
    assert not explanation.on_photo[outside].any()
    left, top, width, height = image.geometry.box
    beside = np.ones(image.photo.shape[:2], bool)
    beside[top : top + height, left : left + width] = False
    assert explanation.on_photo[beside].any()


def gradcam(network: keras.Model, layer: str | None, inputs: np.ndarray, label: str) -> Float32Array:
    """The formula of the paper, written out with a gradient tape; its maximum 1."""
    import tensorflow as tf

    both = keras.Model(network.inputs, [network.get_layer(layer).output, network.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits = both([inputs[np.newaxis].astype(np.float32)], training=False)
        score = logits[:, LABELS.index(label)]
    weights = tape.gradient(score, maps).numpy().mean(axis=(1, 2), keepdims=True)
    coarse = np.maximum((weights * maps.numpy()).sum(axis=-1), 0)[0]
    fine: Float32Array = np.clip(zoom(coarse, inputs.shape[0] / coarse.shape[0], order=1), 0, None)
    scaled: Float32Array = fine / fine.max()
    return scaled


def test_gradcam_of_a_thumbnail_against_tensorflow() -> None:
    prediction = FashionClassifier.from_pretrained().predict(THUMBNAIL)
    network = keras.models.load_model(DEFAULT_MODEL / "thumbnail.keras", compile=False)
    pixels = prediction.image.pixels[..., np.newaxis] / 255
    expected = gradcam(network, "features", pixels, "Bag")
    explanation = explain(prediction, target="Bag")
    np.testing.assert_allclose(explanation.heatmap, expected, atol=1e-4)
    np.testing.assert_allclose(explanation.on_photo, expected, atol=1e-4)


def test_gradcam_of_a_photo_against_tensorflow() -> None:
    prediction = FashionClassifier.from_pretrained().predict(PHOTO)
    image = prediction.image
    stored = keras.models.load_model(DEFAULT_MODEL / "photo.keras", compile=False)
    network = efficientnet()
    network.set_weights([weights.astype(np.float32) for weights in stored.get_weights()])
    seen = gradcam(network, "head_relu", FORMS["garment"].render([image])[0], "Coat")
    expected = image.view_geometry.project(seen)
    np.testing.assert_allclose(explain(prediction, target="Coat").on_photo, expected / expected.max(), atol=2e-3)


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


def test_a_network_without_convolutions(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(tiny_bundles["thumbnail"], tmp_path / "bundle", experts__thumbnail__members__0__explanation_layer=None)
    with pytest.raises(ExplanationError, match="has no convolutional layer, and class activation maps need one"):
        explain(FashionClassifier.from_pretrained(folder).predict(THUMBNAIL))


@pytest.mark.parametrize(("name", "picture"), [("thumbnail.keras", THUMBNAIL), ("photo-garment.keras", PHOTO)])
def test_a_changed_network_is_not_loaded(tiny_bundles: dict[str, Path], tmp_path: Path, name: str, picture: str) -> None:
    folder = changed(tiny_bundles["two looks"], tmp_path / "bundle")
    (folder / name).write_bytes(b"something else")
    prediction = FashionClassifier.from_pretrained(folder).predict(picture)
    with pytest.raises(ModelIntegrityError, match=rf"{name} has the checksum"):
        explain(prediction)


def test_another_backend_is_said(monkeypatch: pytest.MonkeyPatch, tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    prediction = FashionClassifier.from_pretrained(changed(tiny_bundles["one look"], tmp_path / "bundle")).predict(PHOTO)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExplanationError, match="need Keras on TensorFlow, it runs on jax: set KERAS_BACKEND=tensorflow"):
        explain(prediction)


def test_a_network_is_read_and_verified_once(
    tiny_bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = FashionClassifier.from_pretrained(changed(tiny_bundles["one look"], tmp_path / "bundle")).predict(PHOTO)
    verified: list[str] = []
    read = Bundle.read

    def noted(bundle: Bundle, name: str) -> bytes:
        verified.append(name)
        return read(bundle, name)

    monkeypatch.setattr(Bundle, "read", noted)
    first, second = explain(prediction, target="Coat"), explain(prediction, target="Dress")
    assert verified == ["photo.keras"]
    assert np.abs(first.on_photo - second.on_photo).max() > 0.1


def test_another_network_in_the_same_folder_is_loaded(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(tiny_bundles["two looks"], tmp_path / "bundle")
    before = explain(FashionClassifier.from_pretrained(folder).predict(PHOTO), target="Coat")
    put(folder, "photo-garment.keras", (folder / "photo-garment-mirrored.keras").read_bytes())
    after = explain(FashionClassifier.from_pretrained(folder).predict(PHOTO), target="Coat")
    assert np.abs(before.on_photo - after.on_photo).max() > 0.1


def test_what_is_no_prediction() -> None:
    with pytest.raises(ExplanationError, match=r"explain takes a Prediction, as predict gives it for one picture, not str\."):
        explain("examples/coat.jpg")  # type: ignore[arg-type]
