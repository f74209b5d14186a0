import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from train.networks.architectures import ARCHITECTURES
from train.networks.average import average, main
from train.networks.lineage import lineage_of_run
from train.networks.runs import CONFIG, HISTORY, WEIGHTS, load_config, load_history, load_network

RECIPE = {"architecture": "ann", "epochs": 3}


def write_run(folder: Path, seed: int, recipe: dict[str, Any], network: keras.Model) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(size=weight.shape).astype(np.float32) for weight in network.get_weights()])
    network.save_weights(folder / WEIGHTS)
    config = {"recipe": recipe, "data": {"training": 7}, "command": f"command {seed}", "parents": [], "ancestors": {}}
    (folder / CONFIG).write_text(json.dumps(config))
    (folder / HISTORY).write_text(f"epoch,loss\n0,{seed}.5\n")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    one, other = (write_run(tmp_path / f"{seed}", seed, RECIPE | {"seed": seed}, ARCHITECTURES["ann"]()) for seed in range(2))
    return one, other


def test_every_weight_is_averaged_by_its_share(runs: tuple[Path, Path], tmp_path: Path) -> None:
    average(tmp_path / "mixed", *runs, 0.25)
    one, other, mixed = (load_network(folder).get_weights() for folder in (*runs, tmp_path / "mixed"))
    assert len(mixed) == 4
    for a, b, c in zip(one, other, mixed, strict=True):
        assert np.abs(a - b).max() > 0.5
        np.testing.assert_allclose(c, 0.75 * a + 0.25 * b, atol=1e-6)


def test_what_is_averaged_is_written_down(runs: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "mixed"
    main(["--run", str(run), "--of", str(runs[1]), "--with", str(runs[0]), "--share", "0.25"])
    config = load_config(run)
    assert config["recipe"] == RECIPE | {"seed": 1, "epochs": 0}  # nothing was trained, on nothing
    assert config["data"] == {}
    assert config["command"] == "python -m train.networks.average --run RUN --of OF --with WITH --share 0.25"
    keys = [lineage_of_run(folder).key for folder in runs]
    assert config["parents"] == [{"run": keys[1], "share": 0.75}, {"run": keys[0], "share": 0.25}]
    assert [config["ancestors"][key]["command"] for key in keys] == ["command 0", "command 1"]
    assert load_history(run) == [{"epoch": 0, "loss": 1.5}]


def test_an_average_can_be_averaged_again(runs: tuple[Path, Path], tmp_path: Path) -> None:
    average(tmp_path / "half", *runs, 0.5)
    average(tmp_path / "again", tmp_path / "half", runs[1], 0.5)
    one, other, again = (load_network(folder).get_weights() for folder in (*runs, tmp_path / "again"))
    np.testing.assert_allclose(again[0], 0.25 * one[0] + 0.75 * other[0], atol=1e-6)
    history = lineage_of_run(tmp_path / "again").runs
    assert history.keys() == {lineage_of_run(folder).key for folder in (*runs, tmp_path / "half", tmp_path / "again")}


def test_a_finished_average_is_left_alone(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "mixed"
    average(run, *runs, 0.25)
    before = (run / WEIGHTS).read_bytes()
    average(run, *runs, 0.25)
    assert capsys.readouterr().out == f"{run} is finished already.\n"
    for folder, share in ((run, 0.5), (runs[0], 0.25)):
        with pytest.raises(ValueError, match="holds another run; choose another folder"):
            average(folder, *runs, share)
    assert (run / WEIGHTS).read_bytes() == before


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_share_that_is_none(runs: tuple[Path, Path], tmp_path: Path, share: float) -> None:
    with pytest.raises(ValueError, match=rf"^The share must be above 0 and below 1, received {share}\.$"):
        average(tmp_path / "mixed", *runs, share)
    assert not (tmp_path / "mixed").exists()


def test_an_unfinished_run_is_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (runs[1] / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=rf"^{runs[1]} holds neither the model\.weights\.h5 of a finished run"):
        average(tmp_path / "mixed", *runs, 0.5)
    assert not (tmp_path / "mixed").exists()
