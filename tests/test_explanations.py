import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fashion_classifier import (
    LABELS,
    CanonicalImage,
    Explanation,
    ExplanationError,
    FashionClassifier,
    InvalidBundleError,
    ModelIntegrityError,
    Prediction,
    canonicalize,
    explain,
)
from fashion_classifier.activation_maps import ActivationMethod, _keras_model
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST, SEGMENTATION_MODEL, Bundle, sha256
from fashion_classifier.explanations import METHODS, Faithfulness, Method, possible_methods
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import FORMAT, PREPROCESSING_VERSION, Expert, ExpertName, FormName, Manifest, Member
from tests.tiny_bundles import change, changed, put
from train.networks.evidence import add_evidence
from train.networks.exporting import in_half_precision
from train.pictures.fashion_mnist import Pictures

Float32Array = npt.NDArray[np.float32]

TF_METHODS = get_args(ActivationMethod)
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
    return Expert(1.0, 0.0, (0.0, 1.0), (Member(form, f"{name}.keras", f"{name}.keras", "custom", "features", False),))


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
    heatmap = explain(linear_prediction(half_bright(), weights), target="Coat", method="gradcam").heatmap
    assert heatmap.dtype == np.float32
    assert heatmap.shape == (28, 28)
    np.testing.assert_allclose(heatmap, half_bright() / 255, atol=1e-5)


def test_an_empty_map_is_said(linear_prediction: Callable[..., Prediction]) -> None:
    weights = np.zeros((2, 10), np.float32)
    weights[:, 4] = 1, 3  # everything in the picture speaks against Coat
    explanation = explain(linear_prediction(half_bright(), weights), target="Coat", method="gradcam")
    assert explanation.empty
    assert not explanation.heatmap.any()
    np.testing.assert_array_equal(np.asarray(explanation.overlay())[:, :, 0], half_bright())


def test_a_layer_that_is_not_there(linear_prediction: Callable[..., Prediction]) -> None:
    prediction = linear_prediction(half_bright(), np.ones((2, 10), np.float32))
    change(prediction.bundle.path, experts__thumbnail__members__0__explanation_layer="none")
    with pytest.raises(InvalidBundleError, match=r"thumbnail\.keras has no layer 'none', whose maps would explain it\.$"):
        explain(replace(prediction, bundle=Bundle(prediction.bundle.path)), method="gradcam")


def test_a_file_that_is_no_network(linear_prediction: Callable[..., Prediction]) -> None:
    prediction = linear_prediction(half_bright(), np.ones((2, 10), np.float32))
    put(prediction.bundle.path, "thumbnail.keras", b"PK of another kind")
    with pytest.raises(InvalidBundleError, match=r"thumbnail\.keras is no network that Keras reads\.$"):
        explain(replace(prediction, bundle=Bundle(prediction.bundle.path)), method="gradcam")


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
    explanation = explain(Prediction(dict.fromkeys(LABELS, 0.1), 1.0, red_and_blue, bundle), target="Coat", method="gradcam")
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
    explanation = explain(Prediction(dict.fromkeys(LABELS, 0.1), 1.0, red_and_blue, bundle), target="Coat", method="gradcam")
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
    explanation = explain(Prediction(dict.fromkeys(LABELS, 0.1), 1.0, red_and_blue, bundle), target="Coat", method="gradcam")
    np.testing.assert_allclose(explanation.on_photo, columns(1, 0, (37, 24, 192, 192)), atol=1e-3)


SLOW = ("smoothgrad",)  # many gradients


@pytest.mark.parametrize("method", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in TF_METHODS])
def test_every_method_of_tf_keras_vis_on_the_embedded_networks(
    method: ActivationMethod, example_labels: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashion_classifier.activation_maps.SCORED_MAPS", 16)  # a run of the network for each
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
    monkeypatch.setattr("fashion_classifier.activation_maps.SCORED_MAPS", 8)
    assert not explain(FashionClassifier.from_pretrained().predict(PHOTO), method="scorecam").empty
    assert set(runs) == {8}


def test_a_photo_is_explained_beyond_the_garments_edge() -> None:
    """The view shows some of its surroundings, and a map covers the whole view, but nothing more."""
    explanation = explain(FashionClassifier.from_pretrained().predict(PHOTO), method="gradcam")
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


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The embedded bundle with its Keras networks served as they are, not in eight bits or half precision."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(DEFAULT_MODEL, folder, dirs_exist_ok=True)
    for name in ("thumbnail", "photo"):
        network = _keras_model(Bundle(DEFAULT_MODEL), f"{name}.keras", "")
        network.export(folder / f"{name}.tflite", format="litert", verbose=False)
        assert add_evidence(folder / f"{name}.tflite")
        put(folder, f"{name}.tflite", (folder / f"{name}.tflite").read_bytes())
    return Bundle(folder)


def without_evidence(bundle: Bundle) -> Bundle:
    """The same, as if its networks had no second output: tf-keras-vis explains them."""
    experts = {
        name: replace(expert, members=tuple(replace(member, evidence=False) for member in expert.members))
        for name, expert in bundle.manifest.experts.items()
    }
    other = Bundle(bundle.path)
    vars(other)["manifest"] = replace(bundle.manifest, experts=experts)
    return other


REAL = [PHOTO, "examples/dress.jpg", THUMBNAIL, "examples/fashion-mnist-sandal.png"]


@pytest.mark.slow
@pytest.mark.parametrize("against", [None, "Shirt"])
@pytest.mark.parametrize("picture", REAL)
def test_gradcam_is_that_of_tf_keras_vis(exported: Bundle, picture: str, against: str | None) -> None:
    prediction = FashionClassifier(exported).predict(picture)
    for target in ("Coat", "Bag"):
        options: dict[str, str | None] = {"target": target, "against": against}
        ours = explain(prediction, method="gradcam", **options)  # type: ignore[arg-type]
        theirs = explain(replace(prediction, bundle=without_evidence(exported)), method="gradcam", **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours.on_photo, theirs.on_photo, atol=1e-4)
        np.testing.assert_allclose(ours.heatmap, theirs.heatmap, atol=1e-4)


@pytest.mark.parametrize(("picture", "tolerance"), [(PHOTO, 0.05), (THUMBNAIL, 0.05)])  # eight bits
def test_gradcam_of_the_embedded_networks_is_nearly_that_of_tf_keras_vis(picture: str, tolerance: float) -> None:
    prediction = FashionClassifier.from_pretrained().predict(picture)
    ours = explain(prediction, method="gradcam")
    theirs = explain(replace(prediction, bundle=without_evidence(prediction.bundle)), method="gradcam")
    np.testing.assert_allclose(ours.on_photo, theirs.on_photo, atol=tolerance)


@pytest.mark.parametrize("picture", REAL)
def test_perturbation_of_real_pictures(picture: str) -> None:
    prediction = FashionClassifier.from_pretrained().predict(picture)
    explanation = explain(prediction, looks=30)
    assert (explanation.target, explanation.against, explanation.method) == (prediction.label, None, "perturbation")
    assert (explanation.layer, explanation.looks, explanation.seed) == (None, 30, 0)
    side = prediction.image.view_geometry.canvas if prediction.image.is_photo else 28
    assert explanation.raw.shape == (side, side)
    assert explanation.on_photo.shape == prediction.image.photo.shape[:2]
    assert explanation.raw.min() == 0
    assert 0 <= explanation.on_photo.min() < 1e-3  # the coldest place may lie between two pixels of the photo
    assert explanation.on_photo.max() == explanation.heatmap.max() == 1
    np.testing.assert_array_equal(explanation.on_photo, explain(prediction, looks=30).on_photo)
    assert explanation.faithfulness.before == pytest.approx(prediction.confidence)


def test_the_default_marks_what_the_answer_hangs_on() -> None:
    """More than Grad-CAM does, and more than what is not marked."""
    prediction = FashionClassifier.from_pretrained().predict("examples/shirt.jpg")  # no fifth of the dress is needed
    measured, of_gradcam = explain(prediction).faithfulness, explain(prediction, method="gradcam").faithfulness
    assert measured.without < measured.before
    assert measured.alone - measured.without > of_gradcam.alone - of_gradcam.without


@pytest.mark.parametrize("method", ["perturbation", "gradcam"])
@pytest.mark.parametrize("picture", [PHOTO, THUMBNAIL])
def test_what_speaks_for_a_name_speaks_against_the_other(picture: str, method: Method) -> None:
    prediction = FashionClassifier.from_pretrained().predict(picture)
    first, second = (name for name, _ in prediction.top(2))
    one = explain(prediction, target=first, against=second, method=method)
    other = explain(prediction, target=second, against=first, method=method)
    assert one.against == second
    np.testing.assert_allclose(one.on_photo, -other.on_photo, atol=1e-5)
    assert one.on_photo.max() > 0  # all of a bag may speak for it
    assert np.abs(one.on_photo).max() == np.abs(one.heatmap).max() == 1


@pytest.mark.parametrize("method", ["perturbation", "gradcam"])
@pytest.mark.parametrize("kind", ["black", "white", "gray", "noise", "coloured noise"])
def test_pictures_of_nothing(kind: str, method: Method) -> None:
    rng = np.random.default_rng(0)
    pictures = {
        "black": np.zeros((28, 28), np.uint8),
        "white": np.full((60, 60), 255, np.uint8),
        "gray": np.full((60, 60), 128, np.uint8),
        "noise": rng.integers(0, 256, (28, 28), np.uint8),
        "coloured noise": rng.integers(0, 256, (60, 60, 3), np.uint8),
    }
    prediction = FashionClassifier.from_pretrained().predict(pictures[kind])
    options: dict[str, Any] = {"looks": 10} if method == "perturbation" else {}
    for target, against in [*((label, None) for label in LABELS), ("Shirt", "Coat")]:
        explanation = explain(prediction, target=target, against=against, method=method, **options)
        for found in (explanation.raw, explanation.on_photo, explanation.heatmap):
            assert np.isfinite(found).all()
    assert explanation.sentence.endswith(".")


def with_faithfulness(before: float, without: float, alone: float, heat: float = 1.0) -> Explanation:
    prediction = FashionClassifier.from_pretrained().predict(THUMBNAIL)
    on_photo = np.full((28, 28), heat, np.float32)
    explanation = Explanation(prediction, "Shirt", None, "perturbation", None, 20, 0, on_photo, on_photo, on_photo)
    vars(explanation)["faithfulness"] = Faithfulness(before, without, alone)
    return explanation


@pytest.mark.parametrize(
    ("explanation", "sentence"),
    [
        (with_faithfulness(0.97, 0.31, 0.6), "Blurring the hottest fifth takes Shirt from 97% to 31%."),
        (
            with_faithfulness(0.97, 0.96, 0.95),
            "Not only the hottest fifth speaks for Shirt: 95% with it alone, 96% without it, 97% before.",
        ),
        (
            with_faithfulness(0.97, 0.96, 0.2),
            "This map explains little: blurring its hottest fifth leaves Shirt at 96% of 97%.",
        ),
        (with_faithfulness(0.97, 0.97, 0.2, heat=0), "Nothing was found that speaks for Shirt."),
        (
            replace(with_faithfulness(0.97, 0.97, 0.2, heat=0), against="Coat"),
            "Nothing was found that speaks for Shirt rather than Coat.",
        ),
    ],
)
def test_the_sentence_is_honest(explanation: Explanation, sentence: str) -> None:
    assert explanation.sentence == sentence


def test_a_notebook_shows_the_overlay() -> None:
    explanation = explain(FashionClassifier.from_pretrained().predict(THUMBNAIL), method="gradcam")
    with Image.open(io.BytesIO(explanation._repr_png_())) as shown:
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(explanation.overlay()))


def test_a_network_without_its_keras_file_says_where_that_is(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(tiny_bundles["one look"], tmp_path / "bundle")
    (folder / "photo.keras").unlink()
    prediction = FashionClassifier.from_pretrained(folder).predict(PHOTO)
    assert not explain(prediction, method="gradcam", target="Coat", against="Dress").empty
    message = f"Methods other than 'perturbation' need here photo.keras, which {folder} lacks: neither the package nor"
    with pytest.raises(ExplanationError, match=f"^{re.escape(message)}"):
        explain(prediction, method="gradcam++")


def test_methods_that_are_possible(
    tiny_bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thumbnails: Pictures
) -> None:
    embedded = Bundle(DEFAULT_MODEL)
    assert possible_methods(embedded) == METHODS
    flattening = changed(tiny_bundles["thumbnail"], tmp_path / "flattening")
    assert possible_methods(Bundle(flattening)) == METHODS
    dense = changed(tiny_bundles["thumbnail"], tmp_path / "dense", experts__thumbnail__members__0__explanation_layer=None)
    assert possible_methods(Bundle(dense)) == ("perturbation",)
    (flattening / "thumbnail.keras").unlink()
    assert possible_methods(Bundle(flattening)) == ("perturbation",)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert possible_methods(embedded) == ("perturbation", "gradcam")
    for bundle in (embedded, Bundle(flattening), Bundle(dense)):
        prediction = FashionClassifier(bundle).predict(thumbnails.images[0])
        for method in possible_methods(bundle):
            assert explain(prediction, method=method).method == method


def test_another_target_gives_another_map() -> None:
    prediction = FashionClassifier.from_pretrained().predict("examples/coat.jpg")
    assert explain(prediction).target == "Coat"
    assert np.abs(explain(prediction).heatmap - explain(prediction, target="Dress").heatmap).max() > 0.1


def test_overlay_strength() -> None:
    explanation = explain(FashionClassifier.from_pretrained().predict("examples/coat.jpg"))
    np.testing.assert_array_equal(np.asarray(explanation.overlay(0)), explanation.prediction.image.photo)
    with pytest.raises(ValueError, match=r"strength must be from 0 to 1, received 2\."):
        explanation.overlay(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lime"}, f"Unknown method 'lime'; allowed are {', '.join(METHODS)}."),
        ({"target": "Hat"}, f"Unknown target 'Hat'; allowed are {', '.join(LABELS)}."),
        (
            {"against": "Hat"},
            "Received 'Hat' to compare Coat with; allowed are T-shirt/top, Trouser, Pullover, Dress, Sandal, ",
        ),
        (
            {"against": "Coat"},
            "Received 'Coat' to compare Coat with; allowed are T-shirt/top, Trouser, Pullover, Dress, Sandal",
        ),
        ({"looks": 9}, "looks must be a whole number from 10 to 2000, received 9."),
        ({"looks": 2001}, "looks must be a whole number from 10 to 2000, received 2001."),
        ({"looks": 20.0}, "looks must be a whole number from 10 to 2000, received 20.0."),
        ({"looks": 20, "method": "gradcam"}, "gradcam takes no number of looks, received 20; only perturbation does."),
    ],
    ids=str,
)
def test_what_explain_does_not_take(options: dict[str, Any], message: str) -> None:
    prediction = FashionClassifier.from_pretrained().predict(PHOTO)
    with pytest.raises(ExplanationError, match=f"^{re.escape(message)}"):
        explain(prediction, **options)


def test_a_network_without_convolutions(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(tiny_bundles["thumbnail"], tmp_path / "bundle", experts__thumbnail__members__0__explanation_layer=None)
    with pytest.raises(ExplanationError, match="has no convolutional layer, and class activation maps need one"):
        explain(FashionClassifier.from_pretrained(folder).predict(THUMBNAIL), method="gradcam")


@pytest.mark.parametrize(("name", "picture"), [("thumbnail.keras", THUMBNAIL), ("photo-garment.keras", PHOTO)])
def test_a_changed_network_is_not_loaded(tiny_bundles: dict[str, Path], tmp_path: Path, name: str, picture: str) -> None:
    folder = changed(tiny_bundles["two looks"], tmp_path / "bundle")
    (folder / name).write_bytes(b"something else")
    prediction = FashionClassifier.from_pretrained(folder).predict(picture)
    with pytest.raises(ModelIntegrityError, match=rf"{name} has the checksum"):
        explain(prediction, method="gradcam++")


def test_another_backend_is_said(monkeypatch: pytest.MonkeyPatch, tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    prediction = FashionClassifier.from_pretrained(changed(tiny_bundles["one look"], tmp_path / "bundle")).predict(PHOTO)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExplanationError, match="need here Keras on TensorFlow, it runs on jax: set KERAS_BACKEND=tensorflow"):
        explain(prediction, method="gradcam++")


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
    first, second = (explain(prediction, target=target, method="layercam") for target in ("Coat", "Dress"))
    assert verified == ["photo.keras"]
    assert np.abs(first.on_photo - second.on_photo).max() > 0.01


@pytest.mark.parametrize(("method", "ending"), [("perturbation", "tflite"), ("layercam", "keras")])
def test_another_network_in_the_same_folder_is_loaded(
    tiny_bundles: dict[str, Path], tmp_path: Path, method: Method, ending: str
) -> None:
    folder = changed(tiny_bundles["two looks"], tmp_path / "bundle")
    change(folder, experts__photo__members__0__evidence=False)
    before = explain(FashionClassifier.from_pretrained(folder).predict(PHOTO), target="Coat", method=method)
    put(folder, f"photo-garment.{ending}", (folder / f"photo-garment-mirrored.{ending}").read_bytes())
    after = explain(FashionClassifier.from_pretrained(folder).predict(PHOTO), target="Coat", method=method)
    assert np.abs(before.on_photo - after.on_photo).max() > 0.1


def test_what_is_no_prediction() -> None:
    with pytest.raises(ExplanationError, match=r"explain takes a Prediction, as predict gives it for one picture, not str\."):
        explain("examples/coat.jpg")  # type: ignore[arg-type]
