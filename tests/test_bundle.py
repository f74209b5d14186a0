import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from fashion_classifier import Bundle, InvalidBundleError, ModelIntegrityError
from fashion_classifier.bundle import DEFAULT_MODEL, KERAS_MODEL, MANIFEST, SERVING_MODEL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded bundle."""
    return Path(shutil.copytree(DEFAULT_MODEL, tmp_path / "bundle"))


def change(folder: Path, **values: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_embedded_bundle_is_whole() -> None:
    bundle = Bundle(DEFAULT_MODEL)
    assert set(bundle.networks) <= bundle.manifest.files.keys()
    for name in bundle.manifest.files:
        assert bundle.file(name).stat().st_size < 10_000_000
    assert bundle.manifest.to_json() == (DEFAULT_MODEL / MANIFEST).read_text()


@pytest.mark.parametrize("name", [KERAS_MODEL, SERVING_MODEL])
def test_a_changed_byte_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        ModelIntegrityError, match=rf"{name} has the checksum [0-9a-f]{{64}}, it should have [0-9a-f]{{64}}: it was changed"
    ):
        Bundle(folder).file(name)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / SERVING_MODEL).unlink()
    with pytest.raises(InvalidBundleError, match=r"cannot read model\.tflite: No such file"):
        Bundle(folder).file(SERVING_MODEL)


def test_a_file_outside_the_manifest_is_refused(folder: Path) -> None:
    (folder / "extra.keras").write_bytes(b"")
    listed = sorted(json.loads((folder / MANIFEST).read_text())["files"])
    with pytest.raises(InvalidBundleError, match=re.escape(f"its manifest lists no extra.keras, only {listed}.")):
        Bundle(folder).file("extra.keras")


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundleError, match=r"cannot read manifest\.json: No such file"):
        _ = Bundle(tmp_path).manifest


def test_manifest_is_not_json(folder: Path) -> None:
    (folder / MANIFEST).write_text("version: 1")
    with pytest.raises(InvalidBundleError, match=r"manifest\.json is not JSON: Expecting value"):
        _ = Bundle(folder).manifest


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"labels": None}, r"manifest\.json has None for labels\."),
        ({"files": None}, r"has None for files\."),
        ({"files": {"../x": "0"}}, r"has \{'\.\./x': '0'\} for files\."),
        ({"temperature": 0}, r"has 0 for temperature\."),
        ({"temperature": float("nan")}, r"has nan for temperature\."),
        ({"smoothing": 1}, r"has 1 for smoothing\."),
        ({"smoothing": -0.1}, r"has -0\.1 for smoothing\."),
        ({"smoothing": None}, r"has None for smoothing\."),
        ({"energies": [2.0]}, r"has \[2\.0\] for energies\."),
        ({"energies": [2.0, 1.0]}, r"has \[2\.0, 1\.0\] for energies\."),
        ({"energies": [1.0, "x"]}, r"has \[1\.0, 'x'\] for energies\."),
        ({"energies": [False, True]}, r"has \[False, True\] for energies\."),
        ({"uncertain_below": 1.5}, r"has 1\.5 for uncertain_below\."),
        ({"uncertain_below": -0.1}, r"has -0\.1 for uncertain_below\."),
        ({"uncertain_below": "x"}, r"has 'x' for uncertain_below\."),
        ({"flip": 1}, r"has 1 for flip\."),
        (
            {"format": 4},
            r"manifest\.json has format 4, this package reads 5\. It was made for an older version of this package",
        ),
        ({"format": 6}, r"has format 6, this package reads 5\. It was made for a newer version of this package: update"),
        ({"photo": {}}, r"has \{\} for photo\."),
        ({"surprise": 1}, r"lacks \[\] and has unknown \['surprise'\]\."),
        ({"labels": ["Hat"]}, r"its labels are \('Hat',\), this package knows \('T-shirt/top',"),
        ({"preprocessing": "0"}, r"it was made for preprocessing version '0', this package has"),
    ],
)
def test_a_manifest_for_something_else(folder: Path, values: dict[str, Any], message: str) -> None:
    change(folder, **values)
    with pytest.raises(InvalidBundleError, match=message) as caught:
        _ = Bundle(folder).manifest
    assert caught.value.path == folder


@pytest.mark.parametrize(
    "values",
    [
        {"energies": []},
        {"energies": [1.0, 0.0]},
        {"energies": [0.0, float("nan")]},
        {"energies": None},
        {"temperature": 0},
        {"temperature": float("inf")},
        {"smoothing": 1.0},
        {"smoothing": "0"},
        {"architectures": ["one", ""]},
        {"architectures": ["one"]},
        {"architectures": "two"},
        {"explanation_layer": None},
        {"explanation_layer": ""},
        {"training": [{}]},
        {"training": [{}, []]},
        {"training": {}},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_network_for_photos_that_cannot_be_used(folder: Path, values: dict[str, Any]) -> None:
    change(folder, photo=json.loads((folder / MANIFEST).read_text())["photo"] | values)
    with pytest.raises(InvalidBundleError, match=r"manifest\.json has \{'architectures': .*\} for photo\.$"):
        _ = Bundle(folder).manifest


def test_a_network_for_photos_that_lacks_something(folder: Path) -> None:
    photo = json.loads((folder / MANIFEST).read_text())["photo"]
    del photo["energies"]
    change(folder, photo=photo)
    with pytest.raises(InvalidBundleError, match=r"for photo\.$"):
        _ = Bundle(folder).manifest


def test_networks_are_those_that_are_used(folder: Path) -> None:
    always = {"model.keras", "model.tflite", "segmentation.tflite"}
    assert set(Bundle(folder).networks) == always | {"photo.keras", "photo.tflite", "faded.tflite"}
    change(folder, photo=None)
    assert Bundle(folder).manifest.photo is None
    assert set(Bundle(folder).networks) == always


def test_a_manifest_that_is_a_list(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")
    with pytest.raises(InvalidBundleError, match="has format 'list'"):
        _ = Bundle(folder).manifest
