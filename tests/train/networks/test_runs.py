import argparse
import gc
import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier.bundle import DEFAULT_MODEL
from fashion_classifier.manifest import PREPROCESSING_VERSION
from train.networks.runs import (
    BACKUP,
    CONFIG,
    HISTORY,
    WEIGHTS,
    Batches,
    finish,
    is_finished,
    load_config,
    load_history,
    open_run,
    typed_command,
    versions,
    weights_of,
)

Float32Array = npt.NDArray[np.float32]

RUN: dict[str, Any] = {
    "recipe": {"epochs": 3, "seed": 0},
    "data": {"photos": 20},
    "command": "python -m train",
    "parents": [],
    "ancestors": {},
}


def test_a_new_run_is_written_down(tmp_path: Path) -> None:
    assert open_run(tmp_path / "runs" / "one", RUN)
    config = load_config(tmp_path / "runs" / "one")
    assert config == RUN | {"preprocessing": PREPROCESSING_VERSION, "versions": versions()}
    assert config["versions"]["keras"] == keras.__version__
    assert config["versions"]["numpy"] == np.__version__


def test_an_unfinished_run_is_opened_again(tmp_path: Path) -> None:
    open_run(tmp_path, RUN)
    assert open_run(tmp_path, RUN | {"command": "typed in another way"})
    assert load_config(tmp_path)["command"] == "typed in another way"


def test_a_finished_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_run(tmp_path, RUN)
    (tmp_path / WEIGHTS).touch()
    before = (tmp_path / CONFIG).read_text()
    assert not open_run(tmp_path, RUN | {"command": "another"})
    assert capsys.readouterr().out == f"{tmp_path} is finished already.\n"
    assert (tmp_path / CONFIG).read_text() == before


def test_a_finished_run_is_known_without_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe: dict[str, Any] = RUN["recipe"]
    assert not is_finished(tmp_path / "none", recipe)
    open_run(tmp_path, RUN)
    assert not is_finished(tmp_path, recipe)
    (tmp_path / WEIGHTS).touch()
    assert not is_finished(tmp_path, recipe, "network.tflite")
    assert not is_finished(tmp_path, recipe | {"seed": 7})
    assert capsys.readouterr().out == ""
    assert is_finished(tmp_path, recipe)
    assert capsys.readouterr().out == f"{tmp_path} is finished already.\n"


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(("part", "other"), [("recipe", {"epochs": 4, "seed": 0}), ("data", {"photos": 21})])
def test_a_folder_of_another_run_is_refused(tmp_path: Path, finished: bool, part: str, other: dict[str, int]) -> None:
    open_run(tmp_path, RUN)
    if finished:
        (tmp_path / WEIGHTS).touch()
    with pytest.raises(ValueError, match=rf"holds a run of another {part}, \{{.*\}}; choose another folder\.$") as caught:
        open_run(tmp_path, RUN | {part: other})
    assert str(RUN[part]) in str(caught.value)
    assert json.loads((tmp_path / CONFIG).read_text())[part] == RUN[part]


def test_a_folder_of_another_start_is_refused(tmp_path: Path) -> None:
    open_run(tmp_path, RUN | {"parents": [{"run": "0123456789ab", "share": 1.0}]})
    with pytest.raises(ValueError, match=r"holds a run that started from another network; choose another folder\.$"):
        open_run(tmp_path, RUN)
    assert open_run(tmp_path, RUN | {"parents": [{"run": "0123456789ab", "share": 1.0}]})


def test_weights_of_a_run_and_of_a_bundle(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).touch()
    assert weights_of(tmp_path) == tmp_path / WEIGHTS
    folder = tiny_bundles["two looks"]
    assert weights_of(folder) == folder / "thumbnail.keras"
    assert weights_of(DEFAULT_MODEL, "photo") == DEFAULT_MODEL / "photo.keras"
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=r"holds neither the model\.weights\.h5 of a finished run nor a bundle\.$"):
        weights_of(tmp_path)
    with pytest.raises(ValueError, match=r"has no network for photos\.$"):
        weights_of(tiny_bundles["thumbnail"], "photo")


class Line(keras.utils.PyDataset):
    """Points of y = 2 x, other ones in every epoch."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.started: list[int] = []
        self.stop_at = stop_at
        self.epoch = 0

    def start(self, epoch: int) -> None:
        if epoch == self.stop_at:
            raise KeyboardInterrupt
        self.started.append(epoch)
        self.epoch = epoch

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Float32Array, Float32Array]:
        x = np.random.default_rng((self.epoch, index)).normal(size=(4, 1)).astype(np.float32)
        return x, 2 * x


def straight() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])


def compiled(**options: Any) -> keras.Model:
    model = straight()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, **options), "mse")
    return model


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    whole, parts = compiled(), compiled()
    batches: Batches = Line()
    finish(tmp_path / "whole", whole, batches, epochs=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the interrupted logger's open file
        with pytest.raises(KeyboardInterrupt):
            finish(tmp_path / "parts", parts, Line(stop_at=2), epochs=4)
        gc.collect()
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    assert (tmp_path / "parts" / BACKUP).is_dir()
    resumed, rest = compiled(), Line()
    finish(tmp_path / "parts", resumed, rest, epochs=4)
    assert rest.started == [2, 3]
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {WEIGHTS, HISTORY}
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    histories = [load_history(tmp_path / folder) for folder in ("whole", "parts")]
    assert [row["epoch"] for row in histories[1]] == [0, 1, 2, 3]
    assert [row["loss"] for row in histories[1]] == pytest.approx([row["loss"] for row in histories[0]], rel=1e-4)
    fresh = straight()
    fresh.load_weights(tmp_path / "parts" / WEIGHTS)
    np.testing.assert_array_equal(fresh.get_weights()[0], resumed.get_weights()[0])


def test_weights_that_cannot_be_written_leave_the_run_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = keras.Model.save_weights

    def full(self: keras.Model, filepath: Path | str, **options: Any) -> None:
        if str(filepath).endswith(f"unfinished-{WEIGHTS}"):
            Path(filepath).write_bytes(b"a part")
            raise OSError(28, "No space left on device")
        save(self, filepath, **options)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save_weights", full)
        with pytest.raises(OSError, match="No space left"):
            finish(tmp_path, compiled(), Line(), epochs=2)
    assert not (tmp_path / WEIGHTS).exists()
    rest = Line()
    finish(tmp_path, compiled(), rest, epochs=2)
    assert rest.started == []  # only the weights were missing
    assert (tmp_path / WEIGHTS).is_file()


def test_averaged_weights_are_those_that_are_kept(tmp_path: Path) -> None:
    # an average that nothing moves: it stays where the first step led, from y = x against the gradient of (x - 2 x)^2
    finish(tmp_path, compiled(use_ema=True, ema_momentum=1.0), Line(), epochs=2)
    x, _ = Line()[0]
    fresh = straight()
    fresh.load_weights(tmp_path / WEIGHTS)
    slope, offset = fresh.get_weights()
    assert slope.item() == pytest.approx(1 + 0.1 * 2 * np.mean(x**2), abs=1e-6)
    assert offset.item() == pytest.approx(0.1 * 2 * np.mean(x), abs=1e-6)


def test_callbacks_may_add_to_the_history(tmp_path: Path) -> None:
    def measure(epoch: int, logs: dict[str, float]) -> None:
        logs["val_accuracy"] = 0.5 + epoch / 10

    finish(tmp_path, compiled(), Line(), 2, [keras.callbacks.LambdaCallback(on_epoch_end=measure)])
    assert [row["val_accuracy"] for row in load_history(tmp_path)] == [0.5, 0.6]


def test_a_history_has_no_entry_where_nothing_was_measured(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,loss,val_accuracy\n0,1.5,NA\n1,1.25,0.75\n")
    assert load_history(tmp_path) == [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 1.25, "val_accuracy": 0.75}]


def test_what_was_typed_names_no_folder_of_this_machine() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--street", type=Path)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--epochs", type=int, default=14)
    typed = ["resnet", "--run", "/home/someone/runs/1", "--photos", "/data/p", "--batch-size", "300", "--epochs", "14"]
    command = typed_command("train.thumbnails", parser, parser.parse_args(typed), ["recipe"])
    assert command == "python -m train.thumbnails resnet --run RUN --photos PHOTOS --batch-size 300"
    command = typed_command("train.thumbnails", parser, parser.parse_args(["ann", "--epochs", "15"]), ["recipe"])
    assert command == "python -m train.thumbnails ann --epochs 15"
    parser.add_argument("--refit", action="store_true")
    command = typed_command("train.thumbnails", parser, parser.parse_args(["ann", "--refit"]), ["recipe"])
    assert command == "python -m train.thumbnails ann --refit"
