"""What a model version says of itself: manifest.json, and what is allowed in it.

A manifest may come from anybody: every value is checked before it is believed, and what is wrong is said in one sentence.
"""

import json
import re
import reprlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from fashion_classifier.labels import LABELS

FORMAT = 8
PREPROCESSING_VERSION = "4"  # changes whenever the same picture and mask may give another canonical image or other forms
MOST_BYTES = 1_000_000  # that are read of a manifest

FormName = Literal["canonical", "canonical mirrored", "garment", "garment mirrored"]  # `fashion_classifier.forms.FORMS`
ExpertName = Literal["thumbnail", "photo"]


@dataclass(frozen=True)
class Member:
    """A network of an expert, asked about one form of a picture. A network that is asked about two is two members.

    Attributes:
        form: Of the pictures that it is shown.
        file: The network for LiteRT.
        keras: The same network for Keras, for further methods of explanation and retraining; its weights may be in half
            precision. Neither the package nor the usual download holds it.
        architecture: Its name in training, or "custom".
        explanation_layer: The layer whose maps Grad-CAM weighs; None where the network has none.
        evidence: Whether `file` has a second output (1, rows, columns, 10): how much each cell of that layer's maps speaks for
            each name. The positive part of it is Grad-CAM.
    """

    form: FormName
    file: str
    keras: str
    architecture: str
    explanation_layer: str | None
    evidence: bool


@dataclass(frozen=True)
class Expert:
    """Networks that answer together for one kind of picture, and what their answers are worth.

    Attributes:
        temperature: The logits are divided by it before the softmax (`fashion_classifier.confidence.calibrated`).
        smoothing: Share of the probability that the networks spread over the classes evenly, taken off again.
        energies: Quantiles of the energy scores of good validation pictures, ascending, evenly spaced from the 0th to the
            100th percentile, of several sources the lowest; they turn a score into a typicality
            (`fashion_classifier.confidence`).
        members: Whose answers are averaged.
    """

    temperature: float
    smoothing: float
    energies: tuple[float, ...]
    members: tuple[Member, ...]

    @property
    def architecture(self) -> str:
        """The names of its networks, each once: "efficientnet-lite0 and efficientnet-lite1"."""
        return " and ".join(dict.fromkeys(member.architecture for member in self.members))

    @property
    def explained(self) -> Member | None:
        """The member that explanations show: the first that has a layer for it."""
        return next((member for member in self.members if member.explanation_layer is not None), None)


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; manifest.json holds these fields.

    Attributes:
        format: Of the manifest itself.
        version: Of the model, as a Hub tag would name it.
        labels: In the order of the networks' outputs.
        preprocessing: Version of the canonical form and the other forms that the bundle was made for.
        uncertain_below: Typicality under which a picture counts as probably none of the ten.
        experts: The one for thumbnails, and perhaps one for photos. Without it that for thumbnails answers photos as well,
            which score lower.
        metrics: Measured figures, each with its n.
        files: Name of every other file of the bundle, with its SHA-256.
    """

    format: int
    version: str
    labels: tuple[str, ...]
    preprocessing: str
    uncertain_below: float
    experts: dict[ExpertName, Expert]
    metrics: dict[str, Any]
    files: dict[str, str]

    def expert_for(self, *, photo: bool) -> ExpertName:
        """Who answers a photo, or a thumbnail."""
        return "photo" if photo and "photo" in self.experts else "thumbnail"

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class Rule:
    """What a value may be: in words, and as a test."""

    allowed: str
    accepts: Callable[[Any], bool]


def _number(low: float, high: float) -> Rule:
    return Rule(f"a number from {low} to {high}", lambda value: type(value) in (int, float) and low <= value <= high)


def _text(allowed: str, pattern: str) -> Rule:
    return Rule(allowed, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


_FILE = _text("a file name of up to 100 letters, digits and . _ -", r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHECKSUM = _text("64 hexadecimal digits", r"[0-9a-f]{64}")
_OBJECT = Rule("an object", lambda value: isinstance(value, dict))

_MANIFEST = {
    "format": Rule(f"{FORMAT}", lambda value: value == FORMAT),
    "version": _text("up to 40 letters, digits and . + -, such as 1.2.0", r"[A-Za-z0-9][A-Za-z0-9.+-]{0,39}"),
    "labels": Rule(f"{list(LABELS)}", lambda value: value == list(LABELS)),
    "preprocessing": Rule("text", lambda value: isinstance(value, str)),  # compared with ours
    "uncertain_below": _number(0, 1),
    "experts": Rule(
        "'thumbnail' and perhaps 'photo'",
        lambda value: isinstance(value, dict) and {"thumbnail"} <= value.keys() <= set(get_args(ExpertName)),
    ),
    "metrics": _OBJECT,
    "files": Rule(
        f"for each name, {_FILE.allowed}, its SHA-256, {_CHECKSUM.allowed}",
        lambda value: (
            isinstance(value, dict) and all(map(_FILE.accepts, value)) and all(map(_CHECKSUM.accepts, value.values()))
        ),
    ),
}
_EXPERT = {
    "temperature": _number(0.01, 100),
    "smoothing": _number(0, 0.9),
    "energies": Rule(
        "2 to 10000 ascending numbers from -1000000 to 1000000",
        lambda value: (
            isinstance(value, list)
            and 2 <= len(value) <= 10_000
            and all(map(_number(-1_000_000, 1_000_000).accepts, value))
            and value == sorted(value)
        ),
    ),
    "members": Rule("a list of 1 to 10 members", lambda value: isinstance(value, list) and 1 <= len(value) <= 10),
}
_MEMBER = {
    "form": Rule(f"one of {', '.join(get_args(FormName))}", lambda value: value in get_args(FormName)),
    "file": _FILE,
    "keras": _FILE,
    "architecture": _text("a name of up to 60 letters, digits and . _ -", r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}"),
    "explanation_layer": Rule(
        "null or a name of up to 200 printable characters",
        lambda value: value is None or (isinstance(value, str) and 1 <= len(value) <= 200 and value.isprintable()),
    ),
    "evidence": Rule("true or false", lambda value: isinstance(value, bool)),
}


def parse_manifest(text: bytes) -> Manifest:
    """A manifest that is what it should be.

    Args:
        text: JSON in UTF-8.

    Raises:
        ValueError: It is no manifest that this version of the package understands; the text goes on after "manifest.json".
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES:,} bytes, the most that is allowed.")
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nests lists and objects too deeply; three or four levels are enough.") from error
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}.") from error
    _check_format(content)
    content = _checked(content, _MANIFEST)
    if content["preprocessing"] != PREPROCESSING_VERSION:
        raise ValueError(
            f"was made for preprocessing version {_shortened(content['preprocessing'])}, this package has "
            f"{PREPROCESSING_VERSION!r}. Use the version of the package that it was made with, or another model."
        )
    experts = {name: _expert(expert, f"experts.{name}", content["files"]) for name, expert in content["experts"].items()}
    return Manifest(**content | {"labels": tuple(content["labels"]), "experts": experts})


def _check_format(content: Any) -> None:
    received = content.get("format") if isinstance(content, dict) else type(content).__name__
    if type(received) is int and received == FORMAT:
        return
    remedy = ""
    if isinstance(received, int) and received > FORMAT:
        remedy = " It was made for a newer version of this package: update fashion-classifier."
    elif isinstance(received, int):
        remedy = " It was made for an older version of this package: use that one, or another model."
    raise ValueError(f"has format {_shortened(received)}, this package reads {FORMAT}.{remedy}")


def _expert(content: Any, place: str, files: dict[str, str]) -> Expert:
    content = _checked(content, _EXPERT, place)
    members = [_member(member, f"{place}.members[{i}]", files) for i, member in enumerate(content["members"])]
    return Expert(**content | {"energies": tuple(content["energies"]), "members": tuple(members)})


def _member(content: Any, place: str, files: dict[str, str]) -> Member:
    content = _checked(content, _MEMBER, place)
    for name in ("file", "keras"):
        if content[name] not in files:
            raise ValueError(f"has {_shortened(content[name])} for {place}.{name}; allowed are the names in files.")
    return Member(**content)


def _checked(content: Any, rules: dict[str, Rule], place: str = "") -> dict[str, Any]:
    """An object whose fields are those of the rules, and keep to them."""
    if not isinstance(content, dict):
        raise ValueError(f"has {_shortened(content)} for {place}; allowed is {_OBJECT.allowed}.")
    if content.keys() != rules.keys():
        missing, unknown = sorted(rules.keys() - content.keys()), sorted(content.keys() - rules.keys())
        raise ValueError(f"lacks {missing} and has unknown {_shortened(unknown)}{f' in {place}' if place else ''}.")
    for name, rule in rules.items():
        if not rule.accepts(content[name]):
            where = f"{place}.{name}" if place else name
            raise ValueError(f"has {_shortened(content[name])} for {where}; allowed is {rule.allowed}.")
    return content


_short = reprlib.Repr()
_short.maxlevel = 1  # what is inside lists and objects is left out


def _shortened(value: Any) -> str:
    """How a value is written, in no more than some two hundred characters."""
    return _short.repr(value)
