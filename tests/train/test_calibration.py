import numpy as np
import numpy.typing as npt
import pytest

from train.calibration import WEIGHTS, calibrated, fit_temperature, fit_weight, negative_log_likelihood

Float64Array = npt.NDArray[np.float64]


def test_negative_log_likelihood_by_hand() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    targets = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    assert negative_log_likelihood(probabilities, targets) == pytest.approx((np.log(2) - np.log(0.9)) / 2)
    assert np.isfinite(negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([[0, 1]], np.float32)))


def test_calibrated_by_hand() -> None:
    # odds 1 : 4 and 4 : 1 of two looks; at temperature 2 they are 1 : 2 and 2 : 1
    logits = np.log([[[1.0, 4.0]], [[4.0, 1.0]]])
    np.testing.assert_allclose(calibrated(logits[:1], 1), [[0.2, 0.8]])
    np.testing.assert_allclose(calibrated(logits[:1], 2), [[1 / 3, 2 / 3]])
    np.testing.assert_allclose(calibrated(logits, 2), [[0.5, 0.5]])


def drawn(logits: Float64Array, seed: int = 0) -> npt.NDArray[np.float32]:
    """One-hot targets drawn from the softmax of (n, 10) logits."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > np.random.default_rng(seed).random((len(p), 1))).argmax(axis=1)
    targets: npt.NDArray[np.float32] = np.eye(10, dtype=np.float32)[labels]
    return targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    # labels are drawn from softmax(z), the logits handed in are z times the temperature
    z = np.random.default_rng(0).normal(size=(20_000, 10)) * 2
    assert fit_temperature(temperature * z[np.newaxis], drawn(z)) == pytest.approx(temperature, rel=0.03)


def test_every_acceptable_class_is_right() -> None:
    # half the pictures are of the first two classes, which nobody tells apart, the others of the third
    logits = np.zeros((100, 10))
    logits[:, :2], logits[:, 3:] = 2 * np.log(1 / 2), -1e3  # of the third 0
    targets = np.zeros((100, 10), np.float32)
    targets[:50, :2], targets[50:, 2] = 1, 1
    # the two have together what the third has where 2 exp(2 log(1/2) / T) = exp(0), which is at T = 2
    assert fit_temperature(logits[np.newaxis], targets) == pytest.approx(2, abs=1e-3)


UNIFORM = np.full((400, 10), 0.1)
TRUTH = np.eye(10)[np.arange(400) % 10]


def test_a_network_that_is_right_gets_all_the_weight() -> None:
    weight, temperature = fit_weight(9.0 * TRUTH[np.newaxis], UNIFORM, TRUTH)
    assert weight == 1
    assert calibrated(9.0 * TRUTH[np.newaxis], temperature).max(axis=1).min() > 0.9999  # as sure as it is right


def test_a_network_that_knows_nothing_gets_the_least_weight() -> None:
    weight, _ = fit_weight(np.zeros((2, 400, 10)), TRUTH, TRUTH)
    assert weight == WEIGHTS[0] == 0.5


def test_two_networks_that_know_different_things_share_the_weight() -> None:
    # each is right where the other is undecided: by symmetry they deserve the same
    half = np.arange(400) % 2 == 0
    knows_even = np.where(half[:, np.newaxis], TRUTH, 0.1)
    logits = np.where(half[:, np.newaxis], 0, 4.0 * TRUTH)
    weight, _ = fit_weight(logits[np.newaxis], knows_even, TRUTH)
    assert weight == 0.5


def test_the_temperature_is_that_of_the_mixture() -> None:
    """At the chosen weight no other temperature is better, and no other weight at its own best."""
    rng = np.random.default_rng(1)
    z, noise = rng.normal(size=(2, 2_000, 10))
    targets = drawn(3 * z)
    others = calibrated((3 * z + 3 * noise)[np.newaxis], 1)
    logits = np.stack([z, z]) * 6
    weight, temperature = fit_weight(logits, others, targets)

    def loss(weight: float, temperature: float) -> float:
        return negative_log_likelihood(weight * calibrated(logits, temperature) + (1 - weight) * others, targets)

    best = loss(weight, temperature)
    assert weight in WEIGHTS
    assert all(loss(weight, temperature * factor) >= best for factor in (0.8, 0.95, 1.05, 1.25))
    assert all(loss(other, t) >= best - 1e-9 for other in WEIGHTS for t in np.geomspace(0.2, 10, 40))
