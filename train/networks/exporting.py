"""Making a bundle of finished runs, which `train.export` is the command of."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from fashion_classifier import LABELS, Bundle, CanonicalImage, FashionClassifier, Manifest, canonicalize
from fashion_classifier.bundle import (
    DEFAULT_MODEL,
    HDF5_MODEL,
    LICENCES,
    MANIFEST,
    ORIENTATION_MODEL,
    SEGMENTATION_MODEL,
    sha256,
)
from fashion_classifier.confidence import Float64Array, calibrated, energy
from fashion_classifier.ensemble import Ensemble
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import FORMAT, PREPROCESSING_VERSION, Expert, ExpertName, FormName, Member
from fashion_classifier.preprocessing import Segment
from train.networks import efficientnet, photo_training
from train.networks.architectures import FEATURES
from train.networks.calibration import fair_quantiles, fit_calibration, negative_log_likelihood
from train.networks.evidence import add_evidence
from train.networks.lineage import (
    Lineage,
    lineage_of_file,
    lineage_of_record,
    lineage_of_run,
    lineage_of_serving,
    write_history,
)
from train.networks.runs import WEIGHTS, load_config, load_network
from train.networks.serving import export_float16, export_int8
from train.pictures import people, phone, shop
from train.pictures.fashion_mnist import FashionMNIST
from train.pictures.street import street_garments
from train.pictures.targets import target
from train.reports.photos import MARGIN, SMALLEST
from train.reports.thumbnails import evaluate

REFUSED = 0.05  # share of good validation pictures that may be called uncertain: the typicality below which they are
INT8_MARGIN = 0.001  # validation accuracy that int8 weights may cost
INT8_LOSS = 0.01  # negative log-likelihood of validation pictures that computing in int8 may cost
RANGED = 240  # pictures that tell the ranges of maps in int8
DISAGREEMENT = 0.005  # share of test images that the two networks for thumbnails may name differently
LARGEST_DIFFERENCE = 0.05  # of a probability, between the Keras network for photos and that of half precision
MEASURED = ("parameters", "serving")  # of the network for thumbnails, in a manifest's metrics
POOLS = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
BATCH = 100  # pictures to a run of a network

Known = tuple[CanonicalImage, npt.NDArray[np.floating]]  # a picture and its target (10,), 1 for every acceptable class


def export(
    source: Path | keras.Model,
    out: Path,
    *,
    version: str,
    data: FashionMNIST,
    training: dict[str, Any] | None = None,
    segmentation: Path | None = None,
    orientation: Path | None = None,
    photo_runs: Sequence[Path] = (),
    pictures: Mapping[str, Sequence[Known]] = MappingProxyType({}),
    hdf5: bool = False,
) -> Bundle:
    """Write a bundle.

    Args:
        source: A finished run folder, a bundle whose expert for thumbnails is kept as it is, or a network that takes
            (n, 28, 28, 1) float32 in [0, 1] and gives (n, 10) logits.
        out: Folder of the bundle; a former bundle there is replaced, once the new one is whole.
        version: Of the model, such as "1.0.0".
        data: Fashion-MNIST; its validation part calibrates, its test part is measured.
        training: Where a network is from, for the record; runs and bundles say it themselves.
        segmentation: A finished run of `train.segmentation`, or a bundle; None for the network of the embedded bundle.
        orientation: A finished run of `train.orientation`, likewise.
        photo_runs: Finished runs of `train.photos`, one for each form whose answers are averaged; none for a bundle without
            an expert for photos.
        pictures: Photos that calibrate these, by source: as the bundle's segmentation finds their garments, and their targets.
            Every source counts as much as any other.
        hdf5: Add fashion_model.h5.

    Raises:
        ValueError: The Keras and the LiteRT networks do not agree, two runs are for one form, or there are no photos to
            calibrate on.
        FileExistsError: The folder holds something other than a bundle.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise FileExistsError(f"{out} holds something other than a bundle; give a new folder, or a bundle's to replace it.")
    forms = [load_config(run)["recipe"]["form"] for run in photo_runs]
    if len(set(forms)) < len(forms):
        raise ValueError(f"Give one run for each form of photos; these are for {', '.join(map(repr, forms))}.")
    if photo_runs and not pictures:
        raise ValueError("Networks for photos are calibrated on photos: there are none.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{out.name}-") as temporary:
        staged = Path(temporary) / out.name
        staged.mkdir()
        shutil.copy(Path(__file__).parent.parent / LICENCES, staged)
        found_by = {SEGMENTATION_MODEL: segmentation or DEFAULT_MODEL, ORIENTATION_MODEL: orientation or DEFAULT_MODEL}
        origins = {name: _add_serving(staged, source, name) for name, source in found_by.items()}
        experts: dict[ExpertName, Expert] = {}
        experts["thumbnail"], origin, metrics = _add_thumbnail_expert(staged, source, data, training or {}, hdf5=hdf5)
        origins |= {name: origin for member in experts["thumbnail"].members for name in (member.file, member.keras)}
        if photo_runs:
            runs = dict(zip(forms, photo_runs, strict=True))
            experts["photo"], metrics["photos"] = _add_photo_expert(staged, runs, pictures)
            for member in experts["photo"].members:
                run = runs.get(member.form) or next(run for form, run in runs.items() if f"{form} mirrored" == member.form)
                origins |= dict.fromkeys((member.file, member.keras), lineage_of_run(run))
        write_history(staged, origins)
        manifest = Manifest(FORMAT, version, LABELS, PREPROCESSING_VERSION, REFUSED, experts, metrics, files={})
        test = evaluate(FashionClassifier(_write(staged, manifest)), data.test.images, data.test.groups)
        accuracy = {"n": test.n, "accuracy": test.accuracy, "interval": test.interval, "macro f1": test.f1}
        _write(staged, replace(manifest, metrics={"fashion-mnist test": accuracy} | metrics))
        if out.exists():
            shutil.rmtree(out)
        staged.replace(out)
    return Bundle(out)


def _add_serving(out: Path, source: Path, name: str) -> Lineage:
    shutil.copy(source / name, out)
    return lineage_of_serving(source, name)


def _add_thumbnail_expert(
    out: Path, source: Path | keras.Model, data: FashionMNIST, training: dict[str, Any], *, hdf5: bool
) -> tuple[Expert, Lineage, dict[str, Any]]:
    """Write the network for thumbnails; the expert, how the network came to be, and what was measured of it."""
    forms: tuple[FormName, ...] = ("canonical",)
    if not isinstance(source, Path):
        network, architecture, origin = source, "custom", lineage_of_record(training)
    elif (source / MANIFEST).is_file():
        return _copied_thumbnail_expert(out, Bundle(source))
    else:
        network, recipe, origin = load_network(source), load_config(source)["recipe"], lineage_of_run(source)
        architecture = recipe["architecture"]
        if recipe["augmentation"]:  # it has seen mirror images
            forms = ("canonical", "canonical mirrored")
    layer = explanation_layer(network)
    members = [Member(form, "thumbnail.tflite", "thumbnail.keras", architecture, layer, evidence=False) for form in forms]
    network.save(out / "thumbnail.keras")
    if hdf5:
        network.save(out / HDF5_MODEL)
    validation = [canonicalize(image) for image in data.validation.images]
    test = [canonicalize(image) for image in data.test.images]
    truth, expected = data.validation.targets.argmax(axis=1), calibrated(keras_logits(network, forms, test), 1)
    serving: dict[str, dict[str, Any]] = {}
    for name, options in (("float32", {}), ("int8", {"optimizations": [tf.lite.Optimize.DEFAULT]})):
        network.export(out / "thumbnail.tflite", format="litert", verbose=False, **options)
        found = calibrated(served_logits(out, members, test), 1)
        named = calibrated(served_logits(out, members, validation), 1).argmax(axis=1)
        serving[name] = {
            "validation accuracy": float(np.mean(named == truth)),
            "test images named differently": int(np.sum(expected.argmax(axis=1) != found.argmax(axis=1))),
            "largest difference of a probability": float(np.abs(expected - found).max()),
            "bytes": (out / "thumbnail.tflite").stat().st_size,
        }
    agreeing = {name for name, found in serving.items() if found["test images named differently"] <= DISAGREEMENT * len(test)}
    chosen = "int8"
    worse = serving["int8"]["validation accuracy"] < serving["float32"]["validation accuracy"] - INT8_MARGIN
    if worse or "int8" not in agreeing:
        chosen = "float32"
        network.export(out / "thumbnail.tflite", format="litert", verbose=False)
    if chosen not in agreeing:
        raise ValueError(f"The Keras and the LiteRT network do not agree: {serving[chosen]}.")
    if add_evidence(out / "thumbnail.tflite"):
        members = [replace(member, evidence=True) for member in members]
    expert = calibrated_expert(members, served_logits(out, members, validation), data.validation.targets)
    return (
        expert,
        origin,
        {"parameters": network.count_params(), "serving": {"chosen": chosen, "n": len(test)} | serving},
    )


def _copied_thumbnail_expert(out: Path, bundle: Bundle) -> tuple[Expert, Lineage, dict[str, Any]]:
    """A bundle's expert for thumbnails as it is, with what was measured of it."""
    expert, metrics = bundle.manifest.experts["thumbnail"], bundle.manifest.metrics
    for name in {name for member in expert.members for name in (member.file, member.keras)}:
        (out / name).write_bytes(bundle.read(name))
    return (
        expert,
        lineage_of_file(bundle, expert.members[0].keras),
        {part: metrics[part] for part in MEASURED if part in metrics},
    )


def _add_photo_expert(
    out: Path, runs: dict[FormName, Path], pictures: Mapping[str, Sequence[Known]]
) -> tuple[Expert, dict[str, Any]]:
    """Write the networks for photos; the expert, and what was measured on the pictures.

    There is one for each form, which also looks at the form's mirror image, unless another network is for that. It computes
    in int8 where that is as likely.
    """
    images = [image for given in pictures.values() for image, _ in given]
    truth = np.stack([accepted for given in pictures.values() for _, accepted in given])
    sources = np.repeat(list(pictures), [len(given) for given in pictures.values()])
    members: list[Member] = []
    weights = _alike(np.unique(sources, return_inverse=True)[1])
    answers, serving, parameters = [], {}, 0
    for form, run in runs.items():
        name = "photo" if len(runs) == 1 else f"photo-{form.replace(' ', '-')}"
        network = load_photo_network(run)
        files = f"{name}.tflite", f"{name}.keras"
        looks = [form, *(look for look in FORMS if look == f"{form} mirrored" and look not in runs)]
        in_half_precision(network).save(out / files[1])
        seen = [Member(look, *files, network.name, efficientnet.FEATURES, evidence=False) for look in looks]
        found, serving[files[0]] = _serve_photo_network(network, out, seen, images, truth, weights)
        evidence = add_evidence(out / files[0])
        parameters += network.count_params()
        members += [replace(member, evidence=evidence) for member in seen]
        answers.append(found)
    logits = np.concatenate(answers)
    expert = calibrated_expert(members, logits, truth, sources)
    right = truth[np.arange(len(truth)), calibrated(logits, expert.temperature).argmax(axis=1)] > 0
    return expert, {
        "validation": {
            name: {"n": int((sources == name).sum()), "accuracy": float(right[sources == name].mean())} for name in pictures
        },
        "serving": serving,
        "parameters": parameters,
    }


def _serve_photo_network(
    network: keras.Model,
    out: Path,
    members: Sequence[Member],
    images: Sequence[CanonicalImage],
    truth: npt.NDArray[np.floating],
    weights: Float64Array,
) -> tuple[Float64Array, dict[str, Any]]:
    """Write the LiteRT file of members that share a network; what it says of the pictures, and what was measured of it."""
    path, forms = out / members[0].file, [member.form for member in members]
    expected = calibrated(keras_logits(network, forms, images), 1)
    ranged = FORMS[forms[0]].render(images[:: max(1, len(images) // RANGED)])
    logits: dict[str, Float64Array] = {}
    files: dict[str, bytes] = {}
    measured: dict[str, dict[str, Any]] = {}
    for kind, write in (("float16", export_float16), ("int8", partial(export_int8, inputs=ranged))):
        write(network, path)
        logits[kind], files[kind] = served_logits(out, members, images), path.read_bytes()
        found = calibrated(logits[kind], 1)
        measured[kind] = {
            "negative log-likelihood": negative_log_likelihood(found, truth, weights),
            "named differently": int(np.sum(expected.argmax(axis=1) != found.argmax(axis=1))),
            "largest difference of a probability": float(np.abs(expected - found).max()),
            "bytes": len(files[kind]),
        }
    difference = measured["float16"]["largest difference of a probability"]
    if difference > LARGEST_DIFFERENCE:
        raise ValueError(
            f"The Keras and the LiteRT network in {path.name} differ by {difference:.3f} in a probability, "
            f"{LARGEST_DIFFERENCE} is allowed."
        )
    lost = measured["int8"]["negative log-likelihood"] - measured["float16"]["negative log-likelihood"]
    chosen = "int8" if lost <= INT8_LOSS else "float16"
    path.write_bytes(files[chosen])
    return logits[chosen], {"chosen": chosen} | measured


def calibrated_expert(
    members: Sequence[Member],
    logits: Float64Array,
    targets: npt.NDArray[np.floating],
    sources: npt.NDArray[np.str_] | None = None,
) -> Expert:
    """Members with the temperature, smoothing and energies that fit what they say of pictures with known targets.

    Args:
        members: Networks that answer together.
        logits: (members, n, 10), theirs.
        targets: (n, 10), 1 for every acceptable class.
        sources: Which source each picture is from, n names; None for one. All sources count alike.
    """
    groups = np.unique(np.zeros(len(targets), int) if sources is None else sources, return_inverse=True)[1]
    temperature, smoothing = fit_calibration(logits, targets, _alike(groups))
    return Expert(temperature, smoothing, fair_quantiles(energy(logits), groups), tuple(members))


def _alike(groups: npt.NDArray[np.integer]) -> Float64Array:
    """What each picture counts where all groups count alike: (n,), of the number of each picture's group."""
    weights: Float64Array = 1 / np.bincount(groups)[groups]
    return weights


def served_logits(folder: Path, members: Sequence[Member], images: Sequence[CanonicalImage]) -> Float64Array:
    """What LiteRT networks in a folder say of pictures: (members, n, 10)."""
    ensemble = Ensemble(folder, members, lambda name: (folder / name).read_bytes())
    return np.concatenate([ensemble.logits(images[i : i + BATCH]) for i in range(0, len(images), BATCH)], axis=1)


def keras_logits(network: keras.Model, forms: Sequence[FormName], images: Sequence[CanonicalImage]) -> Float64Array:
    """What a Keras network says of pictures in each of the forms: (forms, n, 10)."""
    batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    said = [[network.predict_on_batch(FORMS[form].render(batch)) for batch in batches] for form in forms]
    return np.stack([np.concatenate(parts) for parts in said]).astype(np.float64)


def load_photo_network(run: Path) -> keras.Model:
    """The network of a finished run of `train.photos`."""
    network = photo_training.network()
    network.load_weights(run / WEIGHTS)
    return network


def in_half_precision(model: keras.Model) -> keras.Model:
    """A copy whose weights take half the bytes; `explain` computes with them in single precision again."""

    def half(layer: keras.Operation) -> keras.Operation:
        if not hasattr(layer, "dtype_policy"):
            return layer  # an operation such as a slice computes in what it is given
        return layer.__class__.from_config(layer.get_config() | {"dtype": "float16"})

    copy = keras.models.clone_model(model, clone_function=half)
    copy.set_weights([weights.astype(np.float16) for weights in model.get_weights()])
    return copy


def validation_pictures(
    segment: Segment,
    *,
    photos: Path,
    street: Path | None = None,
    shop_folder: Path | None = None,
    people_folder: Path | None = None,
) -> dict[str, list[Known]]:
    """The validation pictures of the ten, by source: what calibrates a network for photos.

    Raises:
        ValueError: There are no such phone photos.
    """
    listed = {"phone photos": phone.rows(photos, "validation")}
    if shop_folder:
        listed["shop products"] = shop.rows(shop_folder, "validation")
    if people_folder:
        listed["people in the street"] = people.rows(people_folder, "validation")
    found = {
        name: [
            (image, target(row.accepted))
            for row in rows
            if row.accepted and (image := canonicalize(row.path, segment)).is_photo
        ]
        for name, rows in listed.items()
    }
    if not found["phone photos"]:
        raise ValueError(f"{photos} holds no photo of one of the ten in the validation split to calibrate on.")
    if street:
        found["street garments"] = [
            (canonicalize(garment.crop(MARGIN)[0], segment), target(garment.accepted))
            for garment in street_garments(street, "validation", smallest=SMALLEST)
            if garment.accepted
        ]
    return found


def explanation_layer(network: keras.Model) -> str | None:
    """The layer for class activation maps: the one before global pooling, or called "features", or the last convolution."""
    pools = [layer for layer in network.layers if isinstance(layer, POOLS)]
    if pools:
        return str(next(layer.name for layer in network.layers if layer.output is pools[-1].input))
    names = [layer.name for layer in network.layers]
    convolutions = [layer.name for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    return FEATURES if FEATURES in names else convolutions[-1] if convolutions else None


def _write(out: Path, manifest: Manifest) -> Bundle:
    files = {path.name: sha256(path) for path in sorted(out.iterdir()) if path.name != MANIFEST}
    (out / MANIFEST).write_text(replace(manifest, files=files).to_json())
    return Bundle(out)
