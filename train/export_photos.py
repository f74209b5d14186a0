"""Two runs of `train.photos`, one for either look, as the networks for photos of a bundle."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from fashion_classifier import Bundle, canonicalize
from fashion_classifier.bundle import SEGMENTATION_MODEL, PhotoNetworks
from fashion_classifier.confidence import calibrated, energy
from fashion_classifier.network import Network
from fashion_classifier.segmentation import Segmenter, as_input
from train.networks.calibration import fit_calibration, quantiles
from train.networks.efficientnet import FEATURES
from train.networks.runs import WEIGHTS, export_float16, load_config
from train.photos import LOOKS, network
from train.pictures.phone import PHOTO_LABELS, phone_photos
from train.pictures.targets import target

LARGEST_DIFFERENCE = 0.05  # of a probability, between a Keras network and its half-precision LiteRT form


def add_photo_networks(bundle: Bundle, plain: Path, faded: Path, photos: Path) -> tuple[PhotoNetworks, dict[str, Any]]:
    """Write the networks for photos into a bundle's folder, and fix on validation senders how their answers are used.

    Args:
        bundle: Has a network for segmentation.
        plain: A finished run of `train.photos` for the photo as it is.
        faded: One for the photo with faded surroundings.
        photos: Folder of the phone photos.

    Returns:
        What the manifest says of them, and what was measured on the validation senders.

    Raises:
        ValueError: A run is for the other look, a Keras and a LiteRT network do not agree, or there are no photos to
            calibrate on.
    """
    runs = {"plain": plain, "faded": faded}
    for look, run in runs.items():
        if (trained := load_config(run)["recipe"].get("look", look)) != look:
            raise ValueError(f"{run} holds a run for the {trained} look, needed is one for the {look} look.")
    segmenter = Segmenter(bundle.path / SEGMENTATION_MODEL)
    images, targets = [], []
    for phone in phone_photos(photos, "validation"):
        image = canonicalize(phone.photo, segmenter)
        if PHOTO_LABELS[phone.label] and image.is_photo:
            images.append(image)
            targets.append(target(PHOTO_LABELS[phone.label]))
    if not images:
        raise ValueError(f"{photos} holds no photo of one of the ten in the validation split to calibrate on.")
    truth = np.stack(targets)

    models, answers, differences, named_differently = [], [], [], 0
    for (look, run), views in zip(runs.items(), np.stack([image.views for image in images], axis=1), strict=True):
        model, served_file = network(look), LOOKS[look].serving_model
        model.load_weights(run / WEIGHTS)
        in_half_precision(model).save(bundle.path / LOOKS[look].keras_model)
        export_float16(model, bundle.path / served_file)
        inputs = as_input(views)
        logits = model.predict(inputs, batch_size=64, verbose=0).astype(np.float64)
        served = Network(bundle.path / served_file, inputs=(1, *inputs.shape[1:]), outputs=(1, logits.shape[1]))
        found = np.concatenate([served.run(inputs[i : i + 32]) for i in range(0, len(inputs), 32)]).astype(np.float64)
        difference = float(np.abs(calibrated(logits[np.newaxis], 1) - calibrated(found[np.newaxis], 1)).max())
        if difference > LARGEST_DIFFERENCE:
            raise ValueError(f"The Keras and the LiteRT network in {served_file} differ by {difference:.3f} in a probability.")
        models.append(model)
        answers.append(found)
        differences.append(difference)
        named_differently += int(np.sum(logits.argmax(axis=1) != found.argmax(axis=1)))

    logits_of_looks = np.stack(answers)
    temperature, smoothing = fit_calibration(logits_of_looks, truth)
    first, second = models
    networks = PhotoNetworks(
        architectures=(first.name, second.name),
        temperature=temperature,
        smoothing=smoothing,
        energies=quantiles(energy(logits_of_looks)),
        explanation_layer=FEATURES,
        training=(load_config(plain), load_config(faded)),
    )
    named = calibrated(logits_of_looks, temperature).argmax(axis=1)
    return networks, {
        "validation photos": len(images),
        "validation accuracy": float(truth[np.arange(len(truth)), named].mean()),
        "largest difference of a probability": max(differences),
        "named differently": named_differently,
        "parameters": first.count_params() + second.count_params(),
    }


def in_half_precision(model: keras.Model) -> keras.Model:
    """A copy whose weights take half the bytes; `explain` computes with them in single precision again."""

    def half(layer: keras.layers.Layer) -> keras.layers.Layer:
        return layer.__class__.from_config(layer.get_config() | {"dtype": "float16"})

    copy = keras.models.clone_model(model, clone_function=half)
    copy.set_weights([weights.astype(np.float16) for weights in model.get_weights()])
    return copy
