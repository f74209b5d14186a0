"""Class activation and saliency maps through tf-keras-vis, for which TensorFlow is loaded on the first call."""

import os
import sys
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from fashion_classifier.bundle import Bundle
from fashion_classifier.errors import ExplanationError, InvalidBundleError

if TYPE_CHECKING:
    import keras

Float32Array = npt.NDArray[np.float32]
ActivationMethod = Literal["gradcam", "gradcam++", "scorecam", "layercam", "smoothgrad"]

SCORED_MAPS = 256  # of a layer, those that vary most: Score-CAM runs the network once for each
NOISY_PICTURES = 20  # whose gradients SmoothGrad averages
NEEDS = "Methods other than 'perturbation' need here"

_lock = Lock()  # around TensorFlow: tf-keras-vis changes the model that it explains
_forked = False  # from a process that had loaded TensorFlow, whose threads are not here


def _remember_the_fork() -> None:
    global _forked
    _forked = _forked or "tensorflow" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_the_fork)


def activation_map(
    bundle: Bundle, name: str, layer: str, method: ActivationMethod, target: int, against: int | None, inputs: Float32Array
) -> Float32Array:
    """(side, side) float32: what speaks for a name is positive; all zero where the method gives nothing finite and positive.

    Args:
        bundle: Holds the network.
        name: The network's file.
        layer: Whose maps to weigh.
        method: How.
        target: The name's place among the outputs.
        against: That of the name it is compared with, and what speaks for that is negative; None for none.
        inputs: (1, side, side, channels) float32, as the network takes them.

    Raises:
        ExplanationError: TensorFlow or tf-keras-vis is not there, or this process was forked from one that had loaded it.
        InvalidBundleError: The Keras file is missing, changed, none, or lacks the layer.
    """
    if _forked:
        raise ExplanationError(
            "TensorFlow would hang here, in a process forked from one that had loaded it: start processes with 'spawn'."
        )
    with _lock:
        model = _keras_model(bundle, name, bundle.manifest.files[name])
        if layer not in (known.name for known in model.layers):
            raise InvalidBundleError(bundle.path, f"{name} has no layer {layer!r}, whose maps would explain it.")
        if against is None:
            return _speaking_for(model, layer, method, target, None, inputs)
        rather, other = (
            _speaking_for(model, layer, method, one, two, inputs) for one, two in ((target, against), (against, target))
        )
        return rather - other


def _speaking_for(
    model: "keras.Model", layer: str, method: ActivationMethod, target: int, against: int | None, inputs: Float32Array
) -> Float32Array:
    def score(outputs: Any) -> Any:
        return outputs[:, target] if against is None else outputs[:, target] - outputs[:, against]

    raw = _visualize(model, layer, method, score, inputs)
    found: Float32Array = np.nan_to_num(np.asarray(raw, np.float32)[0], nan=0, posinf=0, neginf=0)
    return np.clip(found, 0, None)


def _visualize(model: "keras.Model", layer: str, method: ActivationMethod, score: Any, inputs: Float32Array) -> Any:
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam

    if method == "smoothgrad":
        return Saliency(model)(score, inputs, smooth_samples=NOISY_PICTURES, normalize_map=False)
    options: dict[str, Any] = {}
    if method == "scorecam":
        options["max_N"] = min(SCORED_MAPS, model.get_layer(layer).output.shape[-1])
    kind = {"gradcam": Gradcam, "gradcam++": GradcamPlusPlus, "scorecam": Scorecam, "layercam": Layercam}[method]
    # without the last argument tf-keras-vis would go back to the convolution before the layer, past its normalization
    return kind(model)(
        score, inputs, penultimate_layer=layer, normalize_cam=False, seek_penultimate_conv_layer=False, **options
    )


@lru_cache(maxsize=4)  # two bundles of two networks
def _keras_model(bundle: Bundle, name: str, checksum: str) -> "keras.Model":
    """The network in a file on TensorFlow, its outputs the logits that the maps differentiate.

    Verified when it is loaded. A folder may come to hold another bundle: the checksum tells their networks apart.
    """
    if (backend := os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
        raise ExplanationError(f"{NEEDS} Keras on TensorFlow, KERAS_BACKEND says {backend!r}: set it to tensorflow.")
    try:
        import keras
        import tf_keras_vis  # noqa: F401 - only to see whether it is there
    except ImportError as error:
        raise ExplanationError(
            f"{NEEDS} TensorFlow and tf-keras-vis ({error}): pip install 'fashion-classifier[explain]'."
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise ExplanationError(
            f"{NEEDS} Keras on TensorFlow, it runs on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow."
        )
    if not (bundle.path / name).is_file():
        raise ExplanationError(
            f"{NEEDS} {name}, which {bundle.path} lacks: neither the package nor the usual download holds it. It is in the "
            f"project's repository, and beside a model on the Hub: hf download OWNER/NAME {name} --revision {bundle.commit}."
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
