"""The tab on how the page is used: what its journal says in numbers. No pictures, no visitors."""

import html
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import gradio as gr
import numpy as np

from fashion_classifier import LABELS
from fashion_classifier.monitoring import read_events
from page.service import Service
from page.words import percent

LATEST = 20_000  # events that are looked at
KEPT = 60.0  # seconds for which a summary is shown again
DAYS = 14  # that are shown
ENOUGH = 200  # predictions, below which a drift would be chance
SHIFTED, DRIFTED = 0.1, 0.25  # of the population stability index, as is customary
BINS = 10
LEAST_SHARE = 1e-4  # of a bin, whose logarithm is taken

Event = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What the journal says.

    Attributes:
        predictions: How many were made.
        corrections: How many were corrected.
        days: Predictions by day, "2026-11-26", in order.
        labels: Predictions by name, those that were sure.
        confidence: Their mean confidence; None without any.
        uncertain: Share of predictions that were not sure; None without any.
        milliseconds: The 50th, 95th and 99th percentile of the time that an answer took; None without any.
        versions: Predictions by model version.
        corrected: Corrections by (answer, right name).
        drift: Population stability index of typicality; None for fewer than `ENOUGH` predictions.
    """

    predictions: int
    corrections: int
    days: Mapping[str, int]
    labels: Mapping[str, int]
    confidence: float | None
    uncertain: float | None
    milliseconds: tuple[float, float, float] | None
    versions: Mapping[str, int]
    corrected: Mapping[tuple[str, str], int]
    drift: float | None


def usage(events: Sequence[Event]) -> Usage:
    """Sum the events of a journal up."""
    predictions = [event for event in events if event["event"] == "prediction"]
    corrections = [event for event in events if event["event"] == "correction"]
    sure = [event for event in predictions if not event.get("uncertain")]
    confidences = [event["confidence"] for event in sure if "confidence" in event]
    times = [event["milliseconds"] for event in predictions if "milliseconds" in event]
    typical = [event["typicality"] for event in predictions if "typicality" in event]
    return Usage(
        predictions=len(predictions),
        corrections=len({event["id"] for event in corrections}),
        days=Counter(event["time"][:10] for event in predictions),
        labels=Counter(event["label"] for event in sure if event.get("label") in LABELS),
        confidence=float(np.mean(confidences)) if confidences else None,
        uncertain=1 - len(sure) / len(predictions) if predictions else None,
        milliseconds=tuple(np.percentile(times, (50, 95, 99)).tolist()) if times else None,
        versions=Counter(event["version"] for event in predictions if "version" in event),
        corrected=Counter((event["answer"], event["label"]) for event in corrections),
        drift=stability(typical) if len(typical) >= ENOUGH else None,
    )


def stability(typicality: Sequence[float]) -> float:
    """The population stability index of typicality against the pictures that the model was calibrated on.

    Typicality is the share of those that are less typical, so that theirs is spread evenly over [0, 1]: the reference is a
    tenth of the pictures in each of `BINS` equal bins. 0 for the same spread.
    """
    counts, _ = np.histogram(typicality, BINS, (0, 1))
    shares = np.maximum(counts / max(len(typicality), 1), LEAST_SHARE)
    return math.fsum((share - 1 / BINS) * math.log(share * BINS) for share in shares.tolist())


class MonitoringTab:
    """The numbers, read anew when the tab is opened, at most once in `KEPT` seconds."""

    def __init__(self, service: Service, tab: gr.Tab) -> None:
        """Lay the tab out; inside of Gradio's blocks."""
        self.service = service
        self._lock, self._made, self._shown = Lock(), -KEPT, ""
        gr.Markdown("What this server's journal says. It holds no pictures and nothing about visitors.", elem_classes="quiet")
        self.numbers = gr.HTML(elem_id="monitoring")
        tab.select(self.show, None, self.numbers, api_visibility="private", show_progress="hidden")

    def show(self) -> str:
        """The numbers as HTML."""
        with self._lock:
            if time.monotonic() - self._made > KEPT:
                self._shown = as_html(usage(read_events(self.service.journal.folder, LATEST)))
                self._made = time.monotonic()
            return self._shown


def as_html(numbers: Usage) -> str:
    """Usage in headings, sentences and lists with bars; everything that may be from outside escaped."""
    if not numbers.predictions:
        return "<p>Nothing was predicted yet.</p>"
    parts = [
        _facts(numbers),
        _bars("Predictions by day", dict(sorted(numbers.days.items())[-DAYS:])),
        _bars("What was named", {label: numbers.labels[label] for label in LABELS if label in numbers.labels}),
        _bars("Model versions", numbers.versions),
    ]
    corrected = {f"{answer} was {right}": n for (answer, right), n in Counter(numbers.corrected).most_common(10)}
    return "".join([*parts, _bars("Corrections", corrected) if corrected else ""])


def _facts(numbers: Usage) -> str:
    facts = {"predictions": f"{numbers.predictions:,}", "corrections": f"{numbers.corrections:,}"}
    if numbers.confidence is not None:
        facts["mean confidence"] = percent(numbers.confidence)
    if numbers.uncertain is not None:
        facts["not sure"] = f"{numbers.uncertain:.1%}"
    if numbers.milliseconds is not None:
        facts["time: half, 95%, 99% within"] = ", ".join(f"{value / 1000:.2f} s" for value in numbers.milliseconds)
    facts["pictures against those of calibration"] = _drift(numbers.drift)
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _drift(index: float | None) -> str:
    if index is None:
        return f"too few to say (fewer than {ENOUGH})"
    word = "alike" if index < SHIFTED else "somewhat different" if index < DRIFTED else "different"
    return f"{word} (stability index {index:.2f})"


def _bars(heading: str, counts: Mapping[str, int]) -> str:
    most = max(counts.values(), default=1)
    rows = "".join(
        f'<li><span>{html.escape(name[:60])}</span><span class="bar"><span style="width:{n / most:.0%}"></span></span>'
        f'<span class="share">{n:,}</span></li>'
        for name, n in counts.items()
    )
    return f'<h3>{heading}</h3><ol class="bars">{rows}</ol>'
