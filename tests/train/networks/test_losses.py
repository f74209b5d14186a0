import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import log_softmax, logsumexp, softmax

from train.networks.losses import OpenSetCrossEntropy, SetCrossEntropy

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


@pytest.mark.parametrize("kind", [SetCrossEntropy, OpenSetCrossEntropy])
def test_extreme_logits_stay_finite(kind: type[SetCrossEntropy] | type[OpenSetCrossEntropy]) -> None:
    loss = kind(0.1)(np.array([[0, 1.0]], np.float32), np.array([[500.0, -500.0]], np.float32))
    others = 500 if kind is SetCrossEntropy else (0 + 1000 + 500) / 3  # the third outcome's logit is 0
    assert float(loss) == pytest.approx(0.9 * 1000 + 0.1 * others, rel=1e-5)


# With an outcome for none of them


def open_set(targets: npt.ArrayLike, logits: npt.NDArray[np.float32] = LOGITS, smoothing: float = 0.0) -> float:
    return float(OpenSetCrossEntropy(smoothing)(np.atleast_2d(np.asarray(targets, np.float32)), logits))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("target", "outcomes"), [([0, 1, 0, 0], [1]), ([1, 0, 0, 1], [0, 3]), ([1, 1, 1, 1], [0, 1, 2, 3]), ([0, 0, 0, 0], [4])]
)
def test_open_set_by_hand(target: list[float], outcomes: list[int], smoothing: float) -> None:
    exponentials = np.exp([2.0, 1.0, 0.0, -1.0, 0.0])  # the last is for none
    p = exponentials / exponentials.sum()
    expected = -(1 - smoothing) * np.log(p[outcomes].sum()) - smoothing * np.log(p).mean()
    assert open_set(target, smoothing=smoothing) == pytest.approx(expected, rel=1e-5)


def test_the_energy_is_what_tells_some_from_none() -> None:
    """The log of the odds of the classes, so that those of none cost log(1 + exp(energy))."""
    rng = np.random.default_rng(0)
    for logits in rng.normal(size=(5, 1, 10)).astype(np.float32) * 3:
        energy = logsumexp(logits)
        assert open_set(np.zeros(10), logits) == pytest.approx(np.log1p(np.exp(energy)), rel=1e-4)
        assert open_set(np.ones(10), logits) == pytest.approx(np.log1p(np.exp(-energy)), rel=1e-3, abs=1e-5)


def test_the_open_set_loss_of_a_batch_is_the_mean() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    targets = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], np.float32)
    alone = [open_set(target, row[np.newaxis], 0.05) for target, row in zip(targets, logits, strict=True)]
    assert open_set(targets, logits, 0.05) == pytest.approx(np.mean(alone), rel=1e-5)
