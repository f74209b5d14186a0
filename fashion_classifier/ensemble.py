"""Pictures -> logits: the networks of an expert, each asked about its form."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fashion_classifier.confidence import Float64Array
from fashion_classifier.forms import FORMS, Float32Array
from fashion_classifier.labels import LABELS
from fashion_classifier.manifest import Member
from fashion_classifier.network import Network
from fashion_classifier.preprocessing import CanonicalImage


class Ensemble:
    """Networks that answer together. Safe to use from several threads at once."""

    def __init__(self, folder: Path, members: Sequence[Member], read: Callable[[str], bytes]) -> None:
        """Load the members' networks.

        Args:
            folder: Where the files are, for errors.
            members: Which networks, and what each is shown.
            read: A file's name -> its content.

        Raises:
            InvalidBundleError: A file is no network, or one of other shapes.
        """
        self._members = [(member.form, (member.file, FORMS[member.form].shape)) for member in members]
        self._networks = {
            (file, shape): Network(folder / file, read(file), inputs=(1, *shape), outputs=(1, len(LABELS)))
            for file, shape in {network for _, network in self._members}  # two forms may be for one network
        }

    def logits(self, images: Sequence[CanonicalImage]) -> Float64Array:
        """What each member says of n pictures, at least one: (members, n, 10) float64."""
        inputs = {form: FORMS[form].render(images) for form in {form for form, _ in self._members}}
        answers: dict[object, Float32Array] = {}
        for key, network in self._networks.items():
            forms = [form for form, its in self._members if its == key]
            together = network.run(np.concatenate([inputs[form] for form in forms]))
            answers |= {(form, key): rows for form, rows in zip(forms, np.split(together, len(forms)), strict=True)}
        return np.stack([answers[member] for member in self._members]).astype(np.float64)
