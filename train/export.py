"""Make a bundle from finished runs, or from a 28x28 Keras file that someone already has.

    python -m train.export runs/resnet runs/resnet/bundle --version 1.2.0 --segmentation runs/segmentation \
        --photo-run runs/photos --photo-run runs/faded --photos PHOTOS
    python -m train.export old_model.h5 bundles/old --version 0.1.0

Calibrates on validation data, serves thumbnails with int8 weights where validation accuracy stays, checks that the Keras and
the LiteRT networks agree, and writes what it measured into the manifest. Without --segmentation the bundle gets the embedded
bundle's segmentation network; without --photo-run the network for thumbnails answers photos alone. Needs Keras on TensorFlow.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from fashion_classifier import LABELS, Bundle, CanonicalImage, FashionClassifier, Manifest, canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, HDF5_MODEL, LICENCES, MANIFEST, SEGMENTATION_MODEL, sha256
from fashion_classifier.confidence import Float64Array, calibrated, energy
from fashion_classifier.ensemble import Ensemble
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import FORMAT, PREPROCESSING_VERSION, Expert, ExpertName, FormName, Member
from fashion_classifier.preprocessing import SIZE, Segment
from fashion_classifier.segmentation import Segmenter
from train import photos
from train.networks import efficientnet
from train.networks.architectures import FEATURES
from train.networks.calibration import fit_calibration, quantiles
from train.networks.lineage import Lineage, lineage_of_file, lineage_of_record, lineage_of_run, write_history
from train.networks.runs import CONFIG, WEIGHTS, export_float16, form_of, load_config, load_network, versions
from train.pictures.fashion_mnist import FashionMNIST, Pictures, load_fashion_mnist
from train.pictures.phone import PHOTO_LABELS, phone_photos
from train.pictures.targets import target
from train.reports.thumbnails import evaluate
from train.thumbnails import as_input

REFUSED = 0.05  # share of good validation pictures that may be called uncertain: the typicality below which they are
INT8_MARGIN = 0.001  # validation accuracy that int8 weights may cost
DISAGREEMENT = 0.005  # share of test images that the two networks for thumbnails may name differently
LARGEST_DIFFERENCE = 0.05  # of a probability, between the two networks for photos
BATCH = 100  # pictures to a run of a network

Known = tuple[CanonicalImage, npt.NDArray[np.floating]]  # a picture and its target (10,), 1 for every acceptable class


def export(
    source: Path,
    out: Path,
    *,
    version: str,
    data: FashionMNIST,
    segmentation: Path | None = None,
    photo_runs: Sequence[Path] = (),
    pictures: Sequence[Known] = (),
    hdf5: bool = False,
) -> Bundle:
    """Write a bundle.

    Args:
        source: A finished run folder, or a .keras or .h5 file whose network takes 28x28 images and gives ten outputs.
            Such a file can run code when it is loaded: only those that you trust.
        out: Folder of the bundle; a former bundle there is replaced, once the new one is whole.
        version: Of the model, such as "1.0.0".
        data: Fashion-MNIST; its validation part calibrates, its test part is measured.
        segmentation: A finished run of `train.segmentation`, or a bundle; None for the network of the embedded bundle.
        photo_runs: Finished runs of `train.photos`, one for each form whose answers are averaged; none for a bundle without
            an expert for photos.
        pictures: Photos that calibrate these, as the bundle's segmentation network finds their garments, with their targets.
        hdf5: Add fashion_model.h5.

    Raises:
        ValueError: The network has other inputs or outputs, the Keras and the LiteRT networks do not agree, two runs are for
            one form, or there are no photos to calibrate on.
        FileExistsError: The folder holds something other than a bundle.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise FileExistsError(f"{out} holds something other than a bundle; give a new folder, or a bundle's to replace it.")
    forms = [form_of(load_config(run)["recipe"]) for run in photo_runs]
    if len(set(forms)) < len(forms):
        raise ValueError(f"Give one run for each form of photos; these are for {', '.join(map(repr, forms))}.")
    if photo_runs and not pictures:
        raise ValueError("Networks for photos are calibrated on photos: there are none.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{out.name}-") as temporary:
        staged = Path(temporary) / out.name
        staged.mkdir()
        shutil.copy(Path(__file__).parent / LICENCES, staged)
        origins = {SEGMENTATION_MODEL: _add_segmentation(staged, segmentation or DEFAULT_MODEL)}
        experts: dict[ExpertName, Expert] = {}
        experts["thumbnail"], origin, metrics = _add_thumbnail_expert(staged, source, data, hdf5=hdf5)
        origins |= {name: origin for member in experts["thumbnail"].members for name in (member.file, member.keras)}
        if photo_runs:
            experts["photo"], metrics["photos"] = _add_photo_expert(staged, dict(zip(forms, photo_runs, strict=True)), pictures)
            for member, run in zip(experts["photo"].members, photo_runs, strict=True):
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


def _add_segmentation(out: Path, segmentation: Path) -> Lineage:
    shutil.copy(segmentation / SEGMENTATION_MODEL, out)
    if (segmentation / CONFIG).is_file():
        return lineage_of_run(segmentation)
    return lineage_of_file(Bundle(segmentation), SEGMENTATION_MODEL)


def _add_thumbnail_expert(out: Path, source: Path, data: FashionMNIST, *, hdf5: bool) -> tuple[Expert, Lineage, dict[str, Any]]:
    """Write the network for thumbnails; the expert, how the network came to be, and what was measured of it."""
    forms: tuple[FormName, ...] = ("canonical",)
    if source.is_dir():
        network, recipe, origin = load_network(source), load_config(source)["recipe"], lineage_of_run(source)
        architecture = recipe["architecture"]
        if recipe["augmentation"]:  # it has seen mirror images
            forms = ("canonical", "canonical mirrored")
    else:
        network, architecture = adopt(source, data.validation), "custom"
        origin = lineage_of_record({"source": source.name, "versions": versions()})
    layer = explanation_layer(network)
    members = [Member(form, "thumbnail.tflite", "thumbnail.keras", architecture, layer, maps=False) for form in forms]
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
    chosen = "int8"
    if serving["int8"]["validation accuracy"] < serving["float32"]["validation accuracy"] - INT8_MARGIN:
        chosen = "float32"
        network.export(out / "thumbnail.tflite", format="litert", verbose=False)
    if serving[chosen]["test images named differently"] > DISAGREEMENT * len(test):
        raise ValueError(f"The Keras and the LiteRT network do not agree: {serving[chosen]}.")
    expert = calibrated_expert(members, served_logits(out, members, validation), data.validation.targets)
    return (
        expert,
        origin,
        {"parameters": network.count_params(), "serving": {"chosen": chosen, "n": len(test)} | serving},
    )


def _add_photo_expert(out: Path, runs: dict[FormName, Path], pictures: Sequence[Known]) -> tuple[Expert, dict[str, Any]]:
    """Write the networks for photos, one for each form; the expert, and what was measured on the pictures."""
    images = [image for image, _ in pictures]
    truth = np.stack([accepted for _, accepted in pictures])
    members, answers, differences, named_differently, parameters = [], [], [], 0, 0
    for form, run in runs.items():
        name = "photo" if len(runs) == 1 else f"photo-{form.replace(' ', '-')}"
        network = load_photo_network(run)
        member = Member(form, f"{name}.tflite", f"{name}.keras", network.name, efficientnet.FEATURES, maps=False)
        in_half_precision(network).save(out / member.keras)
        export_float16(network, out / member.file)
        expected, found = keras_logits(network, [form], images), served_logits(out, [member], images)
        differences.append(float(np.abs(calibrated(expected, 1) - calibrated(found, 1)).max()))
        if differences[-1] > LARGEST_DIFFERENCE:
            raise ValueError(
                f"The Keras and the LiteRT network in {member.file} differ by {differences[-1]:.3f} in a probability, "
                f"{LARGEST_DIFFERENCE} is allowed."
            )
        named_differently += int(np.sum(expected.argmax(axis=2) != found.argmax(axis=2)))
        parameters += network.count_params()
        members.append(member)
        answers.append(found)
    logits = np.concatenate(answers)
    expert = calibrated_expert(members, logits, truth)
    named = calibrated(logits, expert.temperature).argmax(axis=1)
    return expert, {
        "validation photos": len(images),
        "validation accuracy": float(truth[np.arange(len(truth)), named].mean()),
        "largest difference of a probability": max(differences),
        "named differently": named_differently,
        "parameters": parameters,
    }


def calibrated_expert(members: Sequence[Member], logits: Float64Array, targets: npt.NDArray[np.floating]) -> Expert:
    """Members with the temperature, smoothing and energies that fit what they say of pictures with known targets.

    Args:
        members: Networks that answer together.
        logits: (members, n, 10), theirs.
        targets: (n, 10), 1 for every acceptable class.
    """
    temperature, smoothing = fit_calibration(logits, targets)
    return Expert(temperature, smoothing, quantiles(energy(logits)), tuple(members))


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
    network = photos.network(load_config(run)["recipe"]["look"])
    network.load_weights(run / WEIGHTS)
    return network


def in_half_precision(model: keras.Model) -> keras.Model:
    """A copy whose weights take half the bytes; `explain` computes with them in single precision again."""

    def half(layer: keras.layers.Layer) -> keras.layers.Layer:
        return layer.__class__.from_config(layer.get_config() | {"dtype": "float16"})

    copy = keras.models.clone_model(model, clone_function=half)
    copy.set_weights([weights.astype(np.float16) for weights in model.get_weights()])
    return copy


def phone_pictures(folder: Path, segment: Segment) -> list[Known]:
    """The phone photos of the validation senders that show one of the ten.

    Raises:
        ValueError: There are none.
    """
    found = [
        (image, target(PHOTO_LABELS[phone.label]))
        for phone in phone_photos(folder, "validation")
        if PHOTO_LABELS[phone.label] and (image := canonicalize(phone.photo, segment)).is_photo
    ]
    if not found:
        raise ValueError(f"{folder} holds no photo of one of the ten in the validation split to calibrate on.")
    return found


def adopt(path: Path, validation: Pictures) -> keras.Model:
    """A network from a Keras file as one that takes (n, 28, 28, 1) in [0, 1] and gives logits.

    A softmax at the end is taken off. Whether it wants pixels in [0, 1] or in [0, 255] is measured on validation images.
    """
    stored = keras.models.load_model(path, compile=False, safe_mode=True)
    shape = tuple(stored.input_shape) if isinstance(stored.input_shape, tuple) else stored.input_shape
    if shape not in ((None, SIZE, SIZE), (None, SIZE, SIZE, 1)) or tuple(stored.output_shape) != (None, len(LABELS)):
        raise ValueError(
            f"{path} takes {shape} and gives {stored.output_shape}; needed are (None, 28, 28[, 1]) and (None, {len(LABELS)})."
        )
    candidates = [_rewired(stored, scale, flat=len(shape) == 3) for scale in (1.0, 255.0)]
    truth = validation.targets.argmax(axis=1)
    accuracies = [
        np.mean(model.predict(as_input(validation.images), verbose=0).argmax(axis=1) == truth) for model in candidates
    ]
    return candidates[int(np.argmax(accuracies))]


def _rewired(stored: keras.Model, scale: float, *, flat: bool) -> keras.Model:
    """The layers of a network on our inputs, without the softmax at its end."""
    inputs = keras.Input((SIZE, SIZE, 1))
    x = keras.layers.Rescaling(scale)(inputs) if scale != 1 else inputs
    x = keras.layers.Reshape((SIZE, SIZE))(x) if flat else x

    def linear(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer is stored.layers[-1] and config.get("activation") == "softmax":
            config["activation"] = "linear"
        return layer.__class__.from_config(config)

    last = stored.layers[-1]
    functional = keras.Model(stored.inputs, last.input if isinstance(last, keras.layers.Softmax) else stored.outputs)
    copy = keras.models.clone_model(functional, clone_function=linear)
    copy.set_weights(stored.get_weights())
    for layer in copy.layers[1:] if _is_chain(copy) else [copy]:
        x = layer(x)
    return keras.Model(inputs, x)


def _is_chain(model: keras.Model) -> bool:
    """Whether every layer feeds just the next one, so that they can be called one after the other."""
    return all(
        isinstance(layer.input, keras.KerasTensor) and layer.input is before.output
        for before, layer in zip(model.layers, model.layers[1:], strict=False)
    )


def explanation_layer(network: keras.Model) -> str | None:
    """The layer for class activation maps: the one called "features", else the last convolution."""
    names = [layer.name for layer in network.layers]
    convolutions = [layer.name for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    return FEATURES if FEATURES in names else convolutions[-1] if convolutions else None


def _write(out: Path, manifest: Manifest) -> Bundle:
    files = {path.name: sha256(path) for path in sorted(out.iterdir()) if path.name != MANIFEST}
    (out / MANIFEST).write_text(replace(manifest, files=files).to_json())
    return Bundle(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a finished run folder, or a .keras or .h5 file")
    parser.add_argument("out", type=Path, help="folder of the bundle")
    parser.add_argument("--version", required=True, help='of the model, such as "1.0.0"')
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--segmentation", type=Path, help="a finished run of train.segmentation, or a bundle")
    parser.add_argument(
        "--photo-run", type=Path, action="append", default=[], help="a finished run of train.photos; for each form one"
    )
    parser.add_argument("--photos", type=Path, help="folder of the phone photos, whose validation senders calibrate these")
    parser.add_argument("--h5", action="store_true", help=f"add {HDF5_MODEL}")
    arguments = parser.parse_args()
    if bool(arguments.photo_run) != bool(arguments.photos):
        parser.error("--photo-run and --photos go together: networks for photos are calibrated on photos")
    segmenter = Segmenter((arguments.segmentation or DEFAULT_MODEL) / SEGMENTATION_MODEL)
    bundle = export(
        arguments.source,
        arguments.out,
        version=arguments.version,
        data=load_fashion_mnist(arguments.data),
        segmentation=arguments.segmentation,
        photo_runs=arguments.photo_run,
        pictures=phone_pictures(arguments.photos, segmenter) if arguments.photos else [],
        hdf5=arguments.h5,
    )
    print(bundle.manifest.to_json())


if __name__ == "__main__":
    main()
