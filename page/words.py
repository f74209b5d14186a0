"""What the page says, in words: of an answer, and of what went wrong."""

import html
import re
from typing import Protocol

from fashion_classifier import LABELS, Explanation, FashionClassifierError, InvalidImageError, Prediction
from fashion_classifier.decoding import FORMATS

NO_PHOTOS = "**This model has no network for photos**: what it answers to one says little"
VIEWED = "Your picture is named on this server, goes nowhere else, and is deleted after about an hour. Nothing is noted."
NO_NAME = "No name fits, so there is nothing to explain. Choose a name to see what speaks for it."
VERY_SURE, FAIRLY_SURE = 0.9, 0.6  # of the probability
UNUSUAL = 0.2  # below which typicality is worth a word: of good pictures one in five
NOT_SURE = "Not sure: this may be none of the ten"
FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;]+/)+")  # of an absolute path; an address has a colon before its slashes


class Named(Protocol):
    """An answer, whoever gave it."""

    @property
    def label(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def uncertain(self) -> bool: ...
    def top(self, k: int) -> list[tuple[str, float]]: ...


def percent(share: float) -> str:
    """A share in words that round nothing up to certainty: 0.997 is 99.7%, and 0.99999 not 100%."""
    return f"{share:.0%}" if share < 0.995 else f"{min(share, 0.999):.1%}"


def verdict(prediction: Named) -> str:
    """The answer in one line."""
    return NOT_SURE if prediction.uncertain else f"{prediction.label}, {percent(prediction.confidence)}"


def reason(prediction: Prediction) -> str:
    """How sure the answer is and how usual the picture, in words; of one that is none of the ten nothing is named. Markdown."""
    manifest = prediction.bundle.manifest
    if prediction.uncertain:
        text = f"I know ten kinds of things: {', '.join(LABELS[:-1])} and {LABELS[-1]}. This picture looks like none of them. "
        text += "If it shows one, try a photo of it alone, on a plain background, or tap it."
    else:
        text = f"{_certainty(prediction)} {_usualness(prediction.typicality)}".strip()
    if prediction.image.is_photo and "photo" not in manifest.experts:
        text += f" {NO_PHOTOS}."
    return text


def _certainty(prediction: Prediction) -> str:
    (_, confidence), (second, runner_up), *_ = prediction.top(2)
    if confidence >= VERY_SURE:
        return "I am very sure."
    if confidence >= FAIRLY_SURE:
        return f"I am fairly sure; if not, then {second} ({percent(runner_up)})."
    return f"I am not sure of this name: {second} is possible, too ({percent(runner_up)})."


def _usualness(typicality: float) -> str:
    return "" if typicality >= UNUSUAL else "The picture is an unusual one, though: look twice."


def second(prediction: Prediction) -> str:
    """The name that is the most probable but one."""
    return prediction.top(2)[1][0]


def bars(prediction: Named) -> str:
    """The three most probable names with bars, HTML; nothing of a picture that is none of the ten."""
    if prediction.uncertain:
        return ""
    rows = "".join(
        f'<li><span>{label}</span><span class="bar"><span style="width:{share:.0%}"></span></span>'
        f'<span class="share">{percent(share)}</span></li>'
        for label, share in prediction.top(3)
    )
    return f'<ol class="bars">{rows}</ol>'


def provenance(answer: Prediction, seconds: float, fallback: str | None) -> str:
    """How long it took, which model answered, and why it is not the configured one; Markdown."""
    commit = f", commit {answer.model_commit[:12]}" if answer.model_commit else ""
    text = f"Answered in {max(seconds, 0.01):.2f} s by model {answer.model_version}{commit}."
    return text if fallback is None else f"{text}\n\nThe embedded model answers: {html.escape(fallback)}"


def map_sentence(explanation: Explanation) -> str:
    """What the map shows, and how probable the name is that it is about; Markdown."""
    target, against = explanation.target, explanation.against
    share = percent(explanation.prediction.probabilities[target])
    if against is not None:
        other = percent(explanation.prediction.probabilities[against])
        return f"Orange speaks for **{target}** ({share}), blue for **{against}** ({other}). {explanation.sentence}"
    text = f"What is brightest speaks most for **{target}**, which gets {share}."
    if target != explanation.prediction.label:
        text += f" The answer is **{explanation.prediction.label}**: here {target} is least unlikely."
    return f"{text} {explanation.sentence}"


def sentence(error: Exception) -> str:
    """The library's word on what went wrong, for who knows neither its types nor this server's folders."""
    if isinstance(error, InvalidImageError):  # the problem only: the accepted Python types mean nothing here
        return f"{error.problem} Accepted: {', '.join(FORMATS)} files."
    return without_folders(str(error)) if isinstance(error, FashionClassifierError) else str(error)


def without_folders(text: str) -> str:
    """A text in which of each absolute path only the last name is left."""
    return FOLDERS.sub("", text)
