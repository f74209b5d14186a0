"""Confidence that means what it says: fitted on validation data, measured on others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fashion_classifier.confidence import Float64Array, calibrated

if TYPE_CHECKING:  # they take a second to load, and --help of the reports needs none of them
    from matplotlib.figure import Figure
    from scipy.optimize import OptimizeResult

Targets = npt.NDArray[np.floating]

QUANTILES = 201  # of the energies of good pictures: steps of half a percent
BINS = 15  # of the expected calibration error
RESAMPLES = 1_000  # for its interval
MOST_SMOOTHING = 0.2  # that is looked for; four times what the recipes ask for


def negative_log_likelihood(probabilities: Float64Array, targets: Targets, weights: Float64Array | None = None) -> float:
    """The mean over n pictures, weighted by (n,), of -log of what the acceptable classes have together; arrays are (n, 10)."""
    return float(np.average(-np.log((probabilities * targets).sum(axis=1) + 1e-12), weights=weights))


def fit_calibration(logits: Float64Array, targets: Targets, weights: Float64Array | None = None) -> tuple[float, float]:
    """The temperature and the smoothing of `calibrated` that minimise the negative log-likelihood.

    Args:
        logits: (looks, n, 10).
        targets: (n, 10), 1 for every acceptable class.
        weights: (n,), how much each picture counts; None for all alike.
    """
    from scipy.optimize import minimize_scalar

    def temperature(smoothing: float) -> "OptimizeResult":
        """The logarithm of the best temperature, as `x`, and its loss, as `fun`."""
        return minimize_scalar(
            lambda log: negative_log_likelihood(calibrated(logits, float(np.exp(log)), smoothing), targets, weights),
            bounds=(-3, 3),
            method="bounded",
        )

    # one after the other: what `calibrated` keeps at least makes the loss too uneven for a search in both
    smoothing = minimize_scalar(lambda share: temperature(share).fun, bounds=(0, MOST_SMOOTHING), method="bounded").x
    return float(np.exp(temperature(smoothing).x)), float(smoothing)


def fair_quantiles(energies: Float64Array, groups: npt.NDArray[np.integer]) -> tuple[float, ...]:
    """What a manifest keeps of good pictures' energies (n,): at every level the lowest quantile of any group.

    So of no group more pictures lie below a level than that level's share.

    Args:
        energies: (n,) of good pictures.
        groups: (n,), which group each belongs to.
    """
    levels = np.linspace(0, 1, QUANTILES)
    curves = [np.quantile(energies[groups == group], levels) for group in np.unique(groups)]
    return tuple(np.min(curves, axis=0).tolist())


@dataclass(frozen=True)
class Reliability:
    """How far confidence is from accuracy.

    Attributes:
        n: Number of pictures.
        error: Expected calibration error: the mean over the pictures of |confidence - accuracy|, both averaged over the
            picture's bin (Guo et al. 2017, arXiv 1706.04599, equation 3), with 15 bins of equally many pictures.
        interval: Its 95 % interval, from 1,000 resamples of the pictures (percentiles). Resampling adds noise to every bin,
            so it lies somewhat high.
        confidence: Mean confidence of each bin, ascending.
        accuracy: Share of right answers of each bin.
    """

    n: int
    error: float
    interval: tuple[float, float]
    confidence: list[float]
    accuracy: list[float]


def reliability(confidences: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Compare n confidences in [0, 1] with whether the answers were right."""
    from scipy.stats import bootstrap

    confidence, correct = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    bins = _bins(confidence, correct)
    interval = 0.0, 1.0  # of one picture nothing can be told
    if len(confidence) > 1:
        found = bootstrap(
            (confidence, correct),
            lambda c, r: _error(_bins(c, r)),
            n_resamples=RESAMPLES,
            paired=True,
            vectorized=False,
            method="percentile",
            batch=100,
            rng=np.random.default_rng(0),
        ).confidence_interval
        interval = float(found.low), float(found.high)
    return Reliability(
        n=len(confidence),
        error=_error(bins),
        interval=interval,
        confidence=bins[:, 0].tolist(),
        accuracy=bins[:, 1].tolist(),
    )


def _bins(confidence: Float64Array, correct: Float64Array) -> Float64Array:
    """(bins, 3): mean confidence, accuracy and share of the pictures of each."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if part.size]
    return np.array([(confidence[part].mean(), correct[part].mean(), part.size / order.size) for part in parts])


def _error(bins: Float64Array) -> float:
    return float((np.abs(bins[:, 0] - bins[:, 1]) * bins[:, 2]).sum())


def plot_reliability(measured: dict[str, Reliability]) -> "Figure":
    """The reliability diagram: accuracy over confidence, one line for each name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color="gray", linestyle=":")
    for name, found in measured.items():
        low, high = found.interval
        label = f"{name}: {found.error:.3f} ({low:.3f} to {high:.3f}), n = {found.n:,}"
        axes.plot(found.confidence, found.accuracy, marker="o", markersize=4, label=label)
    axes.set(xlabel="confidence", ylabel="share of right answers", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.set_title(f"Expected calibration error, {BINS} equal-mass bins")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
