"""A run of `train.photos` as the network for photos of a bundle."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from fashion_classifier import Bundle, canonicalize
from fashion_classifier.bundle import PHOTO_KERAS_MODEL, PHOTO_SERVING_MODEL, SEGMENTATION_MODEL, PhotoNetwork
from fashion_classifier.confidence import calibrated, energy
from fashion_classifier.network import Network
from fashion_classifier.segmentation import Segmenter, as_input
from train.calibration import fit_calibration, quantiles
from train.data import PHOTO_LABELS, phone_photos, target
from train.efficientnet import FEATURES
from train.photos import network
from train.runs import WEIGHTS, export_float16, load_config

LARGEST_DIFFERENCE = 0.05  # of a probability, between the Keras network and its half-precision LiteRT form


def add_photo_network(bundle: Bundle, run: Path, photos: Path) -> tuple[PhotoNetwork, dict[str, Any]]:
    """Write a network for photos into a bundle's folder, and fix on validation senders how its answers are used.

    Args:
        bundle: Has a network for segmentation.
        run: A finished run of `train.photos`.
        photos: Folder of the phone photos.

    Returns:
        What the manifest says of it, and what was measured on the validation senders.

    Raises:
        ValueError: The Keras and the LiteRT network do not agree, or there are no photos to calibrate on.
    """
    model = network()
    model.load_weights(run / WEIGHTS)
    in_half_precision(model).save(bundle.path / PHOTO_KERAS_MODEL)
    export_float16(model, bundle.path / PHOTO_SERVING_MODEL)

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
    looks = as_input(np.stack([image.views for image in images], axis=1).reshape(-1, *images[0].view.shape))
    logits = model.predict(looks, batch_size=64, verbose=0).astype(np.float64)
    served = Network(bundle.path / PHOTO_SERVING_MODEL, inputs=(1, *looks.shape[1:]), outputs=(1, logits.shape[1]))
    answers = np.concatenate([served.run(looks[i : i + 32]) for i in range(0, len(looks), 32)]).astype(np.float64)
    difference = np.abs(calibrated(logits[np.newaxis], 1) - calibrated(answers[np.newaxis], 1))
    if difference.max() > LARGEST_DIFFERENCE:
        raise ValueError(f"The Keras and the LiteRT network for photos differ by {difference.max():.3f} in a probability.")

    named_differently = int(np.sum(logits.argmax(axis=1) != answers.argmax(axis=1)))
    answers = answers.reshape(-1, len(images), answers.shape[1])
    temperature, smoothing = fit_calibration(answers, truth)
    photo = PhotoNetwork(
        architecture=model.name,
        temperature=temperature,
        smoothing=smoothing,
        energies=quantiles(energy(answers)),
        explanation_layer=FEATURES,
        training=load_config(run),
    )
    named = calibrated(answers, temperature).argmax(axis=1)
    return photo, {
        "validation photos": len(images),
        "validation accuracy": float(truth[np.arange(len(truth)), named].mean()),
        "largest difference of a probability": float(difference.max()),
        "named differently": named_differently,
        "parameters": model.count_params(),
    }


def in_half_precision(model: keras.Model) -> keras.Model:
    """A copy whose weights take half the bytes; `explain` computes with them in single precision again."""

    def half(layer: keras.layers.Layer) -> keras.layers.Layer:
        return layer.__class__.from_config(layer.get_config() | {"dtype": "float16"})

    copy = keras.models.clone_model(model, clone_function=half)
    copy.set_weights([weights.astype(np.float16) for weights in model.get_weights()])
    return copy
