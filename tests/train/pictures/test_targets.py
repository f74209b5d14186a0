import numpy as np
import pytest

from train.pictures.targets import SHOES, balanced, target


def test_target() -> None:
    np.testing.assert_array_equal(target(["Sandal", "Sneaker", "Ankle boot"]), [0, 0, 0, 0, 0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(target([]), np.zeros(10))


@pytest.mark.parametrize(
    ("share", "shirt", "shoes", "none"),
    [
        (1.0, 1 / 26, 1 / 26, 1 / 26),  # as frequent as they are
        (0.0, 1 / 48, 1 / 27, 1 / 3),  # all alike
        (0.5, 4 / 8 / 16, 3 / 8 / 9, 1 / 8),  # 16, 9 and 1 count as 4, 3 and 1
    ],
)
def test_balanced_by_hand(share: float, shirt: float, shoes: float, none: float) -> None:
    targets = np.stack([target(["Shirt"])] * 16 + [target(SHOES)] * 9 + [target([])])
    order = np.random.default_rng(0).permutation(26)
    expected = np.array([shirt] * 16 + [shoes] * 9 + [none])
    np.testing.assert_allclose(balanced(targets[order], share), expected[order])
