"""Networks of others: a linear classifier, fitted in closed form, behind layers that change nothing, in every form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers, ops
from scipy.special import expit, softmax

from fashion_classifier import LABELS, FashionClassifier, explain
from train.adopt import main
from train.networks.adoption import Adopted, adopt
from train.networks.encodings import INPUTS
from train.networks.keras_files import UnusableFileError
from train.networks.lineage import lineage_of_file
from train.pictures.fashion_mnist import FashionMNIST, Pictures


@pytest.fixture(scope="module")
def classifier(thumbnails: Pictures) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights (784, 10) and biases of a linear classifier, by ridge regression; it is about as sure as it is right."""
    pixels = np.c_[thumbnails.images.reshape(-1, 784) / 255, np.ones(200)]
    solved = np.linalg.solve(pixels.T @ pixels + 100 * np.eye(785), pixels.T @ (thumbnails.targets - 0.1))
    weights = (19 * solved).astype(np.float32)
    return weights[:784], weights[784]


def classify(model: keras.Model, classifier: tuple[Any, Any]) -> keras.Model:
    """Give a model's last dense layer the classifier."""
    dense = [layer for layer in _all_layers(model) if isinstance(layer, layers.Dense)][-1]
    dense.set_weights(list(classifier))
    return model


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return [inner for layer in model.layers for inner in (_all_layers(layer) if isinstance(layer, keras.Model) else [layer])]


def answers(model: keras.Model, inputs: Any) -> npt.NDArray[np.integer]:
    named: npt.NDArray[np.integer] = np.asarray(model(inputs)).argmax(axis=-1)
    return named


def as_input(pictures: Pictures) -> npt.NDArray[np.float32]:
    pixels: npt.NDArray[np.float32] = pictures.images[..., np.newaxis].astype(np.float32) / np.float32(255)
    return pixels


def same(filters: int = 1) -> keras.layers.Layer:
    """A convolution that changes nothing."""
    return layers.Conv2D(filters, 1, kernel_initializer="ones")


def plain(activation: Any = "softmax", shape: tuple[int, ...] = (28, 28, 1)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(10, activation=activation)])


@pytest.mark.parametrize("encoding", ["0..1", "0..255", "+-1", "inverted-0..1", "inverted-0..255"])
def test_how_pixels_are_fed_is_found_out(
    encoding: str, classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path
) -> None:
    scale, offset, _ = INPUTS[encoding]
    decoded = [layers.Rescaling(1 / scale, -offset / scale), layers.ReLU(max_value=1)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *decoded, layers.Flatten(), layers.Dense(10, activation="softmax")])
    classify(model, classifier).save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    assert found.input == encoding
    expected = answers(model, as_input(thumbnails) * scale + offset)
    np.testing.assert_array_equal(answers(found.network, as_input(thumbnails)), expected)
    assert found.accuracy == np.mean(expected == thumbnails.targets.argmax(axis=1)) > 0.8


@pytest.mark.parametrize(
    "shape", [(28, 28), (28, 28, 1), (784,), (784, 1), (1, 28, 28), (None, None, 1), (28, 28, 3), (3, 28, 28)], ids=str
)
def test_the_shapes_of_pictures(
    shape: tuple[int | None, ...], classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path
) -> None:
    inputs = keras.Input(shape)
    x = inputs
    if 3 in shape:  # what tells the channels apart is lost: their mean
        x = layers.Permute((2, 3, 1))(x) if shape[0] == 3 else x
        x = layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 3))(x)
    x = layers.Reshape((784,))(x)
    classify(keras.Model(inputs, layers.Dense(10)(x)), classifier).save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    assert found.shape == shape
    assert found.compared == 200
    expected = answers(classify(plain(), classifier), as_input(thumbnails))
    np.testing.assert_array_equal(answers(found.network, as_input(thumbnails)), expected)


def test_channels_that_stand_first(classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path) -> None:
    """Convolutions of that kind run on graphics cards alone."""
    first: dict[str, Any] = {"data_format": "channels_first"}
    same = layers.Conv2D(1, 3, padding="same", **first)
    model = keras.Sequential([keras.Input((1, 28, 28)), same, layers.Flatten(**first), layers.Dense(10)])
    middle = np.zeros((3, 3, 1, 1), np.float32)
    middle[1, 1] = 1
    same.set_weights([middle, np.zeros(1)])
    classify(model, classifier).save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    expected = answers(classify(plain(), classifier), as_input(thumbnails))
    np.testing.assert_array_equal(answers(found.network, as_input(thumbnails)), expected)
    assert found.network.get_layer("features").output.shape == (None, 28, 28, 1)


def test_a_batch_of_fixed_size(classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path) -> None:
    inputs = keras.Input(batch_shape=(30, 28, 28))
    classify(keras.Model(inputs, layers.Dense(10)(layers.Flatten()(inputs))), classifier).save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    assert found.network.input_shape == (None, 28, 28, 1)
    assert found.compared == 180  # whole batches


def softmax_layer() -> keras.Model:
    return keras.Sequential([plain(None), layers.Softmax()])


def softmax_operation() -> keras.Model:
    inputs = keras.Input((28, 28))
    return keras.Model(inputs, ops.softmax(layers.Dense(10)(layers.Reshape((784,))(inputs))))


def softmax_of_softmax() -> keras.Model:
    return keras.Sequential([plain("softmax"), layers.Dropout(0.5), layers.Activation("softmax"), layers.Reshape((1, 10))])


def mean_of_softmaxes() -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    one = layers.Softmax()(layers.Dense(10)(layers.Flatten()(inputs)))
    return keras.Model(inputs, layers.Average()([one, one]))


def product_of_sigmoids() -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, ops.maximum(layers.Dense(10, activation="sigmoid")(layers.Flatten()(inputs)), 0.0))


@pytest.mark.parametrize(
    ("make", "output"),
    [
        (lambda: plain("softmax"), "softmax"),
        (lambda: plain("log_softmax"), "log_softmax"),
        (lambda: plain("sigmoid"), "sigmoid"),
        (lambda: plain(None), "logits"),
        (softmax_layer, "softmax"),
        (softmax_operation, "softmax"),
        (softmax_of_softmax, "softmax"),
        (mean_of_softmaxes, "probabilities"),
        (product_of_sigmoids, "sigmoids"),
    ],
)
def test_what_comes_out_are_logits(
    make: Callable[[], keras.Model], output: str, classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path
) -> None:
    classify(make(), classifier).save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    assert found.output == output
    logits = np.asarray(found.network(as_input(thumbnails)))
    weights, biases = classifier
    expected = as_input(thumbnails).reshape(200, 784) @ weights + biases
    meant: dict[str, Callable[[Any], Any]] = {"probabilities": lambda z: softmax(z, axis=1), "sigmoids": expit}
    read = meant.get(output, lambda z: z)  # what single precision could not tell from 0 or 1 is lost
    np.testing.assert_allclose(read(logits), read(expected), atol=1e-3)


def nested() -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    body = keras.Model(inputs, layers.BatchNormalization(epsilon=0)(same()(inputs)), name="body")
    head = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(name="inner"), layers.Dense(10)], name="head")
    outer = keras.Input((28, 28, 1))
    return keras.Model(outer, head(body(layers.Identity(name="inner")(outer))))


def normalized() -> keras.Model:
    """Statistics of its own in a model inside: mean 0.5, variance 0.25, undone by what follows."""
    statistics = layers.Normalization(axis=None)
    statistics.adapt(np.array([0, 1], np.float32))
    inner = keras.Sequential([keras.Input((28, 28, 1)), statistics, layers.Rescaling(0.5, 0.5), same()])
    return keras.Sequential([keras.Input((28, 28, 1)), inner, layers.Flatten(), layers.Dense(10)])


def separable() -> keras.Model:
    convolution = layers.SeparableConv2D(1, 3, padding="same")
    model = keras.Sequential([keras.Input((28, 28, 1)), convolution, layers.Flatten(), layers.Dense(10)])
    middle = np.zeros((3, 3, 1, 1), np.float32)
    middle[1, 1] = 1
    convolution.set_weights([middle, np.ones((1, 1, 1, 1)), np.zeros(1)])
    return model


@pytest.mark.parametrize("make", [nested, normalized, separable])
def test_models_inside_and_states_are_kept(
    make: Callable[[], keras.Model], classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path
) -> None:
    model = classify(make(), classifier)
    model.save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    np.testing.assert_array_equal(answers(found.network, as_input(thumbnails)), answers(model, as_input(thumbnails)))
    assert not any(isinstance(layer, keras.Model) for layer in found.network.layers)
    assert found.network.get_layer("features").output.shape == (None, 28, 28, 1)
    copy = keras.models.clone_model(found.network)
    copy.set_weights(found.network.get_weights())
    np.testing.assert_array_equal(answers(copy, as_input(thumbnails)), answers(model, as_input(thumbnails)))


def test_statistics_of_a_model_inside_an_hdf5_file(classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path) -> None:
    """Keras forgets them when it reads its own file, and must not be taken at its word."""
    statistics = layers.Normalization()
    statistics.adapt(np.array([0, 1], np.float32).reshape(2, 1, 1, 1))
    inner = keras.Sequential([keras.Input((28, 28, 1)), statistics])
    rest = [layers.Rescaling(0.5, 0.5), layers.Flatten(), layers.Dense(10)]
    model = classify(keras.Sequential([keras.Input((28, 28, 1)), inner, *rest]), classifier)
    model.save(tmp_path / "model.h5")
    found = adopt(tmp_path / "model.h5", thumbnails)
    assert found.compared == 200
    np.testing.assert_array_equal(answers(found.network, as_input(thumbnails)), answers(model, as_input(thumbnails)))


def test_it_can_be_said_how_a_network_is_fed(classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path) -> None:
    model = classify(plain(None), classifier)
    model.save(tmp_path / "model.keras")
    for fed in ("standardised", "inverted-+-1"):
        found = adopt(tmp_path / "model.keras", thumbnails, fed=fed, output="logits")
        assert (found.input, found.output) == (fed, "logits")
        scale, offset, _ = INPUTS[fed]
        expected = model(as_input(thumbnails) * scale + offset)
        np.testing.assert_allclose(found.network(as_input(thumbnails)), expected, atol=1e-4)
    assert found.accuracy < 0.25  # told is told


def test_what_was_found_is_one_line(classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path) -> None:
    classify(plain(None, (28, 28)), classifier).save(tmp_path / "model.keras")
    found = adopt(tmp_path / "model.keras", thumbnails)
    assert str(found) == (
        f"Keras {keras.__version__}, takes (28, 28) with pixels 0..1, gives logits: {found.accuracy:.2%} of the validation "
        f"images are named rightly, as the file itself does (n = 200)."
    )
    assert str(Adopted(found.network, "2.1.6", (784,), "+-1", "softmax", 0.5, 0)) == (
        "Keras 2.1.6, takes (784,) with pixels +-1, gives softmax: 50.00% of the validation images are named rightly, "
        "not compared with the file itself."
    )


def test_a_network_of_something_else(classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path) -> None:
    weights, biases = classifier
    classify(plain(), (np.roll(weights, 1, axis=1), np.roll(biases, 1))).save(tmp_path / "model.keras")
    with pytest.raises(
        UnusableFileError, match=r"does not know Fashion-MNIST, whichever way it is fed; right answers: 0\.\.1 \d+%, 0\.\.255"
    ):
        adopt(tmp_path / "model.keras", thumbnails)


def test_a_network_that_would_answer_otherwise(
    classifier: tuple[Any, Any], thumbnails: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify(plain(), classifier).save(tmp_path / "model.keras")
    stored = "train.networks.adoption._stored_answers"
    monkeypatch.setattr(stored, lambda file, fed: np.eye(10, dtype=np.float32)[np.full(200, 3)])
    with pytest.raises(UnusableFileError, match=r"could not be taken over: \d\d\.\d\d% of 200 validation images are named"):
        adopt(tmp_path / "model.keras", thumbnails)
    monkeypatch.setattr(stored, lambda file, fed: np.ones((200, 10), np.float32))  # any name is one of its best
    assert adopt(tmp_path / "model.keras", thumbnails).compared == 200


def test_other_forms_are_refused(tmp_path: Path, thumbnails: Pictures) -> None:
    inputs = keras.Input((28, 28, 1))
    flat = layers.Flatten()(inputs)
    for name, model, message in (
        (
            "big",
            keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10)]),
            r"takes \(32, 32, 3\); needed",
        ),
        ("eleven", keras.Model(inputs, layers.Dense(11)(flat)), r"gives \(11,\); needed are \(10,\)"),
        (
            "two",
            keras.Model(inputs, [layers.Dense(10)(flat), layers.Dense(2)(flat)]),
            "has 1 inputs and 2 outputs; needed is one",
        ),
    ):
        model.save(tmp_path / f"{name}.keras")
        with pytest.raises(UnusableFileError, match=message):
            adopt(tmp_path / f"{name}.keras", thumbnails)


def test_a_file_becomes_a_bundle(
    classifier: tuple[Any, Any],
    thumbnails: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    order = np.random.default_rng(0).permutation(200)
    data = FashionMNIST(thumbnails, thumbnails.take(order), thumbnails.take(order[100:]))
    monkeypatch.setattr("train.pictures.fashion_mnist.load_fashion_mnist", lambda folder: data)
    model = classify(normalized(), classifier)
    model.save(tmp_path / "old.keras")
    out = tmp_path / "bundle"
    main([str(tmp_path / "old.keras"), str(out), "--version", "0.1.0"])

    answerer = FashionClassifier.from_pretrained(out)
    predictions = answerer.predict(list(data.test.images))
    expected = answers(model, as_input(data.test))
    assert np.mean([LABELS.index(prediction.label) for prediction in predictions] == expected) > 0.97
    manifest = answerer.bundle.manifest
    (member,) = manifest.experts["thumbnail"].members
    assert (manifest.version, member.architecture, member.explanation_layer) == ("0.1.0", "custom", "features")
    record = lineage_of_file(answerer.bundle, member.file).record
    assert record["source"] == "old.keras"
    assert not all(explain(prediction).empty for prediction in predictions[:10])
    told = capsys.readouterr().out.splitlines()
    assert told[1] == record["adopted"]
    assert told[2].startswith(f"{out} is its bundle, ")
    assert told[3] == f"FASHION_CLASSIFIER_MODEL={out} python app.py"


def test_a_refusal_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "none.h5"), str(tmp_path / "bundle"), "--version", "0.1.0"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        f'{tmp_path}/none.h5 does not exist. Give the .keras or .h5 file that model.save("model.keras") wrote.\n'
    )
