import json
import re
from pathlib import Path

import pytest

from fashion_classifier import Bundle, InvalidBundleError, ModelIntegrityError
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST, ORIENTATION_MODEL, SEGMENTATION_MODEL, TRAINING, sha256
from fashion_classifier.manifest import MOST_BYTES
from tests.tiny_bundles import change, changed
from train.networks.lineage import key_of

NETWORK = "thumbnail.tflite"


@pytest.fixture
def folder(tiny_bundles: dict[str, Path], tmp_path: Path) -> Path:
    return changed(tiny_bundles["two looks"], tmp_path / "bundle")


def test_the_embedded_bundle_is_whole() -> None:
    bundle = Bundle(DEFAULT_MODEL)
    assert {*bundle.networks, TRAINING} <= bundle.manifest.files.keys()
    for name in bundle.manifest.files:
        assert len(bundle.read(name)) < 10_000_000
    assert {path.name for path in DEFAULT_MODEL.iterdir()} == {MANIFEST, *bundle.manifest.files}
    assert bundle.manifest.to_json() == (DEFAULT_MODEL / MANIFEST).read_text()


def test_the_embedded_history_is_flat_and_whole() -> None:
    history = json.loads(Bundle(DEFAULT_MODEL).read(TRAINING))
    networks, runs = history["networks"], history["runs"]
    assert {key_of(run) for run in runs.values()} == runs.keys()
    members = [member for expert in Bundle(DEFAULT_MODEL).manifest.experts.values() for member in expert.members]
    finding = (SEGMENTATION_MODEL, ORIENTATION_MODEL)
    assert networks.keys() == {*finding, *(name for member in members for name in (member.file, member.keras))}
    parents = [parent["run"] for run in runs.values() for parent in run["parents"]]
    assert {*networks.values(), *parents} == runs.keys()
    for run in runs.values():
        assert sum(parent["share"] for parent in run["parents"]) == (1 if run["parents"] else 0)
        assert not {"initial", "averaged"} & run.keys()


def test_a_file_is_read_where_it_is_what_the_manifest_says(folder: Path) -> None:
    assert Bundle(folder).read(NETWORK) == (folder / NETWORK).read_bytes()
    assert Bundle(folder).file(NETWORK) == folder / NETWORK
    assert Bundle(folder).manifest.files[NETWORK] == sha256(folder / NETWORK)


@pytest.mark.parametrize("name", ["thumbnail.keras", NETWORK])
def test_a_changed_byte_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    for read in (Bundle(folder).read, Bundle(folder).file):
        with pytest.raises(
            ModelIntegrityError, match=rf"{name} has the checksum [0-9a-f]{{64}}, it should have [0-9a-f]{{64}}: it was changed"
        ):
            read(name)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / NETWORK).unlink()
    with pytest.raises(InvalidBundleError, match=r"cannot read thumbnail\.tflite: No such file"):
        Bundle(folder).read(NETWORK)


def test_a_file_outside_the_manifest_is_refused(folder: Path) -> None:
    (folder / "extra.keras").write_bytes(b"")
    listed = sorted(json.loads((folder / MANIFEST).read_text())["files"])
    with pytest.raises(InvalidBundleError, match=re.escape(f"its manifest lists no extra.keras, only {listed}.")):
        Bundle(folder).read("extra.keras")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundleError, match=r"cannot read manifest\.json: No such file"):
        _ = Bundle(tmp_path).manifest


def test_a_manifest_that_is_none(folder: Path) -> None:
    change(folder, version=5)
    problem = r"bundle is not a usable model bundle: manifest\.json has 5 for version; allowed is up to 40 letters"
    with pytest.raises(InvalidBundleError, match=problem) as caught:
        _ = Bundle(folder).manifest
    assert caught.value.path == folder


def test_no_more_is_read_of_a_manifest_than_is_allowed(folder: Path) -> None:
    with (folder / MANIFEST).open("r+b") as file:
        file.truncate(10**12)  # sparse: it would not fit into memory
    with pytest.raises(InvalidBundleError, match=rf"manifest\.json has more than {MOST_BYTES:,} bytes"):
        _ = Bundle(folder).manifest


def test_a_bundle_needs_a_network_for_segmentation(folder: Path) -> None:
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change(folder, files={name: checksum for name, checksum in files.items() if name != SEGMENTATION_MODEL})
    with pytest.raises(InvalidBundleError, match=r"manifest\.json lists no segmentation\.tflite in files\.$"):
        _ = Bundle(folder).manifest


def test_networks_are_those_that_are_used(tiny_bundles: dict[str, Path]) -> None:
    always = {"segmentation.tflite", "thumbnail.tflite"}
    assert set(Bundle(tiny_bundles["thumbnail"]).networks) == always
    assert set(Bundle(tiny_bundles["one look"]).networks) == always | {"photo.tflite"}
    of_two = {"photo-garment.tflite", "photo-garment-mirrored.tflite"}
    assert set(Bundle(tiny_bundles["two looks"]).networks) == always | of_two
