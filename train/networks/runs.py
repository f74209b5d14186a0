"""A run folder: what a training leaves behind, resumes from, and the later steps read."""

import argparse
import csv
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fashion_classifier.bundle import MANIFEST, Bundle
from fashion_classifier.manifest import PREPROCESSING_VERSION, ExpertName

if TYPE_CHECKING:  # reports read run folders, and need no Keras for that
    import keras

CONFIG, HISTORY, WEIGHTS, BACKUP = "config.json", "history.csv", "model.weights.h5", "backup"
ANCESTORS = "ancestors"  # in config.json: the records of the runs that this one descends from, by their keys


def load_config(run: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((run / CONFIG).read_text())
    return config


def load_history(run: Path) -> list[dict[str, float]]:
    """One entry an epoch, Keras's names; `CSVLogger` writes NA where there was nothing to measure."""
    with (run / HISTORY).open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value != "NA"} for row in csv.DictReader(file)]


def load_network(run: Path) -> "keras.Model":
    """The run's network in float32, whatever precision it was trained in.

    Raises:
        FileNotFoundError: The run has not been finished.
    """
    weights = run / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{run} holds no {WEIGHTS}: finish it first, with the command in its {CONFIG}.")
    import keras

    from train.networks.architectures import ARCHITECTURES

    keras.mixed_precision.set_global_policy("float32")
    model = ARCHITECTURES[load_config(run)["recipe"]["architecture"]]()
    model.load_weights(weights)
    return model


def weights_of(source: Path, expert: ExpertName = "thumbnail") -> Path:
    """The weights that a finished run left, or the Keras file of a bundle's network for thumbnails or photos.

    Raises:
        FileNotFoundError: The folder holds neither.
        ValueError: The bundle has no network for photos.
    """
    if (source / WEIGHTS).is_file():
        return source / WEIGHTS
    if (source / MANIFEST).is_file():
        return Bundle(source).file(keras_file(Bundle(source), expert))
    raise FileNotFoundError(f"{source} holds neither the {WEIGHTS} of a finished run nor a bundle.")


def load_weights(model: "keras.Model", source: Path, expert: ExpertName = "thumbnail") -> None:
    """Pour into a network what `weights_of` finds, which may be of half precision."""
    import keras

    path = weights_of(source, expert)
    if path.suffix == ".keras":  # `load_weights` does not read those of a graph without a warning
        model.set_weights(keras.models.load_model(path, compile=False).get_weights())
    else:
        model.load_weights(path)


def keras_file(bundle: Bundle, expert: ExpertName = "thumbnail") -> str:
    """The name of the Keras file of a bundle's network for thumbnails or photos; `ValueError` where it has none."""
    if expert not in bundle.manifest.experts:
        raise ValueError(f"{bundle.path} has no network for {expert}s.")
    return bundle.manifest.experts[expert].members[0].keras


class Batches(Protocol):
    """Batches that depend on their epoch, so that a resumed run repeats them."""

    def start(self, epoch: int) -> None: ...
    def __len__(self) -> int: ...


def open_run(run: Path, config: dict[str, Any]) -> bool:
    """Write down what a run will do, or see that the folder holds the same; False where it is finished already.

    Args:
        run: The folder.
        config: Recipe, data, command, parents and ancestors (`train.networks.lineage.descent`). The versions are added.

    Raises:
        ValueError: The folder holds a run of another recipe, other data or another start.
    """
    run.mkdir(parents=True, exist_ok=True)
    config = json.loads(json.dumps(config))  # as it will be read: lists in place of tuples
    if (run / CONFIG).is_file():
        stored = load_config(run)
        for part in ("recipe", "data"):
            if stored[part] != config[part]:
                raise ValueError(f"{run} holds a run of another {part}, {stored[part]}; choose another folder.")
        if stored.get("parents") != config["parents"]:
            raise ValueError(f"{run} holds a run that started from another network; choose another folder.")
    if (run / WEIGHTS).is_file():
        print(f"{run} is finished already.")
        return False
    (run / CONFIG).write_text(
        json.dumps(config | {"preprocessing": PREPROCESSING_VERSION, "versions": versions()}, indent=2) + "\n"
    )
    return True


def is_finished(run: Path, recipe: dict[str, Any], *files: str) -> bool:
    """Whether a folder holds a finished run of this recipe, with these files beside its weights: no picture need be read."""
    if not all((run / name).is_file() for name in (CONFIG, WEIGHTS, *files)):
        return False
    finished: bool = load_config(run)["recipe"] == json.loads(json.dumps(recipe))
    if finished:
        print(f"{run} is finished already.")
    return finished


def finish(
    run: Path, model: "keras.Model", batches: Batches, epochs: int, callbacks: "Sequence[keras.callbacks.Callback]" = ()
) -> None:
    """Train a compiled network to the end, from the start or from the run's last whole epoch, and keep its weights."""
    import keras

    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.start(epoch)),
        *callbacks,
        keras.callbacks.CSVLogger(str(run / HISTORY), append=True),
        keras.callbacks.BackupAndRestore(str(run / BACKUP), delete_checkpoint=False),
    ]
    model.fit(batches, epochs=epochs, shuffle=False, callbacks=callbacks)
    # whole or not at all: weights are what tells a finished run
    unfinished = run / f"unfinished-{WEIGHTS}"
    model.save_weights(unfinished)
    unfinished.replace(run / WEIGHTS)
    shutil.rmtree(run / BACKUP)


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    import keras

    packages = ("keras", keras.backend.backend(), "numpy", "opencv-python-headless", "pillow")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def typed_command(
    module: str, parser: argparse.ArgumentParser, arguments: argparse.Namespace, positional: Sequence[str] = ()
) -> str:
    """What was typed, with the options' names in place of folders, which differ from machine to machine."""
    typed = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {name.upper() if isinstance(value, Path) else value}")
        for name, value in vars(arguments).items()
        if name not in positional and value != parser.get_default(name)
    ]
    return " ".join([f"python -m {module}", *(str(getattr(arguments, name)) for name in positional), *typed])
