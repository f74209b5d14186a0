"""`CanonicalImage` -> what a network takes: the forms of a picture by name, each with the way back to the photo."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.images import UInt8Array
from fashion_classifier.manifest import FormName
from fashion_classifier.preprocessing import SIZE, VIEW_SIZE, CanonicalImage, Geometry
from fashion_classifier.segmentation import as_input

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """A rendering of a picture.

    Attributes:
        shape: Of one picture: side, side, channels.
        colours: How many of the channels show the picture; the others guide to what is meant in it.
        draw: A picture in this form, (side, side, channels) uint8.
        scale: (n, side, side, channels) uint8 -> float32 in the range that the networks take.
        geometry: The way from a picture in this form back to the photo.
        mirrors: The form that this one is left to right; None for one by itself.
    """

    shape: tuple[int, int, int]
    colours: int
    draw: Callable[[CanonicalImage], UInt8Array]
    scale: Callable[[UInt8Array], Float32Array]
    geometry: Callable[[CanonicalImage], Geometry]
    mirrors: FormName | None = None

    def render(self, images: Sequence[CanonicalImage]) -> Float32Array:
        """n pictures, at least one, as the input of a network: (n, side, side, channels) float32."""
        return self.scale(np.stack([self.draw(image) for image in images]))


def _canonical(image: CanonicalImage) -> UInt8Array:
    return image.pixels[..., np.newaxis]


def _in_unit(pixels: UInt8Array) -> Float32Array:
    return pixels.astype(np.float32) / np.float32(255)


def _garment(image: CanonicalImage) -> UInt8Array:
    """The view, and in a fourth channel where the garment is in it."""
    return np.asarray(cv2.merge([image.view, image.view_mask]), np.uint8)


def _of_canonical(image: CanonicalImage) -> Geometry:
    return image.geometry


def _of_view(image: CanonicalImage) -> Geometry:
    return image.view_geometry


def _mirrored(form: Form, name: FormName) -> Form:
    """The form of that name left to right."""
    return replace(
        form,
        draw=lambda image: form.draw(image)[:, ::-1],
        geometry=lambda image: replace(form.geometry(image), mirrored=True),
        mirrors=name,
    )


_CANONICAL = Form((SIZE, SIZE, 1), 1, _canonical, _in_unit, _of_canonical)  # in [0, 1]
_GARMENT = Form((VIEW_SIZE, VIEW_SIZE, 4), 3, _garment, as_input, _of_view)  # RGB and mask, in [-1, 1]
FORMS: dict[FormName, Form] = {
    "canonical": _CANONICAL,
    "canonical mirrored": _mirrored(_CANONICAL, "canonical"),
    "garment": _GARMENT,
    "garment mirrored": _mirrored(_GARMENT, "garment"),
}


def render_all(names: Iterable[FormName], images: Sequence[CanonicalImage]) -> dict[FormName, Float32Array]:
    """n pictures, at least one, in several forms, as `Form.render`; one that mirrors another of them is not drawn again."""
    rendered: dict[FormName, Float32Array] = {}
    for name in sorted(dict.fromkeys(names), key=lambda name: FORMS[name].mirrors is not None):
        mirrored = FORMS[name].mirrors
        rendered[name] = _flipped(rendered[mirrored]) if mirrored in rendered else FORMS[name].render(images)
    return rendered


def _flipped(inputs: Float32Array) -> Float32Array:
    """(n, side, side, channels) left to right, in memory of its own: NumPy copies a reversed axis ten times as slowly."""
    return np.stack([cv2.flip(one, 1).reshape(one.shape) for one in inputs])
