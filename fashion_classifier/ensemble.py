"""Pictures -> logits: the networks of an expert, each asked about its form."""

from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from fashion_classifier.bundle import Bundle
from fashion_classifier.confidence import Float64Array
from fashion_classifier.errors import InvalidBundleError
from fashion_classifier.forms import FORMS, render_all
from fashion_classifier.labels import LABELS
from fashion_classifier.manifest import ExpertName, Member
from fashion_classifier.network import Float32Array, Network
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
        self.members = tuple(members)
        self._networks = {
            (file, shape): Network(folder / file, read(file), inputs=(1, *shape), outputs=(1, len(LABELS)))
            for file, shape in {_key(member) for member in members}  # two forms may be for one network
        }
        for member in members:
            further = self._networks[_key(member)].further
            if member.evidence and [shape[-1] for shape in further if len(shape) == 4] != [len(LABELS)]:
                needed = f"one (1, rows, columns, {len(LABELS)})"
                raise InvalidBundleError(folder, f"{member.file} has the further outputs {further}, needed is {needed}.")

    def logits(self, images: Sequence[CanonicalImage]) -> Float64Array:
        """What each member says of n pictures, at least one: (members, n, 10) float64."""
        inputs = render_all((member.form for member in self.members), images)
        answers: dict[object, Float32Array] = {}
        for key, network in self._networks.items():
            forms = [member.form for member in self.members if _key(member) == key]
            together = network.run(np.concatenate([inputs[form] for form in forms]))
            answers |= {(form, key): rows for form, rows in zip(forms, np.split(together, len(forms)), strict=True)}
        return np.stack([answers[member.form, _key(member)] for member in self.members]).astype(np.float64)

    def ask(self, member: Member, inputs: Float32Array) -> Float64Array:
        """What one member says of n pictures in its form: (n, side, side, channels) float32 -> (n, 10)."""
        return self._networks[_key(member)].run(inputs).astype(np.float64)

    def evidence(self, member: Member, inputs: Float32Array) -> Float64Array:
        """Where a member that has `evidence` sees what speaks for each name: (n, rows, columns, 10), in its form likewise."""
        return self._networks[_key(member)].run_further(inputs).astype(np.float64)


Place = tuple[Path, tuple[tuple[Member, str], ...]]  # a folder, and each member with the checksum of its network

_loaded: WeakValueDictionary[Place, Ensemble] = WeakValueDictionary()


def load_ensemble(bundle: Bundle, name: ExpertName) -> Ensemble:
    """The networks of a bundle's expert, read and verified; raises as `Ensemble` and `Bundle.read` do."""
    ensemble = Ensemble(bundle.path, bundle.manifest.experts[name].members, bundle.read)
    _loaded[_place(bundle, name)] = ensemble
    return ensemble


def loaded_ensemble(bundle: Bundle, name: ExpertName) -> Ensemble:
    """As `load_ensemble`; the very same networks where somebody still uses them, such as a classifier."""
    ensemble = _loaded.get(_place(bundle, name))
    return load_ensemble(bundle, name) if ensemble is None else ensemble


def _place(bundle: Bundle, name: ExpertName) -> Place:
    """A folder may come to hold another bundle: the checksums tell their networks apart."""
    members = bundle.manifest.experts[name].members
    return bundle.path, tuple((member, bundle.manifest.files[member.file]) for member in members)


def _key(member: Member) -> tuple[str, tuple[int, int, int]]:
    return member.file, FORMS[member.form].shape
