import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from train.networks.losses import SetCrossEntropy

LOGITS = np.array([[2.0, 1.0, 0.0, -1.0]], np.float32)


def value(target: list[float], smoothing: float = 0.0) -> float:
    return float(SetCrossEntropy(smoothing)(np.array([target], np.float32), LOGITS))


def test_one_class_is_cross_entropy() -> None:
    assert value([0, 1, 0, 0]) == pytest.approx(-log_softmax(LOGITS[0])[1], rel=1e-5)


def test_a_set_is_the_sum_of_its_probabilities() -> None:
    p = softmax(LOGITS[0])
    assert value([1, 0, 0, 1]) == pytest.approx(-np.log(p[0] + p[3]), rel=1e-5)


def test_smoothing_mixes_in_the_uniform_distribution() -> None:
    log_p = log_softmax(LOGITS[0])
    assert value([0, 0, 1, 0], 0.2) == pytest.approx(-0.8 * log_p[2] - 0.2 * log_p.mean(), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_none_of_the_classes_asks_for_indecision(smoothing: float) -> None:
    assert value([0, 0, 0, 0], smoothing) == pytest.approx(-log_softmax(LOGITS[0]).mean(), rel=1e-5)


def test_extreme_logits_stay_finite() -> None:
    loss = SetCrossEntropy(0.1)(np.array([[0, 1.0]], np.float32), np.array([[500.0, -500.0]], np.float32))
    assert float(loss) == pytest.approx(0.9 * 1000 + 0.1 * 500, rel=1e-5)
