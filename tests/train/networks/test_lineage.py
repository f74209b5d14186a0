import hashlib
import json
import re
from pathlib import Path

import pytest

from fashion_classifier import Bundle
from fashion_classifier.bundle import DEFAULT_MODEL, SEGMENTATION_MODEL, TRAINING
from tests.tiny_bundles import RUN, changed
from train.networks.lineage import (
    Lineage,
    descent,
    history_of,
    key_of,
    lineage_of,
    lineage_of_file,
    lineage_of_record,
    lineage_of_run,
    write_history,
)
from train.networks.runs import CONFIG, open_run


def write_run(folder: Path, seed: int, *parents: tuple[Path, float]) -> Path:
    open_run(folder, {"recipe": {"seed": seed}, "data": {"training": 7}, "command": f"command {seed}"} | descent(parents))
    return folder


@pytest.fixture
def chain(tmp_path: Path) -> dict[str, Path]:
    """A run, another one that starts from it, and the average of both."""
    first = write_run(tmp_path / "first", 1)
    second = write_run(tmp_path / "second", 2, (first, 1.0))
    return {"first": first, "second": second, "mean": write_run(tmp_path / "mean", 3, (second, 0.75), (first, 0.25))}


def test_a_key_is_the_hash_of_what_a_record_says() -> None:
    record = {"recipe": {"seed": 1, "epochs": 2}, "parents": []}
    text = '{"parents":[],"recipe":{"epochs":2,"seed":1}}'
    assert key_of(record) == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert key_of({"parents": [], "recipe": {"epochs": 2, "seed": 1}}) == key_of(record)
    assert key_of(record | {"recipe": {"seed": 2, "epochs": 2}}) != key_of(record)


def test_parents_are_named_and_their_records_carried_along(chain: dict[str, Path]) -> None:
    first, second, mean = (lineage_of_run(folder) for folder in chain.values())
    assert first.record["parents"] == []
    assert second.record["parents"] == [{"run": first.key, "share": 1.0}]
    assert mean.record["parents"] == [{"run": second.key, "share": 0.75}, {"run": first.key, "share": 0.25}]
    assert mean.runs == {lineage.key: lineage.record for lineage in (first, second, mean)}
    assert all(key_of(record) == key for key, record in mean.runs.items())
    assert "ancestors" not in mean.record


def test_a_bundle_keeps_the_history_flat(chain: dict[str, Path], tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    first, mean = lineage_of_run(chain["first"]), lineage_of_run(chain["mean"])
    folder = changed(tiny_bundles["thumbnail"], tmp_path / "bundle")
    write_history(folder, {"thumbnail.tflite": mean, "thumbnail.keras": mean, SEGMENTATION_MODEL: first})
    history = json.loads((folder / TRAINING).read_text())
    assert history["networks"] == {"thumbnail.tflite": mean.key, "thumbnail.keras": mean.key, SEGMENTATION_MODEL: first.key}
    assert history["runs"] == mean.runs


def test_what_a_bundle_knows_of_a_network(tiny_bundles: dict[str, Path]) -> None:
    bundle = Bundle(tiny_bundles["two looks"])
    known = Lineage("a" * 12, {"a" * 12: RUN | {"parents": []}})
    assert lineage_of_file(bundle, "photo-garment.keras") == known
    assert lineage_of(bundle.path) == known
    unknown = lineage_of_file(bundle, SEGMENTATION_MODEL)
    assert unknown == lineage_of_record({"source": "segmentation.tflite of version 1.0.0"})
    assert unknown.record == {"source": "segmentation.tflite of version 1.0.0", "parents": []}


def test_a_network_of_the_embedded_bundle_has_its_own_ancestors_alone() -> None:
    networks, runs = history_of(Bundle(DEFAULT_MODEL))
    parts = [lineage_of_file(Bundle(DEFAULT_MODEL), name).runs for name in networks if name.endswith(".tflite")]
    assert len(parts) == 4
    assert {key for part in parts for key in part} == runs.keys()


def test_a_run_of_before_is_refused(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(json.dumps({"recipe": {}, "initial": None}))
    problem = f"{tmp_path / CONFIG} says nothing of ancestors: use the version of this project that the run is from."
    with pytest.raises(ValueError, match=re.escape(problem)):
        lineage_of_run(tmp_path)
