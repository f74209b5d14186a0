import numpy as np
import pytest

from fashion_classifier.masks import BoolArray, box_of, innermost, iou, largest_part, main_parts, parts_of, widened
from tests.boxed_garments import filled, grid


def test_a_box_and_its_margin() -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[10:30, 20:60] = True
    assert box_of(mask) == (20, 10, 40, 20)
    assert widened((20, 10, 40, 20), 0.1) == (slice(6, 34), slice(16, 64))  # 4 px, a tenth of the longer side
    assert widened((20, 2, 40, 20), 0.1)[0] == slice(0, 26)


@pytest.mark.parametrize(
    ("mask", "point"),
    [
        (filled((9, 7), (2, 1, 5, 5), 1, 0), (4, 3)),
        (filled((9, 7), (0, 0, 5, 5), 1, 0), (2, 2)),  # the picture's edge is one, too
        (filled((9, 7), (8, 6, 1, 1), 1, 0), (8, 6)),
        (filled((30, 7), (20, 1, 5, 5), 1, 0) | filled((30, 7), (2, 3, 20, 1), 1, 0), (22, 3)),  # not on the strap
    ],
)
def test_the_innermost_point_by_hand(mask: BoolArray, point: tuple[int, int]) -> None:
    assert innermost(mask > 0) == point


def test_iou_by_hand() -> None:
    one = np.zeros((4, 4), bool)
    two = one.copy()
    one[:2], two[:, :2] = True, True  # 8 pixels each, 4 in common
    assert iou(one, two) == 4 / 12
    assert iou(one, one) == 1
    assert iou(one, ~one) == 0


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (grid((5, 5, 20, 20), (50, 5, 20, 20)), grid((5, 5, 20, 20), (50, 5, 20, 20))),  # a pair
        (grid((5, 5, 20, 20), (50, 5, 8, 10)), grid((5, 5, 20, 20), (50, 5, 8, 10))),  # 80 is a fifth of 400
        (grid((5, 5, 20, 20), (50, 5, 79, 1)), grid((5, 5, 20, 20))),  # 30 cells up to the edge
        (grid((5, 5, 20, 20), (25, 25, 4, 4)), grid((5, 5, 20, 20), (25, 25, 4, 4))),  # they touch at a corner
        (grid((5, 5, 13, 2)), grid((5, 5, 13, 2))),  # 26 of 6400 cells are 0.4 %
        (grid((5, 5, 5, 5)), grid()),
        (grid((0, 0, 80, 80)), grid((0, 0, 80, 80))),
        (grid(), grid()),
    ],
)
def test_main_parts_by_hand(found: BoolArray, kept: BoolArray) -> None:
    before = found.copy()
    np.testing.assert_array_equal(main_parts(found), kept)
    np.testing.assert_array_equal(found, before)


def test_the_parts_by_hand() -> None:
    parts = [(50, 5, 20, 21), (5, 5, 20, 20), (5, 50, 12, 7)]  # 84 of 420 are a fifth
    found = grid(*parts, (30, 60, 40, 2))  # and 80 are less
    np.testing.assert_array_equal(parts_of(found), [grid(part) for part in parts])
    assert parts_of(grid()) == []


def test_the_largest_part_by_hand() -> None:
    found = grid((5, 5, 20, 20), (50, 5, 20, 21), (10, 50, 40, 2))
    np.testing.assert_array_equal(largest_part(found), grid((50, 5, 20, 21)))
    np.testing.assert_array_equal(largest_part(~grid()), ~grid())
    assert not largest_part(grid()).any()


def test_nothing_has_no_box() -> None:
    assert box_of(grid()) == (0, 0, 0, 0)
