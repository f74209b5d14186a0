"""Confidence that means what it says: fitted on validation data."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import softmax

Float64Array = npt.NDArray[np.float64]
Targets = npt.NDArray[np.floating]

WEIGHTS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def negative_log_likelihood(probabilities: Float64Array, targets: Targets) -> float:
    """The mean over n pictures of -log of what the acceptable classes have together; both arrays are (n, 10)."""
    return float(-np.log((probabilities * targets).sum(axis=1) + 1e-12).mean())


def calibrated(logits: Float64Array, temperature: float) -> Float64Array:
    """Logits of (looks, n, 10) as probabilities (n, 10), averaged over the looks at a picture."""
    averaged: Float64Array = softmax(logits / temperature, axis=2).mean(axis=0)
    return averaged


def fit_temperature(logits: Float64Array, targets: Targets) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al. 2017, arXiv 1706.04599, section 4.2).

    Args:
        logits: (looks, n, 10).
        targets: (n, 10), 1 for every acceptable class.
    """
    return _best(lambda temperature: negative_log_likelihood(calibrated(logits, temperature), targets))[0]


def fit_weight(logits: Float64Array, others: Float64Array, targets: Targets) -> tuple[float, float]:
    """Weight and temperature of a network whose probabilities are mixed with another's, by the negative log-likelihood.

    Args:
        logits: Of the network, (looks, n, 10).
        others: Probabilities of the other network, which has the rest of the weight: (n, 10).
        targets: (n, 10), 1 for every acceptable class.
    """

    def loss(weight: float) -> Callable[[float], float]:
        return lambda temperature: negative_log_likelihood(
            weight * calibrated(logits, temperature) + (1 - weight) * others, targets
        )

    fits = {weight: _best(loss(weight)) for weight in WEIGHTS}
    weight = min(fits, key=lambda weight: fits[weight][1])
    return weight, fits[weight][0]


def _best(loss: Callable[[float], float]) -> tuple[float, float]:
    """The temperature with the least loss, and that loss."""
    found = minimize_scalar(lambda log_temperature: loss(float(np.exp(log_temperature))), bounds=(-3, 3), method="bounded")
    return float(np.exp(found.x)), float(found.fun)
