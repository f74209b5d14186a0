from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier.blurring import Blurring
from fashion_classifier.perturbation import perturbation_map, random_masks

COAT, SHIRT = 4, 6


@dataclass
class OnePlace:
    """A picture of which one pixel decides: Coat is as probable as it is sharp, Shirt is the rest."""

    row: int
    column: int
    side: int
    prominence: npt.NDArray[np.float32]

    def answers(self, kept: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        answers = np.full((len(kept), 10), 0.01)
        answers[:, COAT] = 0.1 + 0.8 * kept[:, self.row, self.column]
        answers[:, SHIRT] = 1 - answers[:, COAT]
        return answers


def one_place(side: int, row: int, column: int) -> Blurring:
    return cast(Blurring, OnePlace(row, column, side, np.ones((side, side), np.float32)))


@pytest.mark.parametrize(("side", "row", "column", "cell"), [(28, 6, 20, 4), (192, 150, 30, 24)])
def test_the_map_is_hot_where_the_answer_is_decided(side: int, row: int, column: int, cell: int) -> None:
    found = perturbation_map(one_place(side, row, column), COAT, None, 300)
    assert found.shape == (side, side)
    assert found.dtype == np.float32
    assert found.min() == 0
    hottest = np.unravel_index(found.argmax(), found.shape)
    assert np.abs(np.subtract(hottest, (row, column))).max() <= cell // 2
    away = np.hypot(*(np.indices(found.shape) - np.array([row, column])[:, np.newaxis, np.newaxis])) > 2 * cell
    assert found[away].mean() < 0.4 * found.max()


def test_what_speaks_for_another_name_is_negative() -> None:
    place = one_place(28, 14, 14)
    assert perturbation_map(place, COAT, SHIRT, 100)[14, 14] > 0
    assert perturbation_map(place, SHIRT, COAT, 100)[14, 14] < 0
    np.testing.assert_allclose(perturbation_map(place, COAT, SHIRT, 100), -perturbation_map(place, SHIRT, COAT, 100), atol=1e-6)


@pytest.mark.parametrize("against", [None, COAT])
def test_answers_that_never_change_give_an_empty_map(against: int | None) -> None:
    assert not perturbation_map(one_place(28, 14, 14), 0, None, 20).any()


def test_what_the_blur_does_not_change_is_not_marked() -> None:
    prominence = np.zeros((28, 28), np.float32)
    prominence[:14] = 0.5
    found = perturbation_map(cast(Blurring, OnePlace(14, 14, 28, prominence)), COAT, None, 50)
    plain = perturbation_map(one_place(28, 14, 14), COAT, None, 50)
    np.testing.assert_allclose(found[:14], plain[:14] / 2, rtol=1e-6)
    assert not found[14:].any()


@pytest.mark.parametrize("side", [28, 100, 192])
def test_masks_are_smooth_fair_and_the_same_each_time(side: int) -> None:
    masks = random_masks(400, side)
    assert masks.shape == (400, side, side)
    assert masks.min() == 0
    assert masks.max() == 1
    assert np.abs(masks.mean(axis=0) - 0.5).max() < 0.1
    np.testing.assert_array_equal(masks[:7], random_masks(7, side))
