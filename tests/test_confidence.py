import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from fashion_classifier.confidence import calibrated, energy, typicality

LOGITS = np.random.default_rng(0).normal(0, 5, (3, 40, 10))


def test_calibrated_by_hand() -> None:
    # odds 1 : 4 and 4 : 1 of two looks; at temperature 2 they are 1 : 2 and 2 : 1
    logits = np.log([[[1.0, 4.0]], [[4.0, 1.0]]])
    np.testing.assert_allclose(calibrated(logits[:1], 1), [[0.2, 0.8]])
    np.testing.assert_allclose(calibrated(logits[:1], 2), [[1 / 3, 2 / 3]])
    np.testing.assert_allclose(calibrated(logits, 2), [[0.5, 0.5]])


def test_smoothing_by_hand() -> None:
    # a tenth of .9 .1 is spread over two classes: .86 .14; where one has less than its half of that, a fiftieth is kept
    logits = np.log([[[0.86, 0.14], [0.96, 0.04]]])
    kept = 0.91, 0.0008
    expected = np.array([[0.9, 0.1], [share / sum(kept) for share in kept]])
    np.testing.assert_allclose(calibrated(logits, 1, 0.1), expected)


def test_smoothing_keeps_the_order() -> None:
    plain, smoothed = calibrated(LOGITS, 2), calibrated(LOGITS, 2, 0.15)
    np.testing.assert_array_equal(plain.argsort(axis=1), smoothed.argsort(axis=1))
    assert (smoothed > 0).all()


def test_smoothing_is_of_the_average() -> None:
    # .8 and .4 are .6 on average; of the fifth that is spread, each of two classes has .1
    logits = np.log([[[0.8, 0.2]], [[0.4, 0.6]]])
    np.testing.assert_allclose(calibrated(logits, 1, 0.2), [[0.5 / 0.8, 0.3 / 0.8]])


def test_against_scipy() -> None:
    np.testing.assert_allclose(calibrated(LOGITS, 0.7), softmax(LOGITS / 0.7, axis=2).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(energy(LOGITS), logsumexp(LOGITS, axis=2).mean(axis=0), rtol=1e-12)


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[[5_000.0, 0.0], [-5_000.0, -5_000.0]]])
    np.testing.assert_allclose(calibrated(logits, 0.5), np.array([[1, 0], [0.5, 0.5]]))
    np.testing.assert_allclose(energy(logits), np.array([5_000, -5_000 + np.log(2)]))


def test_typicality_by_hand() -> None:
    # the known pictures' quartiles: a quarter lies below 2, half below 4
    known = (0.0, 2.0, 4.0, 5.0, 9.0)
    asked = np.array([-1.0, 0.0, 1.0, 2.0, 4.5, 9.0, 100.0])
    np.testing.assert_allclose(typicality(asked, known), [0, 0, 0.125, 0.25, 0.625, 1, 1])


def test_typicality_of_the_known_pictures_is_uniform() -> None:
    energies = energy(LOGITS)
    found = typicality(energies, np.quantile(energies, np.linspace(0, 1, 101)))
    assert np.sort(found) == pytest.approx(np.linspace(0, 1, 40), abs=0.01)
