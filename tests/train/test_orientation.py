import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier.bundle import ORIENTATION_MODEL
from fashion_classifier.network import Network
from train.networks.orientation_training import Batches, fit, network
from train.networks.recipes import OrientationRecipe
from train.networks.runs import load_config, load_history
from train.networks.thumbnail_training import as_input
from train.orientation import main
from train.pictures.fashion_mnist import Pictures

QUICK = OrientationRecipe(epochs=2, batch_size=100)


def test_batches_are_turned_and_say_so(thumbnails: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.networks.orientation_training.augment", lambda images, rng: images)
    batches = Batches(thumbnails.images, QUICK)
    assert len(batches) == 2
    shown, turns = batches[1]
    upright = as_input(thumbnails.images[batches.order[100:]])
    for one, turn, expected in zip(shown, turns, upright, strict=True):
        np.testing.assert_array_equal(one, np.rot90(expected, turn))
    assert set(turns.tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(batches[1][0], shown)
    batches.start(epoch=1)
    assert not np.array_equal(batches[1][1], turns)


def test_a_run_leaves_its_network(thumbnails: Pictures, tmp_path: Path) -> None:
    fit(QUICK, thumbnails.images, tmp_path, command="the command")
    assert load_config(tmp_path)["command"] == "the command"
    assert len(load_history(tmp_path)) == 2
    trained = network()
    trained.load_weights(tmp_path / "model.weights.h5")
    inputs = as_input(thumbnails.images[:20])
    served = Network(tmp_path / ORIENTATION_MODEL, inputs=(1, 28, 28, 1), outputs=(1, 4)).run(inputs)
    np.testing.assert_allclose(served, trained.predict(inputs, verbose=0), atol=0.02)  # half precision


def test_a_finished_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"recipe": asdict(OrientationRecipe())}))
    (tmp_path / "model.weights.h5").touch()
    (tmp_path / ORIENTATION_MODEL).touch()
    main(["--run", str(tmp_path), "--data", str(tmp_path / "nothing")])
    assert capsys.readouterr().out == f"{tmp_path} is finished already.\n"


def test_missing_data_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--run", str(tmp_path / "run"), "--data", str(tmp_path)])
    assert ended.value.code == 1
    assert "train-images-idx3-ubyte" in capsys.readouterr().err
