"""A run folder: what `train.fit` leaves behind and the later steps read."""

import csv
import json
from pathlib import Path
from typing import Any

import keras

from train.architectures import ARCHITECTURES

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "model.weights.h5"


def load_config(run: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((run / CONFIG).read_text())
    return config


def load_history(run: Path) -> list[dict[str, float]]:
    """One entry an epoch, Keras's names; `CSVLogger` writes NA where there was nothing to measure."""
    with (run / HISTORY).open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value != "NA"} for row in csv.DictReader(file)]


def load_network(run: Path) -> keras.Model:
    """The run's network in float32, whatever precision it was trained in.

    Raises:
        FileNotFoundError: The run has not been finished.
    """
    weights = run / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{run} holds no {WEIGHTS}: finish it first, with the command in its {CONFIG}.")
    keras.mixed_precision.set_global_policy("float32")
    model = ARCHITECTURES[load_config(run)["recipe"]["architecture"]]()
    model.load_weights(weights)
    return model
