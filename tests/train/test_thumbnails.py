import gc
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fashion_classifier import predict
from fashion_classifier.bundle import DEFAULT_MODEL
from fashion_classifier.monitoring import NONE_OF_THE_TEN, Journal
from train.networks.architectures import ARCHITECTURES
from train.networks.lineage import lineage_of, lineage_of_run
from train.networks.recipes import RECIPES
from train.networks.runs import load_config, load_history, load_network
from train.networks.schedules import OneCycle
from train.networks.thumbnail_training import Batches, as_input, find_easy, fit, set_accuracy
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.targets import target
from train.thumbnails import main

TINY = replace(RECIPES["ann"], epochs=3, batch_size=16)


@pytest.fixture
def data(thumbnails: Pictures) -> FashionMNIST:
    order = np.random.default_rng(0).permutation(200)
    training, validation = thumbnails.take(order[:160]), thumbnails.take(order[160:])
    return FashionMNIST(training, validation, validation)


@pytest.mark.parametrize(("name", "parameters"), [("ann", 101_770), ("cnn", 225_034), ("resnet", 1_943_722)])
def test_networks(name: str, parameters: int) -> None:
    network = ARCHITECTURES[name]()
    assert network.count_params() == parameters
    assert network(np.zeros((3, 28, 28, 1), np.float32)).shape == (3, 10)


def test_one_cycle() -> None:
    schedule = OneCycle(peak=0.5, steps=100, warm_up=0.2)
    rates = [float(schedule(step)) for step in (0, 10, 20, 60, 100, 101)]
    assert rates == pytest.approx([0, 0.25, 0.5, 0.25, 0, 0], abs=1e-6)
    assert float(OneCycle.from_config(schedule.get_config())(10)) == rates[1]


def test_set_accuracy() -> None:
    truth = np.stack([target(["Sandal", "Sneaker"]), target(["Bag"]), target([])])
    logits = np.eye(10, dtype=np.float32)[[7, 7, 7]]  # "Sneaker" three times
    assert np.asarray(set_accuracy(truth, logits)).tolist() == [1, 0, 0]


def test_batches_repeat_themselves(thumbnails: Pictures) -> None:
    one, two = (Batches(thumbnails, replace(RECIPES["resnet"], batch_size=32)) for _ in range(2))
    assert len(one) == 200 // 32
    one.start(3)
    two.start(1)
    two.start(3)
    for index in range(len(one)):
        for a, b in zip(one[index], two[index], strict=True):
            np.testing.assert_array_equal(a, b)
    inputs, targets, weights = one[0]
    assert inputs.shape == (32, 28, 28, 1)
    assert inputs.dtype == np.float32
    assert targets.shape == (32, 10)
    assert weights.tolist() == [1] * 32
    assert sorted(one.order) == list(range(200))


def test_easy_pictures_are_seen_less_often_and_weigh_more(thumbnails: Pictures) -> None:
    easy = np.arange(200) < 160
    batches = Batches(thumbnails, replace(RECIPES["resnet"], batch_size=8, easy_share=0.25), easy)
    assert len(batches) == (40 + 40) // 8
    seen = np.zeros(200)
    for epoch in range(200):
        batches.start(epoch)
        assert len(set(batches.order)) == len(batches.order) == 80
        seen[batches.order] += batches.weights[batches.order]
    assert (seen[~easy] == 200).all()  # every epoch, with weight 1
    assert set(batches.weights[easy]) == {4}
    # the expected weight of an easy picture is that of a hard one: 200 draws of 1/4 with weight 4, standard error 24
    assert np.abs(seen[easy] - 200).max() < 5 * 24
    assert seen[easy].mean() == pytest.approx(200)


def test_what_is_easy(thumbnails: Pictures) -> None:
    class Sure:
        def predict(self, inputs: np.ndarray, **options: Any) -> np.ndarray:
            logits = np.zeros((len(inputs), 10), np.float32)
            logits[:, 3] = np.log(9 * 0.95 / 0.05)  # the first class 3 has 0.95
            return logits

    found = find_easy(Sure(), thumbnails)
    np.testing.assert_array_equal(found, thumbnails.targets[:, 3] == 1)


def test_easy_pictures_need_a_network_that_finds_them(data: FashionMNIST, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^An easy share of 0\.3 needs a network that says what is easy: give --initial\.$"):
        fit(RECIPES["resnet-continued"], data, tmp_path / "run")
    with pytest.raises(ValueError, match=r"^The easy share must be above 0 and at most 1, received 0\.$"):
        fit(replace(RECIPES["resnet-continued"], easy_share=0), data, tmp_path / "run", initial=DEFAULT_MODEL)
    assert not (tmp_path / "run").exists()


def test_a_run_learns_and_leaves_its_folder(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=15), data, tmp_path, command="the command")
    history = load_history(tmp_path)
    assert len(history) == 15
    assert history[-1]["accuracy"] > 0.75 > 0.6 > history[0]["accuracy"]
    config = load_config(tmp_path)
    assert config["recipe"]["seed"] == 0
    assert config["command"] == "the command"
    assert config["versions"]["keras"] == keras.__version__
    network = load_network(tmp_path)
    answers = network.predict(as_input(data.validation.images), verbose=0).argmax(axis=1)
    accuracy = np.mean(answers == data.validation.targets.argmax(axis=1))
    assert accuracy == pytest.approx(history[-1]["val_fashion_mnist_accuracy"])


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    data: FashionMNIST, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(TINY, optimizer="sgd", learning_rate=0.1, augmentation=True)
    fit(recipe, data, tmp_path / "whole")
    start = Batches.start

    def stop(self: Any, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        start(self, epoch)

    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the interrupted logger's open file
        patch.setattr(Batches, "start", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, data, tmp_path / "parts")
        gc.collect()
    with pytest.raises(FileNotFoundError, match=r"holds no model\.weights\.h5: finish it first"):
        load_network(tmp_path / "parts")
    fit(recipe, data, tmp_path / "parts")
    assert [row["epoch"] for row in load_history(tmp_path / "parts")] == [0, 1, 2]
    for a, b in zip(load_network(tmp_path / "whole").weights, load_network(tmp_path / "parts").weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_a_folder_of_another_recipe_is_not_continued(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=1), data, tmp_path)
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(TINY, data, tmp_path)


def test_corrections_of_visitors_are_trained_on(data: FashionMNIST, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal")
    photo = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    for picture, label in ((data.test.images[0], "Bag"), (data.test.images[1], NONE_OF_THE_TEN), (photo, "Coat")):
        prediction = predict(picture)
        journal.correct(journal.record(prediction, 0.1), prediction, label, keep_picture=True)
    monkeypatch.setattr("train.pictures.fashion_mnist.load_fashion_mnist", lambda folder: data)
    main(["ann", "--run", str(tmp_path / "run"), "--feedback", str(journal.folder), "--epochs", "1", "--batch-size", "16"])
    config = load_config(tmp_path / "run")
    assert config["data"] == {"training": 162, "validation": 40}  # the photo is for the other network
    assert config["command"] == "python -m train.thumbnails ann --run RUN --feedback FEEDBACK --epochs 1 --batch-size 16"


def test_a_run_can_start_from_another(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=1), data, tmp_path / "first")
    fit(replace(TINY, epochs=1, learning_rate=0.0), data, tmp_path / "second", initial=tmp_path / "first")
    first = lineage_of_run(tmp_path / "first")
    config = load_config(tmp_path / "second")
    assert (config["parents"], config["ancestors"]) == ([{"run": first.key, "share": 1.0}], first.runs)
    for a, b in zip(load_network(tmp_path / "first").weights, load_network(tmp_path / "second").weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_run_can_start_from_a_bundle(thumbnails: Pictures, tmp_path: Path) -> None:
    few = thumbnails.take(np.arange(0, 200, 10))
    recipe = replace(RECIPES["resnet-continued"], epochs=1, batch_size=4, learning_rate=0.0, outliers=2)
    fit(recipe, FashionMNIST(few, few, few), tmp_path, initial=DEFAULT_MODEL)
    stored = keras.models.load_model(DEFAULT_MODEL / "thumbnail.keras", compile=False)
    kernels = {weight.path: weight.numpy() for weight in stored.weights if weight.path.endswith("kernel")}
    found = {weight.path: weight.numpy() for weight in load_network(tmp_path).weights if weight.path.endswith("kernel")}
    assert len(kernels) == len(found) == 11
    for a, b in zip(kernels.values(), found.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    embedded = lineage_of(DEFAULT_MODEL)
    config = load_config(tmp_path)
    assert (config["parents"], config["ancestors"]) == ([{"run": embedded.key, "share": 1.0}], embedded.runs)


def test_a_finished_run_is_left_alone(data: FashionMNIST, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = replace(TINY, epochs=1)
    fit(recipe, data, tmp_path)
    weights = (tmp_path / "model.weights.h5").read_bytes()
    fit(recipe, data, tmp_path)
    assert "is finished already." in capsys.readouterr().out
    assert len(load_history(tmp_path)) == 1
    assert (tmp_path / "model.weights.h5").read_bytes() == weights
    other = FashionMNIST(data.training.take(np.arange(100)), data.validation, data.test)
    with pytest.raises(ValueError, match="holds a run of another data"):
        fit(recipe, other, tmp_path)
