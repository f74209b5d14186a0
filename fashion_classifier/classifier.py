"""Pictures -> predictions, on LiteRT."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import TypeGuard, cast, overload

import numpy as np
from PIL import Image

from fashion_classifier import hints, hub, preprocessing
from fashion_classifier.bundle import DEFAULT_MODEL, ORIENTATION_MODEL, SEGMENTATION_MODEL, Bundle
from fashion_classifier.confidence import calibrated, energy, typicality
from fashion_classifier.ensemble import load_ensemble
from fashion_classifier.errors import FashionClassifierError, InvalidImageError, InvalidReferenceError
from fashion_classifier.images import ACCEPTED, Picture, UInt8Array, is_tensor, to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.locks import once
from fashion_classifier.manifest import ExpertName
from fashion_classifier.masks import BoolArray, parts_of
from fashion_classifier.memory import give_back
from fashion_classifier.orientation import Orientation
from fashion_classifier.places import Box, Point, reduced_point
from fashion_classifier.predictions import Prediction
from fashion_classifier.preprocessing import CanonicalImage, Segment, as_photo, cut_out_of_photo
from fashion_classifier.segmentation import Segmenter

MANY = 8  # pictures of a list, from which on what they took is given back to the system at once
APART = 0.5  # confidence in the name of each part of what was found, from which on other names are other garments
MODEL_VARIABLE = "FASHION_CLASSIFIER_MODEL"  # the model to use where none is named


class FashionClassifier:
    """A model version, ready to answer. Safe to use from several threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises `InvalidBundleError` where the bundle is incomplete, damaged or made for another version."""
        self.bundle = bundle
        self._segment = Segmenter(bundle.path / SEGMENTATION_MODEL, bundle.read(SEGMENTATION_MODEL))
        turning = ORIENTATION_MODEL in bundle.manifest.files
        path = bundle.path / ORIENTATION_MODEL
        self._orientation = Orientation(path, bundle.read(ORIENTATION_MODEL)) if turning else None
        self._ensembles = {name: load_ensemble(bundle, name) for name in bundle.manifest.experts}

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
        return cls(Bundle(Path(ref).absolute()))  # explanations read more of it later, wherever that is called from

    @classmethod
    def from_pretrained_or_default(cls, ref: str | Path | None = None) -> tuple["FashionClassifier", str | None]:
        """As `from_pretrained`; where that fails, the bundle that this package carries, and the reason for it."""
        try:
            return cls.from_pretrained(ref), None
        except FashionClassifierError as error:
            return cls(Bundle(DEFAULT_MODEL)), str(error)

    def __reduce__(self) -> tuple[type["FashionClassifier"], tuple[Bundle]]:
        return type(self), (self.bundle,)  # copies and other processes load it anew

    @property
    def version(self) -> str:
        return self.bundle.manifest.version

    @overload
    def predict(  # type: ignore[overload-overlap]  # str is iterable
        self, pictures: Picture | CanonicalImage, *, at: Point | None = None, box: Box | None = None
    ) -> Prediction: ...
    @overload
    def predict(self, pictures: Iterable[Picture | CanonicalImage]) -> list[Prediction]: ...
    def predict(
        self,
        pictures: Picture | CanonicalImage | Iterable[Picture | CanonicalImage],
        *,
        at: Point | None = None,
        box: Box | None = None,
    ) -> Prediction | list[Prediction]:
        """Name the garment in one picture, or in each of an iterable of pictures.

        Args:
            pictures: One picture, or an iterable of pictures. What `canonicalize` or `Prediction.image` gives is one too.
            at: A point on the garment that is meant, of several in one picture: column and row in pixels of the upright
                picture, (0, 0) its upper left one. None for the main garment.
            box: In place of a point, a box around the garment: left, top, width and height in pixels.

        Returns:
            One `Prediction` for a picture; a list of them, in order, for an iterable.

        Raises:
            InvalidImageError: A picture cannot be read; `index` says which one of an iterable.
            InvalidPlaceError: The point or the box is none in this picture.
            TypeError: A point or a box is given for an iterable of pictures.
        """
        if _is_single(pictures):
            (prediction,) = self._answer([preprocessing.canonicalize(pictures, self._segment, at=at, box=box)])
            return prediction if at is None else self._part_at(prediction, at)
        if at is not None or box is not None:
            raise TypeError("A point or a box is for one picture, received an iterable of pictures.")
        if not isinstance(pictures, Iterable):
            raise InvalidImageError(
                f"Received an object of type {type(pictures).__name__}{hints.for_object(pictures)}.",
                f"{ACCEPTED[:-1]}, or an iterable of these.",
            )
        many = enumerate(cast(Iterable[Picture | CanonicalImage], pictures))
        # one by one: together they would be no faster, and take more memory
        predictions = [self._answer([self._canonicalize(picture, index)])[0] for index, picture in many]
        if len(predictions) >= MANY:
            give_back()
        return predictions

    def find_garments(self, picture: Picture | CanonicalImage) -> list[Prediction]:
        """Name every garment in a picture, such as all that a person wears.

        Returns:
            One `Prediction` for each garment that is one of the ten, the most prominent first: the main one that `predict`
            names, then the others by the area that they cover. Each has its own `image.mask` over the same `image.photo`, and
            its `image.box`. A picture of nothing that is known gives an empty list, one of a single garment a list of one.

        Raises:
            InvalidImageError: The picture cannot be read.
        """
        main = self.predict(picture)
        if not main.image.is_photo:
            return [] if main.uncertain else [main]
        photo, size = main.image.photo, main.image.size
        first, *others = self._segment.each(to_rgb(photo), main.image.mask)
        others.sort(key=np.count_nonzero, reverse=True)
        if first is not main.image.mask:
            (main,) = self._answer([cut_out_of_photo(photo, first, size)])
        found = [main, *self._answer([cut_out_of_photo(photo, mask, size) for mask in others])]
        return [part for prediction in found if not prediction.uncertain for part in self._parts(prediction)]

    def _parts(self, found: Prediction) -> list[Prediction]:
        """The garments that lie beside each other in what was found as one; that itself, where its parts have no other names.

        A pair of shoes has two parts too, and an open coat, and what an arm is held before.
        """
        parts = parts_of(found.image.mask) if found.image.is_photo else []
        if len(parts) < 2:
            return [found]
        named = self._answer([cut_out_of_photo(found.image.photo, part, found.image.size) for part in parts])
        sure = all(part.confidence >= APART and not part.uncertain for part in named)
        return named if sure and len({part.label for part in named}) > 1 else [found]

    def _part_at(self, found: Prediction, at: Point) -> Prediction:
        """Of several garments that were found as one the one at a point, given as for `predict`."""
        height, width = found.image.mask.shape
        column, row = reduced_point(at, found.image.size, (width, height))
        place = min(max(0, round(row)), height - 1), min(max(0, round(column)), width - 1)
        return next((part for part in self._parts(found) if part.image.mask[place]), found)

    def _canonicalize(self, picture: Picture | CanonicalImage, index: int) -> CanonicalImage:
        try:
            return preprocessing.canonicalize(picture, self._segment)
        except InvalidImageError as error:
            raise error.at(index) from error

    def _answer(self, images: list[CanonicalImage]) -> list[Prediction]:
        """The answers in order, from one run of each expert for all the images that are its own."""
        images = [self._read(image) for image in images]
        names = [self.bundle.manifest.expert_for(photo=image.is_photo) for image in images]
        answers = {
            expert: self._ask(expert, [image for image, name in zip(images, names, strict=True) if name == expert])
            for expert in set(names)
        }
        return [next(answers[name]) for name in names]

    def _read(self, image: CanonicalImage) -> CanonicalImage:
        """A picture as what it is: a photo where it shows as much and a network for photos is here, or an upright thumbnail."""
        photo = as_photo(image, self._segment) if "photo" in self.bundle.manifest.experts else None
        if photo is not None:
            return photo
        return image if image.is_photo or self._orientation is None else self._orientation.upright(image)

    def _ask(self, name: ExpertName, images: list[CanonicalImage]) -> Iterator[Prediction]:
        expert, logits = self.bundle.manifest.experts[name], self._ensembles[name].logits(images)
        rows = calibrated(logits, expert.temperature, expert.smoothing)
        shares = typicality(energy(logits), expert.energies)
        for image, row, share in zip(images, rows.tolist(), shares.tolist(), strict=True):
            yield Prediction(dict(zip(LABELS, row, strict=True)), share, image, self.bundle)


def _is_single(pictures: object) -> TypeGuard[Picture | CanonicalImage]:
    """Whether this is one picture; some of the kinds of pictures are iterable themselves."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, CanonicalImage)
    # a mapping holds several things, and is refused as one
    return isinstance(pictures, (*kinds, Mapping)) or is_tensor(pictures) or hasattr(pictures, "read")


def default_classifier() -> FashionClassifier:
    """The classifier of FASHION_CLASSIFIER_MODEL or of the embedded bundle, loaded once for each value of the variable."""
    return _classifier(os.environ.get(MODEL_VARIABLE))


@once
def _classifier(ref: str | None) -> FashionClassifier:
    return FashionClassifier.from_pretrained(ref or None)


@overload
def predict(  # type: ignore[overload-overlap]  # as above
    pictures: Picture | CanonicalImage, *, at: Point | None = None, box: Box | None = None
) -> Prediction: ...
@overload
def predict(pictures: Iterable[Picture | CanonicalImage]) -> list[Prediction]: ...
def predict(
    pictures: Picture | CanonicalImage | Iterable[Picture | CanonicalImage],
    *,
    at: Point | None = None,
    box: Box | None = None,
) -> Prediction | list[Prediction]:
    """As `FashionClassifier.predict`, with the model of FASHION_CLASSIFIER_MODEL, or else the embedded one."""
    if at is None and box is None:
        return default_classifier().predict(pictures)
    return default_classifier().predict(cast(Picture, pictures), at=at, box=box)  # which refuses an iterable


def find_garments(picture: Picture | CanonicalImage) -> list[Prediction]:
    """As `FashionClassifier.find_garments`, likewise."""
    return default_classifier().find_garments(picture)


def canonicalize(
    picture: Picture | CanonicalImage, segment: Segment | None = None, *, at: Point | None = None, box: Box | None = None
) -> CanonicalImage:
    """Bring any picture of a garment into canonical form, as `predict` does first.

    It then turns thumbnails upright that surely are not, and takes gray pictures with a photo's detail for photos.

    Args:
        picture: Anything that holds a picture.
        segment: Finds the garment in a photo: (H, W, 3) uint8 RGB, and a point where there is one -> (H, W) bool; None for the
            network of the model that FASHION_CLASSIFIER_MODEL names, or else of the embedded one. What is no photo needs none.
        at: A point on the garment that is meant, as for `predict`.
        box: In place of a point, a box around it, likewise.

    Returns:
        The 28x28 pixels, the photo, the garment's mask and the geometry between them. Pictures that are thumbnails already
        pass through bit for bit, see `fashion_classifier.preprocessing.canonicalize`.

    Raises:
        InvalidImageError: The picture cannot be read.
        InvalidPlaceError: The point or the box is none in this picture.
        FashionClassifierError: The model cannot be had, as `FashionClassifier.from_pretrained`.
    """
    return preprocessing.canonicalize(picture, segment or _default_segment, at=at, box=box)


def _default_segment(photo: UInt8Array, at: Point | None = None) -> BoolArray:
    return default_classifier()._segment(photo, at)
