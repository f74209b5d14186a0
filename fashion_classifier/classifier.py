"""Pictures -> predictions, on LiteRT."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import TypeGuard, cast, overload

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from fashion_classifier import hub
from fashion_classifier.bundle import DEFAULT_MODEL, SERVING_MODEL, Bundle
from fashion_classifier.errors import FashionClassifierError, InvalidBundleError, InvalidImageError, InvalidReferenceError
from fashion_classifier.images import ACCEPTED, Picture
from fashion_classifier.predictions import Prediction
from fashion_classifier.preprocessing import SIZE, CanonicalImage, canonicalize

Float32Array = npt.NDArray[np.float32]

BATCH = 32  # pictures to a run of the network; more is no faster
MODEL_VARIABLE = "FASHION_CLASSIFIER_MODEL"  # the model to use where none is named


class FashionClassifier:
    """A model version, ready to answer. Safe to use from several threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises `InvalidBundleError` where the bundle is incomplete, damaged or made for another version."""
        self.bundle = bundle
        self._model = bundle.file(SERVING_MODEL).read_bytes()
        self._idle: deque[Interpreter] = deque()
        try:
            with self._interpreter() as interpreter:
                ends = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        except ValueError as error:
            raise InvalidBundleError(bundle.path, f"{SERVING_MODEL} is no network for LiteRT: {error}.") from error
        shapes = [tuple(map(int, end["shape"])) for end in ends]
        if shapes != (needed := [(1, SIZE, SIZE, 1), (1, len(bundle.manifest.labels))]):
            raise InvalidBundleError(bundle.path, f"{SERVING_MODEL} has the shapes {shapes}, needed are {needed}.")

    @classmethod
    def from_pretrained(cls, ref: str | Path | None = None, *, revision: str | None = None) -> "FashionClassifier":
        """Load a model version.

        Args:
            ref: A bundle's folder, or "owner/name" or "owner/name@revision" on the Hugging Face Hub; a folder wins over a
                name that reads the same. None for what the variable FASHION_CLASSIFIER_MODEL says, in the same words, or
                else for the bundle that this package carries.
            revision: Tag, branch or commit id on the Hub. A commit id that is in the cache needs no network.

        Raises:
            HubError: The Hub cannot be reached, refuses, or lacks the model, the revision or a file.
            InvalidReferenceError: `ref` and `revision` name no model.
            ModelIntegrityError: A file was changed; nothing is used.
            InvalidBundleError: The bundle is incomplete or made for another version of this package.
        """
        if ref is None and revision is not None:
            raise InvalidReferenceError(None, f"the revision {revision!r} needs a name on the Hub")
        ref = ref if ref is not None else os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL
        if not isinstance(ref, str | Path) or not str(ref) or not isinstance(revision, str | NoneType):
            raise InvalidReferenceError(ref, f"it is of type {type(ref).__name__}, the revision of {type(revision).__name__}")
        if isinstance(ref, str) and not os.path.isdir(ref):  # noqa: PTH112 - pathlib raises for names that are too long
            return cls(hub.load(*hub.parse_reference(ref, revision)))
        if revision is not None:
            hint = f"; for the name on the Hub write '{ref}@{revision}'" if isinstance(ref, str) else ""
            raise InvalidReferenceError(ref, f"it is a folder, and a folder has no revision {revision!r}{hint}")
        return cls(Bundle(Path(ref)))

    @classmethod
    def from_pretrained_or_default(cls, ref: str | Path | None = None) -> tuple["FashionClassifier", str | None]:
        """As `from_pretrained`; where that fails, the bundle that this package carries, and the reason for it."""
        try:
            return cls.from_pretrained(ref), None
        except FashionClassifierError as error:
            return cls(Bundle(DEFAULT_MODEL)), str(error)

    @property
    def version(self) -> str:
        return self.bundle.manifest.version

    @overload
    def predict(self, pictures: Picture | CanonicalImage) -> Prediction: ...  # type: ignore[overload-overlap]  # str is iterable
    @overload
    def predict(self, pictures: Iterable[Picture | CanonicalImage]) -> list[Prediction]: ...
    def predict(self, pictures: Picture | CanonicalImage | Iterable[Picture | CanonicalImage]) -> Prediction | list[Prediction]:
        """Name the garment in one picture, or in each of an iterable of pictures.

        Returns:
            One `Prediction` for a picture; a list of them, in order, for an iterable.

        Raises:
            InvalidImageError: A picture cannot be read; `index` says which one of an iterable.
        """
        if _is_single(pictures):
            return self._answer([canonicalize(pictures)])[0]
        if not isinstance(pictures, Iterable):
            raise InvalidImageError(
                f"Received an object of type {type(pictures).__name__}.", f"{ACCEPTED[:-1]}, or an iterable of these."
            )
        many = enumerate(cast(Iterable[Picture | CanonicalImage], pictures))
        predictions: list[Prediction] = []
        while batch := [_canonicalize_at(index, picture) for index, picture in islice(many, BATCH)]:
            predictions += self._answer(batch)
        return predictions

    def _answer(self, images: list[CanonicalImage]) -> list[Prediction]:
        """One run of the network for all renderings of all images."""
        labels = self.bundle.manifest.labels
        rows = self.probabilities(np.concatenate([image.renderings for image in images]))
        ends = np.cumsum([len(image.renderings) for image in images])[:-1]
        answers = (answers.mean(axis=0).tolist() for answers in np.split(rows, ends))
        return [
            Prediction(dict(zip(labels, answer, strict=True)), image, self.bundle)
            for image, answer in zip(images, answers, strict=True)
        ]

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """The calibrated answer to canonical images: (n, 28, 28) uint8 -> (n, 10) float64, rows sum to 1."""
        manifest = self.bundle.manifest
        views = np.concatenate([pixels, pixels[:, :, ::-1]]) if manifest.flip else pixels
        inputs: Float32Array = views[..., np.newaxis].astype(np.float32) / np.float32(255)
        logits = self._run(inputs).astype(np.float64) / manifest.temperature
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
        answer: npt.NDArray[np.float64] = softmax.reshape(-1, len(pixels), softmax.shape[1]).mean(axis=0)
        return answer

    def _run(self, inputs: Float32Array) -> Float32Array:
        with self._interpreter() as interpreter:
            entry = interpreter.get_input_details()[0]
            if tuple(entry["shape"]) != inputs.shape:
                interpreter.resize_tensor_input(entry["index"], inputs.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(entry["index"], inputs)
            interpreter.invoke()
            outputs: Float32Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            return outputs

    @contextmanager
    def _interpreter(self) -> Iterator[Interpreter]:
        """An interpreter that no other thread uses: LiteRT's are not thread-safe."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = Interpreter(model_content=self._model)
            interpreter.allocate_tensors()
        try:
            yield interpreter
        finally:
            self._idle.append(interpreter)


def _is_single(pictures: object) -> TypeGuard[Picture | CanonicalImage]:
    """Whether this is one picture; some of the kinds of pictures are iterable themselves."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, CanonicalImage)
    return isinstance(pictures, kinds) or hasattr(pictures, "read")


def _canonicalize_at(index: int, picture: Picture | CanonicalImage) -> CanonicalImage:
    try:
        return canonicalize(picture)
    except InvalidImageError as error:
        raise error.at(index) from error


def default_classifier() -> FashionClassifier:
    """The classifier of FASHION_CLASSIFIER_MODEL or of the embedded bundle, loaded once for each value of the variable."""
    return _classifier(os.environ.get(MODEL_VARIABLE))


@lru_cache(maxsize=1)
def _classifier(ref: str | None) -> FashionClassifier:
    return FashionClassifier.from_pretrained(ref or None)


@overload
def predict(pictures: Picture | CanonicalImage) -> Prediction: ...  # type: ignore[overload-overlap]  # as above
@overload
def predict(pictures: Iterable[Picture | CanonicalImage]) -> list[Prediction]: ...
def predict(
    pictures: Picture | CanonicalImage | Iterable[Picture | CanonicalImage],
) -> Prediction | list[Prediction]:
    """As `FashionClassifier.predict`, with the model of FASHION_CLASSIFIER_MODEL, or else the embedded one."""
    return default_classifier().predict(pictures)
