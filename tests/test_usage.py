"""What the page says of its use."""

import math
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

import app
from fashion_classifier.monitoring import Journal
from page.monitoring import MonitoringTab, as_html, stability, usage
from page.service import Service


def prediction(number: int = 0, **fields: Any) -> dict[str, Any]:
    known = {"event": "prediction", "id": str(number), "time": "2026-11-26T10:00:00+00:00", "version": "1.0.0"}
    answer = {"label": "Coat", "confidence": 0.8, "uncertain": False, "typicality": 0.5, "milliseconds": 100}
    return known | answer | fields


def test_a_journal_in_numbers() -> None:
    events = [
        prediction(1),
        prediction(2, label="Bag", confidence=0.6, milliseconds=300, time="2026-11-27T10:00:00+00:00"),
        prediction(3, label="Bag", confidence=0.1, uncertain=True, version="1.1.0"),
        prediction(4, confidence=0.7, milliseconds=100),
        {"event": "correction", "id": "1", "answer": "Coat", "label": "Dress"},
        {"event": "correction", "id": "1", "answer": "Coat", "label": "Dress"},  # its picture was taken back
    ]
    numbers = usage(events)
    assert (numbers.predictions, numbers.corrections) == (4, 1)
    assert numbers.days == {"2026-11-26": 3, "2026-11-27": 1}
    assert numbers.labels == {"Coat": 2, "Bag": 1}
    assert numbers.confidence == pytest.approx(0.7)
    assert numbers.uncertain == 0.25
    assert numbers.milliseconds is not None
    assert numbers.milliseconds[0] == 100
    assert numbers.versions == {"1.0.0": 3, "1.1.0": 1}
    assert numbers.drift is None


def test_the_stability_index_by_hand() -> None:
    even = [bin_ / 10 + 0.05 for bin_ in range(10)]
    assert stability(even) == pytest.approx(0)
    # two bins of a half each: 2 x (0.5 - 0.1) ln 5, and eight empty ones: 8 x (0.0001 - 0.1) ln 0.001
    expected = 0.8 * math.log(5) + 8 * (0.0001 - 0.1) * math.log(0.001)
    assert stability([0.05, 0.15]) == pytest.approx(expected)


def test_drift_is_quiet_under_200_rows() -> None:
    alike = [prediction(number, typicality=(number % 10) / 10 + 0.05) for number in range(200)]
    assert "too few to say (fewer than 200)" in as_html(usage(alike[:199]))
    assert "alike (stability index 0.00)" in as_html(usage(alike))
    strange = [prediction(number, typicality=0.01) for number in range(200)]
    assert "different (stability index" in as_html(usage(strange))


def test_nothing_yet_and_nothing_unescaped() -> None:
    assert as_html(usage([])) == "<p>Nothing was predicted yet.</p>"
    shown = as_html(usage([prediction(version="<script>")]))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_the_tab_reads_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(app.service.classifier, Journal(tmp_path))
    with gr.Blocks(), gr.Tab("Monitoring") as inner:
        tab = MonitoringTab(service, inner)
    assert tab.show() == "<p>Nothing was predicted yet.</p>"
    service.answer(Path("examples/fashion-mnist-bag.png").read_bytes())
    assert tab.show() == "<p>Nothing was predicted yet.</p>"  # it is read once a minute
    monkeypatch.setattr("page.monitoring.KEPT", -1)
    assert "<dt>predictions</dt><dd>1</dd>" in tab.show()
