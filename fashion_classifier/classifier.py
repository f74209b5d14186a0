"""Pictures -> predictions, on LiteRT."""

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import TypeGuard, cast, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier import hub
from fashion_classifier.bundle import DEFAULT_MODEL, PHOTO_SERVING_MODEL, SEGMENTATION_MODEL, SERVING_MODEL, Bundle
from fashion_classifier.errors import FashionClassifierError, InvalidBundleError, InvalidImageError, InvalidReferenceError
from fashion_classifier.images import ACCEPTED, Picture, UInt8Array
from fashion_classifier.network import Network
from fashion_classifier.predictions import Prediction
from fashion_classifier.preprocessing import SIZE, VIEW_SIZE, CanonicalImage, canonicalize
from fashion_classifier.segmentation import Segmenter, as_input

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

BATCH = 32  # pictures to a run of the network; more is no faster
MODEL_VARIABLE = "FASHION_CLASSIFIER_MODEL"  # the model to use where none is named


class FashionClassifier:
    """A model version, ready to answer. Safe to use from several threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises `InvalidBundleError` where the bundle is incomplete, damaged or made for another version."""
        self.bundle = bundle
        labels = len(bundle.manifest.labels)
        self._segment = Segmenter(bundle.file(SEGMENTATION_MODEL))
        self._thumbnails = Network(bundle.file(SERVING_MODEL), inputs=(1, SIZE, SIZE, 1), outputs=(1, labels))
        self._photos: Network | None = None
        if bundle.manifest.photo:
            shape = (1, VIEW_SIZE, VIEW_SIZE, 3)
            self._photos = Network(bundle.file(PHOTO_SERVING_MODEL), inputs=shape, outputs=(1, labels))

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
            return self._answer([self._canonicalize(pictures)])[0]
        if not isinstance(pictures, Iterable):
            raise InvalidImageError(
                f"Received an object of type {type(pictures).__name__}.", f"{ACCEPTED[:-1]}, or an iterable of these."
            )
        many = enumerate(cast(Iterable[Picture | CanonicalImage], pictures))
        predictions: list[Prediction] = []
        while batch := [self._canonicalize(picture, index) for index, picture in islice(many, BATCH)]:
            predictions += self._answer(batch)
        return predictions

    def _canonicalize(self, picture: Picture | CanonicalImage, index: int | None = None) -> CanonicalImage:
        try:
            return canonicalize(picture, self._segment)
        except InvalidImageError as error:
            if index is None:
                raise
            raise error.at(index) from error

    def _answer(self, images: list[CanonicalImage]) -> list[Prediction]:
        """One run of each network for all images."""
        manifest = self.bundle.manifest
        answers = _mean_of_each(self.probabilities, [image.renderings for image in images])
        photos = [i for i, image in enumerate(images) if image.is_photo]
        if manifest.photo and photos:
            seen = _mean_of_each(self.photo_probabilities, [images[i].views for i in photos])
            answers[photos] = manifest.photo.weight * seen + (1 - manifest.photo.weight) * answers[photos]
        return [
            Prediction(dict(zip(manifest.labels, answer, strict=True)), image, self.bundle)
            for image, answer in zip(images, answers.tolist(), strict=True)
        ]

    def probabilities(self, pixels: UInt8Array) -> Float64Array:
        """The calibrated answer to canonical images: (n, 28, 28) uint8 -> (n, 10) float64, rows sum to 1."""
        manifest = self.bundle.manifest
        inputs = pixels[..., np.newaxis].astype(np.float32) / np.float32(255)
        return _softmax(self._thumbnails, inputs, manifest.temperature, flip=manifest.flip)

    def photo_probabilities(self, views: UInt8Array) -> Float64Array:
        """The calibrated answer of the network for photos alone: (n, 160, 160, 3) uint8 -> (n, 10) float64, rows sum to 1.

        Raises:
            InvalidBundleError: The bundle has no network for photos.
        """
        photo = self.bundle.manifest.photo
        if photo is None or self._photos is None:
            raise InvalidBundleError(self.bundle.path, "it has no network for photos.")
        return _softmax(self._photos, as_input(views), photo.temperature, flip=True)


def _softmax(network: Network, inputs: Float32Array, temperature: float, *, flip: bool) -> Float64Array:
    """(n, height, width, channels) -> (n, 10) probabilities, where asked averaged with those of the mirror images."""
    looks = np.concatenate([inputs, inputs[:, :, ::-1]]) if flip else inputs
    logits = network.run(looks).astype(np.float64) / temperature
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    answer: Float64Array = softmax.reshape(-1, len(inputs), softmax.shape[1]).mean(axis=0)
    return answer


def _mean_of_each(answer: Callable[[UInt8Array], Float64Array], images: list[UInt8Array]) -> Float64Array:
    """Ask about all looks at all images at once; one mean answer an image: (number of images, 10)."""
    rows = answer(np.concatenate(images))
    ends = np.cumsum([len(looks) for looks in images])[:-1]
    return np.stack([part.mean(axis=0) for part in np.split(rows, ends)])


def _is_single(pictures: object) -> TypeGuard[Picture | CanonicalImage]:
    """Whether this is one picture; some of the kinds of pictures are iterable themselves."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, CanonicalImage)
    return isinstance(pictures, kinds) or hasattr(pictures, "read")


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
