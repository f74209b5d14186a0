"""Where the network looked: class activation maps through tf-keras-vis, drawn back onto the photo.

TensorFlow is loaded on the first call.
"""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier.bundle import KERAS_MODEL, Bundle
from fashion_classifier.errors import ExplanationError
from fashion_classifier.images import UInt8Array, to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.predictions import Prediction

if TYPE_CHECKING:
    import keras

Float32Array = npt.NDArray[np.float32]
Method = Literal["gradcam", "gradcam++", "scorecam"]

_lock = Lock()  # around TensorFlow: tf-keras-vis changes the model that it explains


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map of what spoke for one of the ten names.

    Attributes:
        prediction: The answer that is explained.
        target: The name that the map speaks for.
        method: How the map was made.
        heatmap: (28, 28) float32 in [0, 1] over the canonical image; its maximum is 1 unless it is empty.
    """

    prediction: Prediction
    target: str
    method: Method
    heatmap: Float32Array = field(repr=False)

    @property
    def empty(self) -> bool:
        """True when the map is zero everywhere: the method found nothing that speaks for the target."""
        return not self.heatmap.any()

    def overlay(self, strength: float = 0.6) -> Image.Image:
        """The photo with the map drawn on it, RGB, as large as `prediction.image.photo`.

        Args:
            strength: Opacity of the map where it is 1, in [0, 1]; where it is 0 the photo shows.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, received {strength}.")
        image = self.prediction.image
        photo = to_rgb(image.photo)
        heat = np.clip(image.geometry.project(self.heatmap), 0, 1)
        colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]  # BGR to RGB
        opacity = (strength * heat)[..., np.newaxis]
        return Image.fromarray(np.round(photo * (1 - opacity) + colours * opacity).astype(np.uint8))


def explain(prediction: Prediction, *, method: Method = "gradcam", target: str | None = None) -> Explanation:
    """Show where the network that made a prediction sees what speaks for a name.

    Args:
        prediction: From `predict`.
        method: "gradcam" (Selvaraju et al. 2017, arXiv 1610.02391), "gradcam++" (Chattopadhay et al. 2018, arXiv
            1710.11063) or "scorecam" (Wang et al. 2020, arXiv 1910.01279).
        target: One of the ten names; None for the predicted one.

    Raises:
        ExplanationError: Unknown method or target, a network without convolutions, or TensorFlow or tf-keras-vis not
            installed.
        InvalidBundleError: The Keras model of the prediction's bundle is missing or changed.
    """
    if not isinstance(prediction, Prediction):
        raise ExplanationError(
            f"explain takes a Prediction, as predict gives it for one picture, not {type(prediction).__name__}."
        )
    if method not in get_args(Method):
        raise ExplanationError(f"Unknown method {method!r}; allowed are {', '.join(get_args(Method))}.")
    target = prediction.label if target is None else target
    if target not in LABELS:
        raise ExplanationError(f"Unknown target {target!r}; allowed are {', '.join(LABELS)}.")
    layer = prediction.bundle.manifest.explanation_layer
    if layer is None:
        raise ExplanationError(
            f"The network of {prediction.bundle.path} has no convolutional layer, and class activation maps need one."
        )
    with _lock:
        heatmap = _activation_map(prediction.bundle, layer, method, LABELS.index(target), prediction.image.pixels)
    return Explanation(prediction, target, method, heatmap)


def _activation_map(bundle: Bundle, layer: str, method: Method, index: int, pixels: UInt8Array) -> Float32Array:
    """(28, 28) float32, its maximum scaled to 1; all zero where the method gives nothing finite and positive."""
    model = _keras_model(bundle.file(KERAS_MODEL), bundle.manifest.files[KERAS_MODEL])
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    visualization = {"gradcam": Gradcam, "gradcam++": GradcamPlusPlus, "scorecam": Scorecam}[method](model)
    inputs = pixels[np.newaxis, ..., np.newaxis].astype(np.float32) / 255
    # without the last argument tf-keras-vis would go back to the convolution before the layer, past its normalization
    raw = visualization(
        CategoricalScore([index]), inputs, penultimate_layer=layer, normalize_cam=False, seek_penultimate_conv_layer=False
    )
    heatmap = np.clip(np.nan_to_num(np.asarray(raw, np.float32)[0], nan=0, posinf=0, neginf=0), 0, None)
    scaled: Float32Array = heatmap / heatmap.max() if heatmap.max() > 0 else heatmap
    return scaled


@lru_cache(maxsize=2)
def _keras_model(path: Path, checksum: str) -> "keras.Model":
    """The network in a verified file on TensorFlow, its outputs the logits that the maps differentiate."""
    if (backend := os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
        raise ExplanationError(f"Explanations need Keras on TensorFlow, KERAS_BACKEND says {backend!r}: set it to tensorflow.")
    try:
        import keras
        import tf_keras_vis  # noqa: F401 - only to see whether it is there
    except ImportError as error:
        raise ExplanationError(
            f"Explanations need TensorFlow and tf-keras-vis ({error}): pip install 'fashion-classifier[explain]'."
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise ExplanationError(
            f"Explanations need Keras on TensorFlow, it runs on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow."
        )
    network = keras.models.load_model(path, compile=False, safe_mode=True)
    return keras.Model(list(network.inputs), network.outputs[0])  # tf-keras-vis passes its inputs as a list
