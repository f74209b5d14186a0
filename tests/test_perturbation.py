from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier.blurring import Blurring
from fashion_classifier.perturbation import curves, perturbation_map, random_masks

Float32Array = npt.NDArray[np.float32]

COAT, SHIRT = 4, 6


@dataclass
class StandIn:
    """A picture whose answer is a function of how sharp it is, (n, side, side) -> (n,): Coat is as probable, Shirt the rest."""

    coat: Callable[[Float32Array], npt.NDArray[np.floating]]
    side: int
    prominence: Float32Array

    def answers(self, kept: Float32Array, in_a_row: int = 1) -> npt.NDArray[np.float64]:
        assert in_a_row in (1, len(kept) // 2)  # of the two curves, each is one member's
        answers = np.full((len(kept), 10), 0.01)
        answers[:, COAT] = self.coat(kept)
        answers[:, SHIRT] = 1 - answers[:, COAT]
        return answers


def stand_in(side: int, coat: Callable[[Float32Array], npt.NDArray[np.floating]]) -> Blurring:
    return cast(Blurring, StandIn(coat, side, np.ones((side, side), np.float32)))


def one_place(side: int, row: int, column: int) -> Blurring:
    """One pixel decides."""
    return stand_in(side, lambda kept: 0.1 + 0.8 * kept[:, row, column])


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
    halved = StandIn(lambda kept: 0.1 + 0.8 * kept[:, 14, 14], 28, prominence)
    found = perturbation_map(cast(Blurring, halved), COAT, None, 50)
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


@pytest.mark.parametrize("sign", [1, -1])
def test_cells_are_put_in_and_taken_out_in_their_order(sign: int) -> None:
    heat = np.arange(25, dtype=np.float32).reshape(5, 5)
    heat[4, 4] = -100  # what speaks for another name counts as much
    kept, cells = curves(sign * np.repeat(np.repeat(heat, 3, axis=0), 3, axis=1), 5)
    assert kept.shape == (52, 15, 15)
    np.testing.assert_array_equal(
        cells[::3, ::3], [range(24 - 5 * row, 19 - 5 * row, -1) for row in range(4)] + [[4, 3, 2, 1, 0]]
    )
    inserted, deleted = kept[:26], kept[26:]
    assert [mask.sum() for mask in inserted] == [9 * n for n in range(26)]
    assert inserted[1, 12:, 12:].all()
    assert inserted[2, 12:, 9:].all()
    np.testing.assert_array_equal(deleted, 1 - inserted)


CELLS = np.s_[:, 40:60, 60:80], np.s_[:, 0:20, 20:40]  # two of the five times five in 100 pixels
CENTRES = [50, 10], [70, 30]


def weights(picture: Blurring, target: int = COAT, against: int | None = None) -> Float32Array:
    """What the curves make of a map: 40 looks are without them, and 92 are the same with them."""
    plain = perturbation_map(picture, target, against, 40)
    assert (plain[CENTRES] != 0).all()
    return np.divide(perturbation_map(picture, target, against, 92), plain, out=np.zeros_like(plain), where=plain != 0)


def test_a_cell_weighs_what_it_adds_and_takes() -> None:
    # .6 and .2 when they are put in, and the same when they are taken out: 1.2 and .4, of at most 1.2, and .1 for all
    def coat(kept: Float32Array) -> npt.NDArray[np.floating]:
        one, other = (kept[cell].mean(axis=(1, 2)) for cell in CELLS)
        return np.asarray(0.1 + 0.6 * one + 0.2 * other)

    found = weights(stand_in(100, coat))
    np.testing.assert_allclose(found[CENTRES], [1.1, 0.1 + 0.4 / 1.2], rtol=1e-4)
    assert found[50, 60] == pytest.approx(0.6, abs=0.15)  # smooth between a cell and the next: about the half
    found[32:68, 52:88] = found[:28, 12:48] = 0  # and what is beside them
    np.testing.assert_allclose(found[found != 0], 0.1, atol=1e-4)


def test_cells_that_need_each_other_weigh_the_same() -> None:
    """The later one adds what both are worth, and the earlier one takes it."""
    found = weights(stand_in(100, lambda kept: 0.1 + 0.8 * np.minimum(kept[:, 50, 70], kept[:, 10, 30])))
    np.testing.assert_allclose(found[CENTRES], 1.1, rtol=1e-4)


def test_what_speaks_for_another_name_weighs_as_much() -> None:
    # the logarithm of the odds: 2 for one cell and -1 for the other
    def coat(kept: Float32Array) -> npt.NDArray[np.floating]:
        return np.asarray(1 / (1 + np.exp(kept[:, 10, 30] - 2 * kept[:, 50, 70])))

    picture = stand_in(100, coat)
    np.testing.assert_allclose(weights(picture, COAT, SHIRT)[CENTRES], [1.1, 0.6], rtol=1e-4)
    found = perturbation_map(picture, COAT, SHIRT, 92)
    assert found[50, 70] > 0 > found[10, 30]
    np.testing.assert_allclose(found, -perturbation_map(picture, SHIRT, COAT, 92), atol=1e-6)


@pytest.mark.parametrize(
    ("side", "looks", "expected"),
    [
        (100, 20, [20]),
        (100, 91, [91]),
        (100, 92, [40, 52]),
        (100, 143, [91, 52]),
        (100, 282, [48, 52, 52, 130]),
        (60, 282, [178, 52, 52]),
        (28, 200, [200]),
    ],
)
def test_the_network_is_asked_as_often_as_was_said(side: int, looks: int, expected: list[int]) -> None:
    asked = []

    def coat(kept: Float32Array) -> npt.NDArray[np.floating]:
        asked.append(len(kept))
        return kept[:, 20, 20]

    perturbation_map(stand_in(side, coat), COAT, None, looks)
    assert asked == expected
