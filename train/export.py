"""Make a bundle from a finished run.

    python -m train.export runs/resnet runs/resnet/bundle --version 1.2.0 --segmentation runs/segmentation \
        --photo-run runs/photos --faded-run runs/faded --photos PHOTOS

A Keras file that someone already has becomes one with `python -m train.adopt`.
Calibrates on validation data, serves int8 weights where validation accuracy stays, checks that the Keras and the LiteRT
network agree on the whole test set, and writes what it measured into the manifest. Without --segmentation the bundle gets the
embedded bundle's segmentation network; without --photo-run and --faded-run the network for thumbnails answers photos alone.
Needs Keras on TensorFlow.
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from fashion_classifier import LABELS, Bundle, FashionClassifier, Manifest
from fashion_classifier.bundle import (
    DEFAULT_MODEL,
    FORMAT,
    HDF5_MODEL,
    KERAS_MODEL,
    LICENCES,
    MANIFEST,
    PREPROCESSING_VERSION,
    SEGMENTATION_MODEL,
    SERVING_MODEL,
    sha256,
)
from fashion_classifier.confidence import Float64Array, calibrated, energy
from train.export_photos import add_photo_networks
from train.networks.architectures import FEATURES
from train.networks.calibration import fit_calibration, quantiles
from train.networks.runs import load_config, load_network
from train.pictures.fashion_mnist import FashionMNIST, load_fashion_mnist
from train.reports.thumbnails import evaluate
from train.thumbnails import as_input

REFUSED = 0.05  # share of good validation pictures that may be called uncertain: the typicality below which they are
INT8_MARGIN = 0.001  # validation accuracy that int8 weights may cost
DISAGREEMENT = 0.005  # share of test images that the two networks may name differently


def export(
    source: Path | keras.Model,
    out: Path,
    *,
    version: str,
    data: FashionMNIST,
    training: dict[str, Any] | None = None,
    segmentation: Path | None = None,
    photo_run: Path | None = None,
    faded_run: Path | None = None,
    photos: Path | None = None,
    hdf5: bool = False,
) -> Bundle:
    """Write a bundle.

    Args:
        source: A finished run folder, or a network that takes (n, 28, 28, 1) float32 in [0, 1] and gives (n, 10) logits.
        out: Folder of the bundle; a former bundle there is replaced, once the new one is whole.
        version: Of the model, such as "1.0.0".
        data: Fashion-MNIST; its validation part calibrates, its test part is measured.
        training: Where a network is from, for the manifest; a run says it itself.
        segmentation: A finished run of `train.segmentation`, or a bundle; None for the network of the embedded bundle.
        photo_run: A finished run of `train.photos` for photos as they are; None for a bundle without networks for photos.
        faded_run: One for photos with faded surroundings; both or neither.
        photos: Folder of the phone photos, for networks for photos: the validation senders' calibrate them.
        hdf5: Add fashion_model.h5.

    Raises:
        ValueError: The network's two forms do not agree, or there are no photos to calibrate on.
        FileExistsError: The folder holds something other than a bundle.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise FileExistsError(f"{out} holds something other than a bundle; give a new folder, or a bundle's to replace it.")
    if (photo_run is None) != (faded_run is None):
        raise ValueError("A bundle has two networks for photos: give --photo-run and --faded-run, or neither.")
    if photo_run is not None and photos is None:
        raise ValueError("Networks for photos are calibrated on phone photos: give their folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{out.name}-") as temporary:
        staged = Path(temporary) / out.name
        _add_segmentation(staged, segmentation or DEFAULT_MODEL)
        manifest = _add_thumbnail_network(staged, source, version, data, training or {}, hdf5=hdf5)
        if photo_run is not None and faded_run is not None and photos is not None:
            photo, measured = add_photo_networks(Bundle(staged), photo_run, faded_run, photos)
            _write(staged, replace(manifest, photo=photo, metrics=manifest.metrics | {"photos": measured}))
        if out.exists():
            shutil.rmtree(out)
        staged.replace(out)
    return Bundle(out)


def _add_segmentation(out: Path, segmentation: Path) -> None:
    out.mkdir()
    shutil.copy(segmentation / SEGMENTATION_MODEL, out)
    shutil.copy(Path(__file__).parent / LICENCES, out)


def _add_thumbnail_network(
    out: Path, source: Path | keras.Model, version: str, data: FashionMNIST, training: dict[str, Any], *, hdf5: bool
) -> Manifest:
    """The network for thumbnails in all its forms, calibrated and measured; a bundle without networks for photos."""
    if isinstance(source, Path):
        network, training = load_network(source), load_config(source)
        architecture, flip = training["recipe"]["architecture"], bool(training["recipe"]["augmentation"])
    else:
        network, architecture, flip = source, "custom", False
    network.save(out / KERAS_MODEL)
    if hdf5:
        network.save(out / HDF5_MODEL)
    manifest = Manifest(
        format=FORMAT,
        version=version,
        architecture=architecture,
        labels=LABELS,
        preprocessing=PREPROCESSING_VERSION,
        temperature=1.0,  # this, the smoothing and the energies are fitted below, to what is served
        smoothing=0.0,
        flip=flip,
        energies=(0.0, 1.0),
        uncertain_below=REFUSED,
        explanation_layer=explanation_layer(network),
        photo=None,
        metrics={},
        training=training,
        files={},
    )
    serving: dict[str, Any] = {}
    for name, options in (("float32", {}), ("int8", {"optimizations": [tf.lite.Optimize.DEFAULT]})):
        network.export(out / SERVING_MODEL, format="litert", verbose=False, **options)
        bundle = _write(out, manifest)
        serving[name] = _agreement(bundle, network, data) | {"bytes": (out / SERVING_MODEL).stat().st_size}
    chosen = "int8"
    if serving["int8"]["validation accuracy"] < serving["float32"]["validation accuracy"] - INT8_MARGIN:
        chosen = "float32"
        network.export(out / SERVING_MODEL, format="litert", verbose=False)
        bundle = _write(out, manifest)
    if serving[chosen]["test images named differently"] > DISAGREEMENT * len(data.test):
        raise ValueError(f"The Keras and the LiteRT network do not agree: {serving[chosen]}.")

    logits = _served(FashionClassifier(bundle), data.validation.images)
    temperature, smoothing = fit_calibration(logits, data.validation.targets)
    manifest = replace(manifest, temperature=temperature, smoothing=smoothing, energies=quantiles(energy(logits)))
    bundle = _write(out, manifest)
    test = evaluate(FashionClassifier(bundle), data.test.images, data.test.groups)
    metrics = {
        "fashion-mnist test": {"n": test.n, "accuracy": test.accuracy, "interval": test.interval, "macro f1": test.f1},
        "parameters": network.count_params(),
        "serving": {"chosen": chosen, "n": len(data.test)} | serving,
    }
    return _write(out, replace(manifest, metrics=metrics)).manifest


def explanation_layer(network: keras.Model) -> str | None:
    """The layer for class activation maps: the one called "features", else the last convolution."""
    names = [layer.name for layer in network.layers]
    convolutions = [layer.name for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    return FEATURES if FEATURES in names else convolutions[-1] if convolutions else None


def _logits(network: keras.Model, images: npt.NDArray[np.uint8], flip: bool) -> Float64Array:
    """(looks, n, 10): of the images, and where asked of their mirror images."""
    looks = [images, images[:, :, ::-1]] if flip else [images]
    return np.stack([network.predict(as_input(look), batch_size=500, verbose=0).astype(np.float64) for look in looks])


def _agreement(bundle: Bundle, network: keras.Model, data: FashionMNIST) -> dict[str, Any]:
    """How a bundle's LiteRT network compares with the Keras network that it was made from."""
    classifier, flip = FashionClassifier(bundle), bundle.manifest.flip
    expected = calibrated(_logits(network, data.test.images, flip), 1)
    found = calibrated(_served(classifier, data.test.images), 1)
    validation = calibrated(_served(classifier, data.validation.images), 1)
    return {
        "validation accuracy": float(np.mean(validation.argmax(axis=1) == data.validation.targets.argmax(axis=1))),
        "test images named differently": int(np.sum(expected.argmax(axis=1) != found.argmax(axis=1))),
        "largest difference of a probability": float(np.abs(expected - found).max()),
    }


def _served(classifier: FashionClassifier, images: npt.NDArray[np.uint8]) -> Float64Array:
    """(looks, n, 10): the logits of the LiteRT network."""
    return np.concatenate([classifier.thumbnail_logits(images[i : i + 500]) for i in range(0, len(images), 500)], axis=1)


def _write(out: Path, manifest: Manifest) -> Bundle:
    files = {path.name: sha256(path) for path in sorted(out.iterdir()) if path.name != MANIFEST}
    (out / MANIFEST).write_text(replace(manifest, files=files).to_json())
    return Bundle(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a finished run folder")
    parser.add_argument("out", type=Path, help="folder of the bundle")
    parser.add_argument("--version", required=True, help='of the model, such as "1.0.0"')
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--segmentation", type=Path, help="a finished run of train.segmentation, or a bundle")
    parser.add_argument("--photo-run", type=Path, help="a finished run of train.photos")
    parser.add_argument("--faded-run", type=Path, help="a finished run of train.photos --look faded; goes with --photo-run")
    parser.add_argument("--photos", type=Path, help="folder of the phone photos, whose validation senders calibrate these two")
    parser.add_argument("--h5", action="store_true", help=f"add {HDF5_MODEL}")
    arguments = parser.parse_args()
    bundle = export(
        arguments.source,
        arguments.out,
        version=arguments.version,
        data=load_fashion_mnist(arguments.data),
        segmentation=arguments.segmentation,
        photo_run=arguments.photo_run,
        faded_run=arguments.faded_run,
        photos=arguments.photos,
        hdf5=arguments.h5,
    )
    print(bundle.manifest.to_json())


if __name__ == "__main__":
    main()
