"""What the page says, in words: of an answer, and of what went wrong."""

import html
import re

from fashion_classifier import FashionClassifierError, InvalidImageError, Prediction
from fashion_classifier.decoding import FORMATS

NO_PHOTOS = "**This model has no network for photos**: what it answers to one says little"
NOT_SURE = "Not sure: this may be none of the ten"
FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;]+/)+")  # of an absolute path; an address has a colon before its slashes


def percent(share: float) -> str:
    """A share in words that round nothing up to certainty: 0.997 is 99.7%, and 0.99999 not 100%."""
    return f"{share:.0%}" if share < 0.995 else f"{min(share, 0.999):.1%}"


def verdict(prediction: Prediction) -> str:
    """The answer in one line."""
    return NOT_SURE if prediction.uncertain else f"{prediction.label}, {percent(prediction.confidence)}"


def reason(prediction: Prediction) -> str:
    """How typical the picture is, in words, and what it would be if it were one of the ten."""
    typical_share = min(max(prediction.typicality, 0.001), 0.999)
    share = f"{typical_share:.1%}" if typical_share < 0.1 or typical_share > 0.99 else f"{typical_share:.0%}"
    manifest = prediction.bundle.manifest
    text = f"Of good pictures, {share} are less typical than this one"
    if prediction.uncertain:
        text += f"; below {manifest.uncertain_below:.0%} it counts as unknown. If it is one of the ten, most likely "
        text += prediction.label
    if prediction.image.is_photo and "photo" not in manifest.experts:
        text += f". {NO_PHOTOS}"
    return f"{text}."


def provenance(prediction: Prediction, fallback: str | None) -> str:
    """Which model answered, why it is not the configured one, and how the garment was found; Markdown."""
    commit = f", commit {prediction.model_commit[:12]}" if prediction.model_commit else ""
    text = f"Model {prediction.model_version}{commit}. Garment found by: {prediction.image.isolation}."
    return text if fallback is None else f"{text}\n\nThe embedded model answers: {html.escape(fallback)}"


def sentence(error: Exception) -> str:
    """The library's word on what went wrong, for who knows neither its types nor this server's folders."""
    if isinstance(error, InvalidImageError):  # the problem only: the accepted Python types mean nothing here
        return f"{error.problem} Accepted: {', '.join(FORMATS)} files."
    return without_folders(str(error)) if isinstance(error, FashionClassifierError) else str(error)


def without_folders(text: str) -> str:
    """A text in which of each absolute path only the last name is left."""
    return FOLDERS.sub("", text)
