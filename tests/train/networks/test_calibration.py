from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier.confidence import calibrated
from fashion_classifier.manifest import Member
from train.networks.calibration import (
    fair_quantiles,
    fit_calibration,
    negative_log_likelihood,
    plot_reliability,
    reliability,
)
from train.networks.exporting import calibrated_expert

Float64Array = npt.NDArray[np.float64]


def test_negative_log_likelihood_by_hand() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    targets = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    assert negative_log_likelihood(probabilities, targets) == pytest.approx((np.log(2) - np.log(0.9)) / 2)
    assert np.isfinite(negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([[0, 1]], np.float32)))


def drawn(logits: Float64Array, seed: int = 0) -> npt.NDArray[np.float32]:
    """One-hot targets drawn from the softmax of (n, 10) logits."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > np.random.default_rng(seed).random((len(p), 1))).argmax(axis=1)
    targets: npt.NDArray[np.float32] = np.eye(10, dtype=np.float32)[labels]
    return targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    # labels are drawn from softmax(z), the logits handed in are z times the temperature
    z = np.random.default_rng(0).normal(size=(6_000, 10)) * 2
    found, smoothing = fit_calibration(temperature * z[np.newaxis], drawn(z))
    assert found == pytest.approx(temperature, rel=0.03)
    assert smoothing < 0.005


@pytest.mark.parametrize("smoothing", [0.05, 0.1])
def test_a_known_smoothing_is_recovered(smoothing: float) -> None:
    # labels are drawn from p = softmax(z), the logits handed in are twice the logarithm of p with a share spread evenly
    z = np.random.default_rng(0).normal(size=(20_000, 10)) * 4
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    temperature, found = fit_calibration(2 * np.log((1 - smoothing) * p + smoothing / 10)[np.newaxis], drawn(z))
    assert temperature == pytest.approx(2, rel=0.03)
    assert found == pytest.approx(smoothing, abs=0.005)


def test_every_acceptable_class_is_right() -> None:
    # half the pictures are of the first two classes, which nobody tells apart, the others of the third
    logits = np.zeros((100, 10))
    logits[:, :2], logits[:, 3:] = 2 * np.log(1 / 2), -1e3  # of the third 0
    targets = np.zeros((100, 10), np.float32)
    targets[:50, :2], targets[50:, 2] = 1, 1
    found = calibrated(logits[np.newaxis], *fit_calibration(logits[np.newaxis], targets))
    np.testing.assert_allclose(found[:, :2].sum(axis=1), 1 / 2, atol=1e-3)


def test_pictures_count_by_their_weights() -> None:
    probabilities = np.array([[0.5, 0.5], [0.1, 0.9], [0.25, 0.75]])
    targets = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    weighted = negative_log_likelihood(probabilities, targets, np.array([2.0, 1.0, 0.0]))
    assert weighted == pytest.approx((2 * np.log(2) - np.log(0.9)) / 3)
    z = np.random.default_rng(0).normal(size=(1, 400, 10)) * 3
    targets, weights = drawn(z[0] / 2), np.arange(400) % 3
    repeated = fit_calibration(np.repeat(z, weights, axis=1), np.repeat(targets, weights, axis=0))
    assert fit_calibration(z, targets, weights.astype(np.float64)) == pytest.approx(repeated, abs=1e-4)
    assert fit_calibration(z, targets) != pytest.approx(repeated, abs=1e-3)


def test_quantiles_of_a_line() -> None:
    found = fair_quantiles(np.linspace(3.0, 7.0, 1001)[::-1], np.zeros(1001, int))
    assert len(found) == 201
    assert (found[0], found[-1]) == (3, 7)
    assert found[50] == pytest.approx(4)


def test_at_every_level_the_lowest_quantile_of_any_group_counts() -> None:
    # from 3 to 7, and ten times as many from 2 to 9: 3 + 4 x and 2 + 7 x, which meet at a third
    energies = np.concatenate([np.linspace(3, 7, 401), np.linspace(2, 9, 4001)])
    found = fair_quantiles(energies, np.repeat([0, 1], [401, 4001]))
    levels = np.linspace(0, 1, 201)
    np.testing.assert_allclose(found, np.minimum(3 + 4 * levels, 2 + 7 * levels), atol=1e-9)


def test_of_no_group_more_are_refused_than_may_be() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3, 3_000)
    energies = rng.normal(groups, 1 + groups)
    found = fair_quantiles(energies, groups)
    for level in (0.05, 0.5, 0.9):
        refused = [np.mean(energies[groups == one] < found[round(level * 200)]) for one in range(3)]
        assert max(refused) <= level + 0.001
        assert max(refused) > level - 0.01


def test_an_expert_is_calibrated_on_all_sources_alike() -> None:
    z = np.random.default_rng(0).normal(size=(2, 400, 10)) * 3
    targets = np.concatenate([drawn(z[0, :200] / 2), drawn(z[0, 200:], seed=1)])
    sources = np.repeat(["phone", "shop"], 200)
    members = [Member("garment", "photo.tflite", "photo.keras", "any", None, evidence=False)]
    expert = calibrated_expert(members, z, targets, sources)
    # nine times as many pictures of one source change nothing
    more = np.repeat(np.arange(400), np.where(sources == "shop", 9, 1))
    again = calibrated_expert(members, z[:, more], targets[more], sources[more])
    assert (again.temperature, again.smoothing) == pytest.approx((expert.temperature, expert.smoothing), abs=1e-4)
    assert calibrated_expert(members, z[:, more], targets[more]).temperature != pytest.approx(expert.temperature, rel=0.01)
    assert expert.members == tuple(members)
    mean = np.log(np.exp(z).sum(axis=2)).mean(axis=0)
    assert expert.energies[0] == pytest.approx(mean.min())
    assert expert.energies[100] == pytest.approx(min(np.median(mean[:200]), np.median(mean[200:])))


def test_reliability_by_hand() -> None:
    # 30 pictures are 15 bins of two: all are sure to 0.8, of the first ten pictures none is right, of the others all are
    right = [False] * 10 + [True] * 20
    found = reliability([0.8 + i * 1e-9 for i in range(30)], right)
    assert found.n == 30
    assert found.error == pytest.approx((10 * 0.8 + 20 * 0.2) / 30, abs=1e-6)
    assert found.accuracy == [0] * 5 + [1] * 10
    assert found.confidence == pytest.approx([0.8] * 15)
    assert found.interval[0] < found.error < found.interval[1]


def test_reliability_of_uneven_bins() -> None:
    # two pictures: a bin each
    found = reliability([0.5, 1.0], [True, True])
    assert found.error == pytest.approx((0.5 + 0) / 2)
    assert (found.confidence, found.accuracy) == ([0.5, 1], [1, 1])


def test_confidence_that_is_true_has_little_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.networks.calibration.RESAMPLES", 10)  # for the interval, which is not looked at
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 20_000)
    right = rng.random(20_000) < confidence
    found = reliability(confidence.tolist(), right.tolist())
    assert found.error < 0.015
    assert reliability((confidence / 2).tolist(), right.tolist()).error == pytest.approx(confidence.mean() / 2, abs=0.02)


def test_the_diagram_names_what_it_shows(tmp_path: Path) -> None:
    found = reliability([0.5, 1.0], [True, True])
    figure = plot_reliability({"two pictures": found})
    legend = figure.axes[0].get_legend()
    assert legend is not None
    (text,) = legend.get_texts()
    assert text.get_text().startswith("two pictures: 0.250 (0.")
    figure.savefig(tmp_path / "figure.png")
