"""What in a picture speaks for a name, as the network that answered sees it, drawn back onto the photo.

The default and Grad-CAM ask the networks that answer, on LiteRT; further methods load TensorFlow
(`fashion_classifier.activation_maps`).
"""

import importlib.util
import io
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier.activation_maps import ActivationMethod, activation_map
from fashion_classifier.blurring import Blurring
from fashion_classifier.bundle import Bundle
from fashion_classifier.colours import tinted
from fashion_classifier.ensemble import loaded_ensemble
from fashion_classifier.errors import ExplanationError
from fashion_classifier.forms import FORMS
from fashion_classifier.images import to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.manifest import ExpertName, Member
from fashion_classifier.perturbation import SEED, perturbation_map
from fashion_classifier.predictions import Prediction
from fashion_classifier.preprocessing import CanonicalImage, Geometry

Float32Array = npt.NDArray[np.float32]
Method = Literal["perturbation"] | ActivationMethod
METHODS: tuple[Method, ...] = ("perturbation", *get_args(ActivationMethod))

LOOKS: dict[ExpertName, int] = {"thumbnail": 200, "photo": 282}  # at a picture: a tenth of a second, or a second
FEWEST_LOOKS, MOST_LOOKS = 10, 2000
HOTTEST = 0.2  # share of what is seen that is blurred, or alone kept, to measure a map
MUCH = 0.9  # of the confidence: what leaves more has changed little, and what gives more is enough


@dataclass(frozen=True)
class Faithfulness:
    """What the part of a picture that a map marks is worth: probabilities of the target, in [0, 1].

    The part is the hottest fifth of what the networks see, or less where less of the map is above zero.

    Attributes:
        before: Of the whole picture.
        without: When the hottest part is blurred.
        alone: When all but the hottest part is blurred.
    """

    before: float
    without: float
    alone: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map of what speaks for one of the ten names, or for one rather than for another.

    Attributes:
        prediction: The answer that is explained.
        target: The name that the map speaks for.
        against: The name that it is compared with, or None.
        method: How the map was made.
        layer: Of the network, whose maps were weighed; None where none was.
        looks: How often the networks were asked about a perturbed picture; 0 for other methods.
        seed: Of the perturbations; None for other methods.
        raw: (side, side) float32, as it was computed over the upright square that the networks see, not scaled.
        on_photo: (H, W) float32 over `prediction.image.photo`; in [0, 1], or in [-1, 1] with `against`. What is farthest from 0
            is at 1 or -1, unless the map is empty.
        heatmap: (28, 28) float32 over the canonical image, likewise.
    """

    prediction: Prediction
    target: str
    against: str | None
    method: Method
    layer: str | None
    looks: int
    seed: int | None
    raw: Float32Array = field(repr=False)
    on_photo: Float32Array = field(repr=False)
    heatmap: Float32Array = field(repr=False)

    @property
    def empty(self) -> bool:
        """True when the map is zero everywhere: the method found nothing that speaks for the target."""
        return not self.on_photo.any()

    @cached_property
    def faithfulness(self) -> Faithfulness:
        """What the marked part is worth to the networks, measured when it is first asked for."""
        hottest = _hottest(self.raw)
        blurring = _blurring(self.prediction)
        parts = (np.ones_like(hottest), 1 - hottest, hottest)
        return Faithfulness(*(float(blurring.answer(part)[LABELS.index(self.target)]) for part in parts))

    @property
    def sentence(self) -> str:
        """What the map is worth, in one honest sentence."""
        target, measured = self.target, self.faithfulness
        before, without, alone = (f"{part:.0%}" for part in (measured.before, measured.without, measured.alone))
        if self.empty:
            return f"Nothing was found that speaks for {target}{f' rather than {self.against}' if self.against else ''}."
        if measured.without <= MUCH * measured.before:
            return f"Blurring the hottest fifth takes {target} from {before} to {without}."
        if measured.alone > MUCH * measured.before:
            return (
                f"Not only the hottest fifth speaks for {target}: {alone} with it alone, {without} without it, {before} before."
            )
        return f"This map explains little: blurring its hottest fifth leaves {target} at {without} of {before}."

    def overlay(self, strength: float = 0.6) -> Image.Image:
        """The photo with the map drawn on it, RGB, as large as `prediction.image.photo`.

        Args:
            strength: Opacity of the map where it is 1 or -1, in [0, 1]; where it is 0 the photo shows.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, received {strength}.")
        return Image.fromarray(tinted(to_rgb(self.prediction.image.photo), self.on_photo, strength))

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        file = io.BytesIO()
        self.overlay().save(file, "png")
        return file.getvalue()


def explain(
    prediction: Prediction,
    *,
    target: str | None = None,
    against: str | None = None,
    method: Method = "perturbation",
    looks: int | None = None,
) -> Explanation:
    """Show where the networks that made a prediction see what speaks for a name.

    Args:
        prediction: From `predict`.
        target: One of the ten names; None for the predicted one.
        against: Another one: show what speaks for the target rather than for this. None for the target alone.
        method: "perturbation" asks about the picture with random parts blurred, after RISE (Petsiuk et al. 2018, arXiv
            1806.07421), and about a photo also with its parts put in and taken out one by one. "gradcam" (Selvaraju et al.
            2017, arXiv 1610.02391) takes no longer than a prediction where a network ends in global pooling. With TensorFlow:
            "gradcam" of any other, "gradcam++" (Chattopadhay et al. 2018, arXiv 1710.11063), "scorecam" (Wang et al. 2020,
            arXiv 1910.01279), "layercam" (Jiang et al. 2021, doi 10.1109/TIP.2021.3089943) and "smoothgrad" (Smilkov et al.
            2017, arXiv 1706.03825).
        looks: How often "perturbation" asks, from 10 to 2000; None for 200 times about a thumbnail, 282 about a photo. 20
            give a first, coarse map.

    Raises:
        ExplanationError: Unknown method or names, a number of looks that is not allowed, a network without convolutions, or
            TensorFlow or a network's Keras file is needed and not there.
        InvalidBundleError: A network of the prediction's bundle is missing, changed, none, or lacks the layer to explain.
    """
    if not isinstance(prediction, Prediction):
        raise ExplanationError(
            f"explain takes a Prediction, as predict gives it for one picture, not {type(prediction).__name__}."
        )
    target = prediction.label if target is None else target
    _check(target, against, method, looks)
    places = LABELS.index(target), None if against is None else LABELS.index(against)
    if method == "perturbation":
        blurring = _blurring(prediction)
        looks = looks or LOOKS[_expert(prediction)]
        raw = perturbation_map(blurring, *places, looks)
        on_photo, heatmap = _drawn(raw, blurring.geometry, prediction.image)
        return Explanation(prediction, target, against, method, None, looks, SEED, raw, on_photo, heatmap)
    member = _explained(prediction)
    raw, geometry = _class_activation(prediction, member, method, *places)
    on_photo, heatmap = _drawn(raw, geometry, prediction.image)
    layer = None if method == "smoothgrad" else member.explanation_layer
    return Explanation(prediction, target, against, method, layer, 0, None, raw, on_photo, heatmap)


def possible_methods(bundle: Bundle, *, tensorflow: bool = True) -> tuple[Method, ...]:
    """What `explain` can do here with a bundle: fewer methods without TensorFlow, or without the bundle's Keras files.

    Args:
        bundle: The model.
        tensorflow: Whether it may be loaded where it is there, which takes about a gigabyte of memory.
    """
    explained = [expert.explained for expert in bundle.manifest.experts.values()]
    members = [member for member in explained if member is not None]
    if len(members) < len(explained):
        return ("perturbation",)
    loaded = tensorflow and all(importlib.util.find_spec(name) for name in ("tensorflow", "tf_keras_vis"))
    if loaded and all((bundle.path / member.keras).is_file() for member in members):
        return METHODS
    return ("perturbation", "gradcam") if all(member.evidence for member in members) else ("perturbation",)


def _check(target: str, against: str | None, method: str, looks: int | None) -> None:
    if method not in METHODS:
        raise ExplanationError(f"Unknown method {method!r}; allowed are {', '.join(METHODS)}.")
    if target not in LABELS:
        raise ExplanationError(f"Unknown target {target!r}; allowed are {', '.join(LABELS)}.")
    if against is not None and (against not in LABELS or against == target):
        others = ", ".join(label for label in LABELS if label != target)
        raise ExplanationError(f"Received {against!r} to compare {target} with; allowed are {others}.")
    if looks is None:
        return
    if method != "perturbation":
        raise ExplanationError(f"{method} takes no number of looks, received {looks!r}; only perturbation does.")
    if type(looks) is not int or not FEWEST_LOOKS <= looks <= MOST_LOOKS:
        raise ExplanationError(f"looks must be a whole number from {FEWEST_LOOKS} to {MOST_LOOKS}, received {looks!r}.")


def _expert(prediction: Prediction) -> ExpertName:
    return prediction.bundle.manifest.expert_for(photo=prediction.image.is_photo)


def _explained(prediction: Prediction) -> Member:
    """The member that class activation maps show of the expert who answered."""
    bundle = prediction.bundle
    member = bundle.manifest.experts[_expert(prediction)].explained
    if member is None:
        raise ExplanationError(
            f"The network of {bundle.path} has no convolutional layer, and class activation maps need one; "
            "method='perturbation' does not."
        )
    return member


def _blurring(prediction: Prediction) -> Blurring:
    bundle, name = prediction.bundle, _expert(prediction)
    return Blurring(prediction.image, bundle.manifest.experts[name], loaded_ensemble(bundle, name))


def _class_activation(
    prediction: Prediction, member: Member, method: ActivationMethod, target: int, against: int | None
) -> tuple[Float32Array, Geometry]:
    """The map over the upright square that a member sees, and the way from there back to the photo."""
    form, bundle = FORMS[member.form], prediction.bundle
    inputs, geometry = form.render([prediction.image]), form.geometry(prediction.image)
    if method == "gradcam" and member.evidence:
        evidence = loaded_ensemble(bundle, _expert(prediction)).evidence(member, inputs)[0]
        seen = _gradcam(evidence[..., target], None if against is None else evidence[..., against], len(inputs[0]))
    else:
        layer = str(member.explanation_layer)
        seen = activation_map(bundle, member.keras, layer, method, target, against, inputs)
    return seen[:, ::-1] if geometry.mirrored else seen, replace(geometry, mirrored=False)


def _gradcam(speaking: npt.NDArray[np.floating], against: npt.NDArray[np.floating] | None, side: int) -> Float32Array:
    """(rows, columns) of evidence as Grad-CAM's map (side, side): what is positive, enlarged from corner to corner."""
    coarse = np.maximum(speaking, 0) if against is None else speaking - against
    rows, columns = (_enlargement(length, side) for length in coarse.shape)
    return (rows @ coarse @ columns.T).astype(np.float32)


def _enlargement(length: int, side: int) -> npt.NDArray[np.float64]:
    """(side, length), what makes side values of some, straight lines in between; the first and the last one stay."""
    places = np.linspace(0, length - 1, side)[:, np.newaxis]
    weights: npt.NDArray[np.float64] = np.maximum(0, 1 - np.abs(places - np.arange(length)))
    return weights


def _drawn(raw: Float32Array, geometry: Geometry, image: CanonicalImage) -> tuple[Float32Array, Float32Array]:
    """A map on the photo and on the canonical image."""
    on_photo = geometry.project(_scaled(raw))
    is_canonical = geometry == image.geometry
    return _scaled(on_photo), _scaled(raw if is_canonical else image.geometry.pick(on_photo))


def _scaled(heat: Float32Array) -> Float32Array:
    """With what is farthest from 0 at 1 or -1, unless it is zero everywhere."""
    farthest = np.abs(heat).max()
    return heat / farthest if farthest > 0 else heat


def _hottest(raw: Float32Array) -> Float32Array:
    """1 in the hottest fifth of a map, where it is above zero, and 0 elsewhere."""
    hottest = np.zeros(raw.size, np.float32)
    hottest[np.argsort(raw, axis=None, kind="stable")[::-1][: round(HOTTEST * raw.size)]] = 1
    return hottest.reshape(raw.shape) * (raw > 0)
