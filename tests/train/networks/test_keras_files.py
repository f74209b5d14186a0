"""Files of older Kerases, and what is none of them. What the older ones answered was computed by themselves."""

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from train.networks.keras_files import UnusableFileError, load, read
from train.pictures.fashion_mnist import Pictures

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "keras-files"
ANSWERS = json.loads((FIXTURES / "answers.json").read_text())


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(gzip.decompress((FIXTURES / f"{name}.gz").read_bytes()))
    return path


def images_for(model: keras.Model, thumbnails: Pictures) -> Any:
    """The five images that answers.json has answers to."""
    return (thumbnails.images[::40] / np.float32(255)).reshape(-1, *model.input_shape[1:])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_file_of_an_older_keras_answers_as_it_did(name: str, thumbnails: Pictures, tmp_path: Path) -> None:
    file = read(unpacked(name, tmp_path))
    assert file.old
    network = load(file)
    assert {str(layer.compute_dtype) for layer in network._flatten_layers()} == {"float32"}
    answers = network.predict(images_for(network, thumbnails), verbose=0)
    half = "states" in name  # that Keras computed it in half precision
    np.testing.assert_allclose(answers, ANSWERS[name], rtol=1e-2 if half else 1e-7, atol=1e-4 if half else 2e-6)


def test_all_fixtures_have_answers() -> None:
    assert sorted(f"{name}.gz" for name in ANSWERS) == sorted(path.name for path in FIXTURES.glob("*.gz"))


def keras_2() -> Any:
    """A model of Keras 2 whose layers have weights of one shape: in another order they would fit as well."""
    layers = tf_keras.layers
    inputs = tf_keras.Input((4,))
    one, two, three = (layers.Dense(4, activation=name) for name in ("relu", "tanh", "elu"))
    inner = [tf_keras.Sequential([tf_keras.Input((4,)), layers.Dense(4), layers.Dense(4, "tanh")]) for _ in range(2)]
    return tf_keras.Model(inputs, layers.Concatenate()([inner[1](two(inputs)), inner[0](three(one(inputs)))]))


def count_twice(group: h5py.Group) -> None:
    """Number and call layers as TensorFlow 2.13 did, in a file of TensorFlow 2.15."""
    for name in sorted(group, reverse=True, key=lambda name: int(name.rpartition("_")[2]) if name[-1].isdecimal() else 0):
        if group.name.endswith("/layers") and name[-1].isdecimal():
            kind, _, number = name.rpartition("_")
            group.move(name, f"{kind}_{2 * int(number)}")
    for name, child in list(group.items()):
        if isinstance(child, h5py.Group):
            count_twice(child)
            if name == "layers":
                group.move(name, "_layer_checkpoint_dependencies")


@pytest.mark.parametrize("as_in_13", [False, True])
def test_layers_of_one_kind_keep_their_order(as_in_13: bool, tmp_path: Path) -> None:
    model, path = keras_2(), tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    weights = io.BytesIO(parts["model.weights.h5"])
    if as_in_13:
        with h5py.File(weights, "r+") as opened:
            count_twice(opened)
            assert {"dense", "dense_2", "dense_4"} <= set(opened["_layer_checkpoint_dependencies"])
    with zipfile.ZipFile(path, "w") as changed:
        for name, content in (parts | {"model.weights.h5": weights.getvalue()}).items():
            changed.writestr(name, content)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(load(read(path))([x]), model(x), atol=1e-6)


def test_cells_and_what_separable_convolutions_left_behind(tmp_path: Path) -> None:
    layers = tf_keras.layers
    cells = layers.RNN([layers.LSTMCell(3), layers.GRUCell(3)])
    model = tf_keras.Sequential([tf_keras.Input((4, 4, 1)), layers.SeparableConv2D(2, 3), layers.Reshape((2, 4)), cells])
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(5, 4, 4, 1)).astype(np.float32)
    np.testing.assert_allclose(load(read(tmp_path / "model.keras"))(x), model(x), atol=1e-6)


def test_the_optimizer_of_a_model_inside_is_no_weight(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="optimizer")])
    inner.compile("adam", "mse")
    inner.optimizer.build(inner.trainable_variables)
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(2)])
    x = np.ones((1, 3), np.float32)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        np.testing.assert_array_equal(load(read(tmp_path / name))(x), model(x))


def test_what_keras_3_leaves_out_of_hdf5_files(tmp_path: Path) -> None:
    statistics = keras.layers.Normalization()
    statistics.adapt(np.arange(6, dtype=np.float32).reshape(2, 3))
    inputs = keras.Input((3,))
    x = keras.Sequential([keras.Input((3,)), statistics])(inputs)  # read back, its statistics are forgotten
    model = keras.Model(inputs, keras.ops.relu(keras.layers.Dense(3)(x) / 2.0 + x))  # where operations are from is not said
    model.save(tmp_path / "model.h5")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(load(read(tmp_path / "model.h5"))(x), model(x), atol=1e-6)


def test_a_weight_that_is_missing_or_left_over(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(2)])
    path = tmp_path / "model.keras"
    model.save(path)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with zipfile.ZipFile(path) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    parts["config.json"] = json.dumps(keras.saving.serialize_keras_object(other)).encode()
    with zipfile.ZipFile(path, "w") as changed:
        for name, content in parts.items():
            changed.writestr(name, content)
    with pytest.raises(UnusableFileError, match=r"stored weights 1 were left over, and of the network's 0 were not"):
        load(read(path))


def hdf5(path: Path, config: Any, version: str = "2.15.0") -> Path:
    """A file like Keras 2's, without weights."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), version
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([], "S1")
    return path


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


LAMBDA = {"class_name": "Lambda", "config": {"name": "lambda", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}}
SYSTEM = {"module": "os", "class_name": "function", "config": "system"}
OWN = {"class_name": "Mine", "config": {"name": "mine"}, "module": "thesis.layers", "registered_name": "thesis>Mine"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            sequential(LAMBDA),
            "holds a Lambda layer, and code that is stored is not executed. Build the network with a",
        ),
        (sequential(sequential(LAMBDA)), "holds a Lambda layer"),
        (sequential(OWN), "holds 'Mine' of thesis.layers, which is not of Keras itself, and nothing else is executed. Build"),
        (
            sequential(
                {
                    "class_name": "Dense",
                    "config": {"activation": {"module": "os", "class_name": "function", "config": "system"}},
                }
            ),
            "holds 'function' of os, which is not of Keras itself",
        ),
        (
            {"class_name": "Mine", "config": {}},
            "holds the class 'Mine' of somebody's own code, and nothing stored is exec",
        ),
    ],
)
def test_code_is_refused_before_anything_is_built(config: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match=message):
        read(hdf5(tmp_path / "model.h5", config))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"class_name": "Mine", "config": {}},
            r"holds a layer 'Mine', which Keras \d+\.\d+\.\d+ does not know. Build the",
        ),
        ({"class_name": "LocallyConnected2D", "config": {}}, "holds a layer 'LocallyConnected2D', which Keras .* has no more"),
        (
            {"class_name": "LSTM", "config": {"name": "rows", "units": 2, "time_major": True}},
            "layer 'rows', LSTM, has time_major=True, which today's Keras does not know. Build it without",
        ),
    ],
)
def test_layers_that_are_no_more(layer: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match=message):
        load(read(hdf5(tmp_path / "model.h5", sequential(layer))))


def test_what_is_no_model(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "model.weights.h5")
    model.export(tmp_path / "saved", verbose=False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.json").write_text(model.to_json())
    (tmp_path / "empty.h5").touch()
    (tmp_path / "cut.h5").write_bytes((tmp_path / "model.weights.h5").read_bytes()[:1000])
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.ones(3)
    for name, message in {
        "none.h5": "does not exist. Give the .keras or .h5 file that model.save",
        "model.weights.h5": "holds weights alone, without the network that they belong to. Build the network, call load",
        "saved": "is a SavedModel folder, which holds no layers. Where it was made, save the model as one file: model.save",
        "folder": "is a folder. Give the .keras or .h5 file that .* wrote; runs go to train.export.",
        "text.json": "is text, at most a network without weights. Save the model whole",
        "empty.h5": "is no Keras file: it starts with b''. Give the file that",
        "cut.h5": r"is damaged \(.*\). Copy or save it again",
        "arrays.npz": "is a ZIP file, but none of Keras. Give the file that",
        "other.h5": "is an HDF5 file, but none of Keras. Give the file that",
    }.items():
        with pytest.raises(UnusableFileError, match=message) as refused:
            read(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path / name))
        assert "\n" not in str(refused.value)


def test_weights_of_other_files_are_refused(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "model.h5", sequential())
    with h5py.File(path, "a") as file:
        file["model_weights"].create_dataset("kernel", (4,), "f4", external=[("/etc/hostname", 0, 16)])
    with pytest.raises(UnusableFileError, match=r"takes weights from other files \(kernel\). Save the model whole"):
        read(path)


def test_reading_loads_no_keras(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom train.networks.keras_files import read\nread(pathlib.Path(sys.argv[1]))\nprint(*sys.modules)"
    )
    path = hdf5(tmp_path / "model.h5", sequential())
    run = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True, env=os.environ)
    assert not {"keras", "tensorflow", "tf_keras"} & set(run.stdout.split())
