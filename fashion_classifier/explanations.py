"""Where the network looked: class activation maps through tf-keras-vis, drawn back onto the photo.

TensorFlow is loaded on the first call.
"""

import os
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier.bundle import Bundle
from fashion_classifier.errors import ExplanationError, InvalidBundleError
from fashion_classifier.forms import FORMS
from fashion_classifier.images import to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.predictions import Prediction

if TYPE_CHECKING:
    import keras

Float32Array = npt.NDArray[np.float32]
Method = Literal["gradcam", "gradcam++", "scorecam"]

SCORED_MAPS = 256  # of a layer, those that vary most: Score-CAM runs the network once for each

_lock = Lock()  # around TensorFlow: tf-keras-vis changes the model that it explains
_forked = False  # from a process that had loaded TensorFlow, whose threads are not here


def _remember_the_fork() -> None:
    global _forked
    _forked = _forked or "tensorflow" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_the_fork)


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map of what spoke for one of the ten names.

    Attributes:
        prediction: The answer that is explained.
        target: The name that the map speaks for.
        method: How the map was made.
        on_photo: (H, W) float32 in [0, 1] over `prediction.image.photo`; its maximum is 1 unless it is empty.
        heatmap: (28, 28) float32 in [0, 1] over the canonical image, likewise.
    """

    prediction: Prediction
    target: str
    method: Method
    on_photo: Float32Array = field(repr=False)
    heatmap: Float32Array = field(repr=False)

    @property
    def empty(self) -> bool:
        """True when the map is zero everywhere: the method found nothing that speaks for the target."""
        return not self.on_photo.any()

    def overlay(self, strength: float = 0.6) -> Image.Image:
        """The photo with the map drawn on it, RGB, as large as `prediction.image.photo`.

        Args:
            strength: Opacity of the map where it is 1, in [0, 1]; where it is 0 the photo shows.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, received {strength}.")
        photo = to_rgb(self.prediction.image.photo)
        colours = cv2.applyColorMap((self.on_photo * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]  # BGR to RGB
        opacity = (strength * self.on_photo)[..., np.newaxis]
        return Image.fromarray(np.round(photo * (1 - opacity) + colours * opacity).astype(np.uint8))


def explain(prediction: Prediction, *, method: Method = "gradcam", target: str | None = None) -> Explanation:
    """Show where the network that made a prediction sees what speaks for a name.

    Args:
        prediction: From `predict`.
        method: "gradcam" (Selvaraju et al. 2017, arXiv 1610.02391), "gradcam++" (Chattopadhay et al. 2018, arXiv
            1710.11063) or "scorecam" (Wang et al. 2020, arXiv 1910.01279).
        target: One of the ten names; None for the predicted one.

    Raises:
        ExplanationError: Unknown method or target, a network without convolutions, TensorFlow or tf-keras-vis not installed,
            or this process was forked from one that had loaded TensorFlow.
        InvalidBundleError: The Keras model of the prediction's bundle is missing, changed, none, or lacks the layer to explain.
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
    if _forked:
        raise ExplanationError(
            "TensorFlow would hang here, in a process forked from one that had loaded it: start processes with 'spawn'."
        )
    with _lock:
        on_photo, heatmap = _maps(prediction, method, LABELS.index(target))
    return Explanation(prediction, target, method, on_photo, heatmap)


def _maps(prediction: Prediction, method: Method, index: int) -> tuple[Float32Array, Float32Array]:
    """The map on the photo and on the canonical image, of the member that explains the expert who answered."""
    image, bundle = prediction.image, prediction.bundle
    member = bundle.manifest.experts[bundle.manifest.expert_for(photo=image.is_photo)].explained
    if member is None or member.explanation_layer is None:
        raise ExplanationError(f"The network of {bundle.path} has no convolutional layer, and class activation maps need one.")
    form = FORMS[member.form]
    seen = _activation_map(bundle, member.keras, member.explanation_layer, method, index, form.render([image]))
    on_photo = form.geometry(image).project(seen)
    is_canonical = form.geometry(image) == image.geometry
    return _scaled(on_photo), seen if is_canonical else _scaled(image.geometry.pick(on_photo))


def _activation_map(
    bundle: Bundle, name: str, layer: str, method: Method, index: int, inputs: npt.NDArray[np.floating]
) -> Float32Array:
    """(side, side) float32, its maximum scaled to 1; all zero where the method gives nothing finite and positive.

    Args:
        bundle: Holds the network.
        name: The network's file.
        layer: Whose maps to weigh.
        method: How.
        index: The target's, among the outputs.
        inputs: (1, side, side, channels) float32, as the network takes them.
    """
    model = _keras_model(bundle, name, bundle.manifest.files[name])
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    if layer not in (known.name for known in model.layers):
        raise InvalidBundleError(bundle.path, f"{name} has no layer {layer!r}, whose maps would explain it.")
    options: dict[str, Any] = {}
    if method == "scorecam":
        options["max_N"] = min(SCORED_MAPS, model.get_layer(layer).output.shape[-1])
    visualization = {"gradcam": Gradcam, "gradcam++": GradcamPlusPlus, "scorecam": Scorecam}[method](model)
    # without the last argument tf-keras-vis would go back to the convolution before the layer, past its normalization
    raw = visualization(
        CategoricalScore([index]),
        inputs,
        penultimate_layer=layer,
        normalize_cam=False,
        seek_penultimate_conv_layer=False,
        **options,
    )
    return _scaled(np.clip(np.nan_to_num(np.asarray(raw, np.float32)[0], nan=0, posinf=0, neginf=0), 0, None))


def _scaled(heatmap: Float32Array) -> Float32Array:
    """With its maximum at 1, unless it is zero everywhere."""
    scaled: Float32Array = heatmap / heatmap.max() if heatmap.max() > 0 else heatmap
    return scaled


@lru_cache(maxsize=4)  # two bundles of two networks
def _keras_model(bundle: Bundle, name: str, checksum: str) -> "keras.Model":
    """The network in a file on TensorFlow, its outputs the logits that the maps differentiate.

    Verified when it is loaded. A folder may come to hold another bundle: the checksum tells their networks apart.
    """
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
    path = bundle.file(name)
    try:
        stored = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a file that is none of its own
        raise InvalidBundleError(bundle.path, f"{name} is no network that Keras reads.") from error
    # weights may be stored in half precision; the maps are computed in single precision
    network = keras.models.clone_model(stored, clone_function=_in_single_precision)
    network.set_weights([weights.astype(np.float32) for weights in stored.get_weights()])
    return keras.Model(list(network.inputs), network.outputs[0])  # tf-keras-vis passes its inputs as a list


def _in_single_precision(layer: "keras.Operation") -> "keras.Operation":
    if not hasattr(layer, "dtype_policy"):
        return layer  # an operation such as keras.ops.add computes in what it is given
    return layer.__class__.from_config(layer.get_config() | {"dtype": "float32"})
