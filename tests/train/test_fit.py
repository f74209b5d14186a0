import gc
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from train.architectures import ARCHITECTURES
from train.data import FashionMNIST, Pictures, target
from train.fit import RECIPES, Batches, as_input, fit, set_accuracy
from train.runs import OneCycle, load_config, load_history, load_network

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
    recipe = replace(RECIPES["resnet"], batch_size=32, photo_draws=24)
    one, two = (Batches(thumbnails, thumbnails.take(np.arange(30)), recipe) for _ in range(2))
    assert len(one) == (200 + 24) // 32
    one.start(3)
    two.start(1)
    two.start(3)
    for index in range(len(one)):
        for a, b in zip(one[index], two[index], strict=True):
            np.testing.assert_array_equal(a, b)
    inputs, targets = one[0]
    assert inputs.shape == (32, 28, 28, 1)
    assert inputs.dtype == np.float32
    assert targets.shape == (32, 10)
    assert sorted(one.order[one.order < 200]) == list(range(200))


def test_rare_classes_are_drawn_more_often(thumbnails: Pictures) -> None:
    # 100 pictures of class 0 and 4 of class 1: the shares are sqrt(100) and sqrt(4) of 12
    targets = np.eye(10, dtype=np.float32)[[0] * 100 + [1] * 4]
    others = Pictures(np.zeros((104, 28, 28), np.uint8), targets, ("",) * 104, np.arange(104))
    batches = Batches(thumbnails, others, replace(RECIPES["resnet"], photo_draws=12_000))
    drawn = batches.order[batches.order >= 200] - 200
    assert np.mean(drawn >= 100) == pytest.approx(2 / 12, abs=0.02)


def test_a_run_learns_and_leaves_its_folder(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=15), data, None, {"fashion_mnist": data.validation}, tmp_path, command="the command")
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
    fit(recipe, data, None, {}, tmp_path / "whole")
    start = Batches.start

    def stop(self: Any, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        start(self, epoch)

    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the interrupted logger's open file
        patch.setattr(Batches, "start", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, data, None, {}, tmp_path / "parts")
        gc.collect()
    with pytest.raises(FileNotFoundError, match=r"holds no model\.weights\.h5: finish it first"):
        load_network(tmp_path / "parts")
    fit(recipe, data, None, {}, tmp_path / "parts")
    assert [row["epoch"] for row in load_history(tmp_path / "parts")] == [0, 1, 2]
    for a, b in zip(load_network(tmp_path / "whole").weights, load_network(tmp_path / "parts").weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_a_folder_of_another_recipe_is_not_continued(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=1), data, None, {}, tmp_path)
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(TINY, data, None, {}, tmp_path)


def test_photos_are_trained_on_and_validated(data: FashionMNIST, tmp_path: Path) -> None:
    photos = Pictures(
        data.training.images[:40], np.tile(target(["Sandal", "Sneaker"]), (40, 1)), ("Shoes",) * 40, np.arange(40)
    )
    recipe = replace(RECIPES["resnet"], architecture="cnn", epochs=1, batch_size=40, photo_draws=40)
    fit(recipe, data, photos, {"photos": photos}, tmp_path)
    assert 0 <= load_history(tmp_path)[0]["val_photos_accuracy"] <= 1
    assert load_config(tmp_path)["data"]["training"] == {"fashion-mnist": 160, "photos and street": 40}


def test_a_run_can_start_from_another(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=1), data, None, {}, tmp_path / "first")
    fit(replace(TINY, epochs=1, learning_rate=0.0), data, None, {}, tmp_path / "second", initial=tmp_path / "first")
    assert load_config(tmp_path / "second")["initial"] == load_config(tmp_path / "first")
    for a, b in zip(load_network(tmp_path / "first").weights, load_network(tmp_path / "second").weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_finished_run_is_left_alone(data: FashionMNIST, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = replace(TINY, epochs=1)
    fit(recipe, data, None, {}, tmp_path)
    weights = (tmp_path / "model.weights.h5").read_bytes()
    fit(recipe, data, None, {}, tmp_path)
    assert "is finished already." in capsys.readouterr().out
    assert len(load_history(tmp_path)) == 1
    assert (tmp_path / "model.weights.h5").read_bytes() == weights
    other = FashionMNIST(data.training.take(np.arange(100)), data.validation, data.test)
    with pytest.raises(ValueError, match="holds a run of another data"):
        fit(recipe, other, None, {}, tmp_path)
