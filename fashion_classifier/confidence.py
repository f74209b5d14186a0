"""Logits -> what they mean: probabilities that can be trusted, and how much a picture is like what the network knows."""

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


KEPT = 0.02  # of a probability, where less than its part of the smoothing is there: nothing is impossible, the order stays


def calibrated(logits: Float64Array, temperature: float, smoothing: float = 0.0) -> Float64Array:
    """Probabilities (n, 10) of logits (looks, n, 10).

    The softmax at a temperature (Guo et al. 2017, arXiv 1706.04599, section 4.2), averaged over the looks at a picture. A
    network that was trained with label smoothing s answers (1 - s) p + s / 10 where it means p (Szegedy et al. 2016, arXiv
    1512.00567, section 7): what was spread evenly is taken off again. A temperature alone would make the answers to easy
    pictures surer only by making all others too sure.

    Args:
        logits: Of each look at each picture.
        temperature: Above 0.
        smoothing: Share in [0, 1) that is spread evenly.
    """
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=2, keepdims=True))
    averaged = (exponentials / exponentials.sum(axis=2, keepdims=True)).mean(axis=0)
    meant = np.maximum(averaged - smoothing / averaged.shape[1], KEPT * averaged)
    probabilities: Float64Array = meant / meant.sum(axis=1, keepdims=True)
    return probabilities


def energy(logits: Float64Array) -> Float64Array:
    """Log of the sum of exponentials of logits (looks, n, 10), averaged over the looks: (n,), high for what was trained on.

    The negative free energy of Liu et al. 2020, arXiv 2010.03759, equation 4.
    """
    largest = logits.max(axis=2)
    sums = np.exp(logits - largest[..., np.newaxis]).sum(axis=2)
    averaged: Float64Array = (largest + np.log(sums)).mean(axis=0)
    return averaged


def typicality(energies: Float64Array, known: npt.ArrayLike) -> Float64Array:
    """Where energies lie among those of known pictures: (n,) in [0, 1], the share of known pictures that have less.

    Args:
        energies: (n,) of the pictures in question.
        known: Quantiles of the known pictures' energies, ascending, evenly spaced from the 0th to the 100th percentile.
    """
    known = np.asarray(known, np.float64)
    share: Float64Array = np.interp(energies, known, np.linspace(0, 1, len(known)))
    return share
