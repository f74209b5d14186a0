"""Bundles of every kind whose networks have a few thousand random weights: for all that does not need right answers."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fashion_classifier import LABELS, Manifest
from fashion_classifier.bundle import MANIFEST, SEGMENTATION_MODEL, TRAINING, sha256
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import FORMAT, PREPROCESSING_VERSION, Expert, ExpertName, FormName, Member
from fashion_classifier.segmentation import MAPS, SIDE
from train.networks.evidence import add_evidence

FORMS_OF_THUMBNAILS: tuple[FormName, ...] = ("canonical",)
FORMS_OF_PHOTOS: dict[str, tuple[FormName, ...]] = {
    "thumbnail": (),
    "one look": ("garment",),
    "two looks": ("garment", "garment mirrored"),
}
WITH_EVIDENCE: tuple[FormName, ...] = ("garment",)
RUN = {"recipe": {"epochs": 1}, "data": {"training": 7}, "command": "python -m train.tiny", "versions": {"keras": "3"}}


def write_bundles(folder: Path) -> dict[str, Path]:
    """Write one bundle of each kind: without an expert for photos, with one of one member, and with one of two."""
    networks = folder / "networks"
    networks.mkdir()
    _dark_is_garment().export(networks / SEGMENTATION_MODEL, format="litert", verbose=False)
    for seed, form in enumerate(FORMS_OF_THUMBNAILS + sum(FORMS_OF_PHOTOS.values(), ())):
        network = _network(FORMS[form].shape, seed, pooled=form in WITH_EVIDENCE)
        network.save(networks / f"{form}.keras")
        network.export(networks / f"{form}.tflite", format="litert", verbose=False)
        assert add_evidence(networks / f"{form}.tflite") == (form in WITH_EVIDENCE)
    return {kind: _bundle(folder / kind.replace(" ", "-"), networks, forms) for kind, forms in FORMS_OF_PHOTOS.items()}


def _bundle(out: Path, networks: Path, forms_of_photos: tuple[FormName, ...]) -> Path:
    out.mkdir()
    shutil.copy(networks / SEGMENTATION_MODEL, out)
    experts: dict[ExpertName, Expert] = {"thumbnail": _expert(out, networks, FORMS_OF_THUMBNAILS, "thumbnail")}
    if forms_of_photos:
        experts["photo"] = _expert(out, networks, forms_of_photos, "photo")
    origins = {path.name: "a" * 12 for path in sorted(out.iterdir()) if path.name != SEGMENTATION_MODEL}
    (out / TRAINING).write_text(json.dumps({"networks": origins, "runs": {"a" * 12: RUN | {"parents": []}}}))
    files = {path.name: sha256(path) for path in sorted(out.iterdir())}
    metrics = {"parameters": 1234}
    manifest = Manifest(FORMAT, "1.0.0", LABELS, PREPROCESSING_VERSION, 0.05, experts, metrics, files)
    (out / MANIFEST).write_text(manifest.to_json())
    return out


def _expert(out: Path, networks: Path, forms: tuple[FormName, ...], name: ExpertName) -> Expert:
    members = []
    for form in forms:
        stem = name if len(forms) == 1 else f"{name}-{form.replace(' ', '-')}"
        for ending in (".keras", ".tflite"):
            shutil.copy(networks / f"{form}{ending}", out / f"{stem}{ending}")
        members.append(Member(form, f"{stem}.tflite", f"{stem}.keras", "tiny", "maps", evidence=form in WITH_EVIDENCE))
    return Expert(1.0, 0.0, (0.0, 1.0), tuple(members))  # all that is as likely as chance is typical


def changed(bundle: Path, out: Path, **values: Any) -> Path:
    """A copy of a bundle with other values in its manifest; `experts__photo__temperature` is one inside others."""
    shutil.copytree(bundle, out)
    change(out, **values)
    return out


def change(folder: Path, **values: Any) -> None:
    """Other values in the manifest of a bundle, as `changed`; a number is a place in a list."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, value in values.items():
        *outer, last = (int(part) if part.isdigit() else part for part in name.split("__"))
        place = manifest
        for part in outer:
            place = place[part]
        place[last] = value
    (folder / MANIFEST).write_text(json.dumps(manifest))


def put(folder: Path, name: str, content: bytes) -> None:
    """Another file in a bundle, with its checksum."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change(folder, files=files | {name: sha256(folder / name)})


def _network(shape: tuple[int, int, int], seed: int, *, pooled: bool) -> keras.Model:
    """A network of what differs within each of sixteen squares of a picture: linear, or of the positive part's mean."""
    inputs = keras.Input(shape)
    side = shape[0] // 4
    x = keras.layers.Conv2D(4, side, strides=side, activation="relu" if pooled else None, name="maps")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x) if pooled else keras.layers.Flatten()(x)
    network = keras.Model(inputs, keras.layers.Dense(len(LABELS))(x))
    rng = np.random.default_rng(seed)
    kernel, offset, dense, bias = (rng.normal(size=weights.shape) for weights in network.get_weights())
    kernel = (kernel - kernel.mean(axis=(0, 1, 2))) / side
    network.set_weights([kernel, offset * 0, dense, bias])
    return network


def _dark_is_garment() -> keras.Model:
    """A segmentation network: garment is what is darker than mid-gray."""
    inputs = keras.Input((SIDE, SIDE, 4))
    x = keras.layers.Conv2D(MAPS, 1, use_bias=False)(keras.layers.AveragePooling2D(2)(inputs))
    network = keras.Model(inputs, x)
    network.set_weights([np.array([[-5, -5], [-5, -5], [-5, -5], [0, 0]], np.float32).reshape(1, 1, 4, MAPS)])
    return network
