"""A picture of which only a part is sharp, and what the networks say of it: how reasons are found, and measured."""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.confidence import Float64Array, calibrated
from fashion_classifier.ensemble import Ensemble
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import Expert, Member
from fashion_classifier.preprocessing import CanonicalImage

Float32Array = npt.NDArray[np.float32]

BLUR = 1 / 14  # standard deviation of the blur, of the side of what is seen: two pixels of a thumbnail
NEIGHBOURHOOD = 1 / 40  # likewise, of the smoothing of what the blur takes away and of the garment's edge
BESIDE = 0.02  # what the surroundings of a garment count, beside the garment
CHANGE, GARMENT = 0.25, 0.5  # powers of what the blur takes away and of the garment, chosen on validation pictures


class Blurring:
    """What an expert sees of a picture, and how it answers where parts of that are blurred.

    Everything is upright, whichever way a network looks at it. The garment stays found: only its looks are changed.

    Attributes:
        side: Of the square that is seen, pixels.
        geometry: The way from there back to the photo.
    """

    def __init__(self, image: CanonicalImage, expert: Expert, ensemble: Ensemble) -> None:
        form = FORMS[expert.members[0].form]
        self._expert, self._ensemble, self._form = expert, ensemble, form
        self._members = [member for member in expert.members if FORMS[member.form].shape == form.shape]
        self._mirrored = {member.form: FORMS[member.form].geometry(image).mirrored for member in self._members}
        drawn = form.draw(image)
        self._sharp = (drawn[:, ::-1] if self._mirrored[expert.members[0].form] else drawn).astype(np.float32)
        self._blurred = _blurred(self._sharp, form.colours)
        self.side = form.shape[0]
        self.geometry = replace(form.geometry(image), mirrored=False)

    def answers(self, kept: Float32Array, in_a_row: int = 1) -> Float64Array:
        """What the members say in turn, each of the next picture, or of the next few.

        Args:
            kept: (n, side, side) in [0, 1], 1 where a picture is sharp and 0 where it is blurred.
            in_a_row: How many pictures a member is asked about before the next member is.

        Returns:
            (n, 10) calibrated probabilities.
        """
        turns = [self._members[i // in_a_row % len(self._members)] for i in range(len(kept))]
        return self._calibrated([[self._logits(member, part) for member, part in zip(turns, kept, strict=True)]])

    def answer(self, kept: Float32Array) -> Float64Array:
        """What all members say together of one picture: (side, side) as for `answers` -> (10,)."""
        answer: Float64Array = self._calibrated([[self._logits(member, kept)] for member in self._members])[0]
        return answer

    @property
    def prominence(self) -> Float32Array:
        """Where there is something to see: (side, side), 0 or more, what the blur takes away, on the garment above all."""
        colours = self._form.colours
        taken = _smoothed(np.abs(self._sharp - self._blurred)[..., :colours].sum(axis=2))
        found = (taken / max(float(taken.max()), 1.0)) ** CHANGE
        for guide in np.moveaxis(self._sharp[..., colours:], 2, 0):
            found *= (BESIDE + _smoothed(guide) / 255) ** GARMENT
        return found

    def _logits(self, member: Member, kept: Float32Array) -> Float64Array:
        mixed = self._blurred + kept[..., np.newaxis] * (self._sharp - self._blurred)
        seen = np.round(mixed[:, ::-1] if self._mirrored[member.form] else mixed).astype(np.uint8)
        logits: Float64Array = self._ensemble.ask(member, self._form.scale(seen[np.newaxis]))[0]
        return logits

    def _calibrated(self, logits: list[list[Float64Array]]) -> Float64Array:
        return calibrated(np.array(logits), self._expert.temperature, self._expert.smoothing)


def _blurred(seen: Float32Array, colours: int) -> Float32Array:
    """(side, side, channels) with the channels that show the picture blurred; those that guide to the garment stay."""
    blurred = seen.copy()
    sigma = BLUR * len(seen)
    for channel in range(colours):
        blurred[..., channel] = cv2.GaussianBlur(np.ascontiguousarray(seen[..., channel]), (0, 0), sigma)
    return blurred


def _smoothed(values: Float32Array) -> Float32Array:
    return cv2.GaussianBlur(np.ascontiguousarray(values), (0, 0), NEIGHBOURHOOD * len(values)).astype(np.float32)
