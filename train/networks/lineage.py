"""How networks came to be: records of runs, flat, each under the hash of what it says.

A run starts from the average of its parents' weights, each with its share, or without parents afresh, and trains as its recipe
says; where that has no epochs the run is that average and nothing more. A record names parents by their keys, so that no record
holds another one. A bundle keeps the records in training.json, with the key of the run that each of its files is from; a run
folder keeps its own in config.json, with those of its ancestors.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_classifier.bundle import TRAINING, Bundle
from fashion_classifier.manifest import ExpertName
from train.networks.runs import ANCESTORS, CONFIG, keras_file, load_config

Record = dict[str, Any]


@dataclass(frozen=True)
class Lineage:
    """The key of a run, and under their keys its record and those of its ancestors."""

    key: str
    runs: dict[str, Record]

    @property
    def record(self) -> Record:
        return self.runs[self.key]


def key_of(record: Record) -> str:
    """12 hex digits of the SHA-256 of a record in JSON."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def lineage_of_record(record: Record) -> Lineage:
    """That of a network without parents, such as one from elsewhere."""
    record = record | {"parents": []}
    return Lineage(key_of(record), {key_of(record): record})


def lineage_of_run(run: Path) -> Lineage:
    """Raises `ValueError` for a run that does not say so."""
    record = load_config(run)
    if ANCESTORS not in record:
        raise ValueError(f"{run / CONFIG} says nothing of ancestors: use the version of this project that the run is from.")
    ancestors = record.pop(ANCESTORS)
    return Lineage(key_of(record), {key_of(record): record} | ancestors)


def lineage_of_file(bundle: Bundle, name: str) -> Lineage:
    """That of a bundle's network; one that the bundle's history does not know has nothing but its source."""
    networks, runs = history_of(bundle)
    if name not in networks:
        return lineage_of_record({"source": f"{name} of version {bundle.manifest.version}"})
    known: dict[str, Record] = {}
    keys = [networks[name]]
    while keys:
        if (key := keys.pop()) not in known:
            known[key] = runs[key]
            keys += [parent["run"] for parent in runs[key]["parents"]]
    return Lineage(networks[name], known)


def lineage_of_serving(source: Path, name: str) -> Lineage:
    """That of the .tflite file in a finished run of `train.segmentation` or `train.orientation`, or in a bundle."""
    return lineage_of_run(source) if (source / CONFIG).is_file() else lineage_of_file(Bundle(source), name)


def lineage_of(source: Path, expert: ExpertName = "thumbnail") -> Lineage:
    """That of the network that `weights_of` finds."""
    if (source / CONFIG).is_file():
        return lineage_of_run(source)
    return lineage_of_file(Bundle(source), keras_file(Bundle(source), expert))


def descent(parents: Sequence[tuple[Path, float]], expert: ExpertName = "thumbnail") -> dict[str, Any]:
    """What a run folder says of the networks that its own starts from.

    Args:
        parents: Finished runs or bundles, and the shares of their weights.
        expert: Which network of a bundle is meant.
    """
    lineages = [(lineage_of(source, expert), share) for source, share in parents]
    return {
        "parents": [{"run": lineage.key, "share": share} for lineage, share in lineages],
        ANCESTORS: {key: record for lineage, _ in lineages for key, record in lineage.runs.items()},
    }


def write_history(folder: Path, networks: dict[str, Lineage]) -> None:
    """Write a bundle's training.json: of each file how its network came to be."""
    runs = {key: record for lineage in networks.values() for key, record in lineage.runs.items()}
    history = {"networks": {name: lineage.key for name, lineage in networks.items()}, "runs": runs}
    (folder / TRAINING).write_text(json.dumps(history, indent=2) + "\n")


def history_of(bundle: Bundle) -> tuple[dict[str, str], dict[str, Record]]:
    """A bundle's files with the keys of their runs, and the records of these and of their ancestors."""
    if TRAINING not in bundle.manifest.files:
        return {}, {}
    history = json.loads(bundle.read(TRAINING))
    return history["networks"], history["runs"]
