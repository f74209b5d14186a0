"""Points and boxes by hand."""

import pickle
from typing import Any

import numpy as np
import pytest

from fashion_classifier import InvalidPlaceError
from fashion_classifier.places import checked_box, checked_point, reduced_box, reduced_point

SIZE = (300, 200)  # width, height


@pytest.mark.parametrize("at", [(0, 0), (299, 199), (-0.5, 199.5), [12, 7.5], np.array([3, 4]), (np.int64(3), np.float32(4))])
def test_points_in_the_picture(at: Any) -> None:
    point = checked_point(at, SIZE)
    assert point == tuple(at)
    assert all(type(value) is float for value in point)


@pytest.mark.parametrize(
    ("at", "problem"),
    [
        ((300, 10), "The point (300, 10) lies outside the picture"),
        ((10, 199.6), "The point (10, 199.6) lies outside the picture"),
        ((-1, 10), "The point (-1, 10) lies outside the picture"),
        ((1, 2, 3), "at takes a point (x, y) in pixels, received (1, 2, 3)"),
        ("12", "at takes a point (x, y) in pixels, received '12'"),
        (7, "at takes a point (x, y) in pixels, received 7"),
        ((True, 2), "at takes a point (x, y) in pixels, received (True, 2)"),
        (("1", 2), "at takes a point (x, y) in pixels, received ('1', 2)"),
        ((float("nan"), 2), "at takes a point (x, y) of finite numbers, received (nan, 2)"),
        ((1 + 2j, 2), "at takes a point (x, y) in pixels, received ((1+2j), 2)"),
        (np.zeros((2, 2)), "at takes a point (x, y) in pixels, received array([[0., 0.],"),
    ],
)
def test_what_is_no_point(at: Any, problem: str) -> None:
    with pytest.raises(InvalidPlaceError) as caught:
        checked_point(at, SIZE)
    error = caught.value
    assert str(error).startswith(problem)
    assert str(error).endswith("; the picture has 300x200 pixels, its upper left one is (0, 0).")
    assert error.size == SIZE
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problem, again.size) == (str(error), error.problem, error.size)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((-10, -20, 30, 40), (0, 0, 20, 20)),  # what of it lies in the picture
        ((290, 150, 100, 100), (290, 150, 10, 50)),
        (np.array([0, 0, 300, 200]), (0, 0, 300, 200)),
    ],
)
def test_boxes_in_the_picture(box: Any, inside: tuple[float, ...]) -> None:
    assert checked_box(box, SIZE) == inside


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ((299, 0, 50, 50), "Fewer than 2x2 pixels of the box (299, 0, 50, 50) are in the picture"),
        ((10, 10, 0, 5), "Fewer than 2x2 pixels of the box (10, 10, 0, 5) are in the picture"),
        ((10, 10, -5, 5), "Fewer than 2x2 pixels of the box (10, 10, -5, 5) are in the picture"),
        ((10, 10, 5), "box takes (left, top, width, height) in pixels, received (10, 10, 5)"),
        ((10, 10, 5, float("inf")), "box takes (left, top, width, height) of finite numbers, received (10, 10, 5, inf)"),
    ],
)
def test_what_is_no_box(box: Any, problem: str) -> None:
    with pytest.raises(InvalidPlaceError) as caught:
        checked_box(box, SIZE)
    assert str(caught.value).startswith(f"{problem}; the picture has 300x200 pixels")


def test_a_reduced_picture_by_hand() -> None:
    # 4 pixels to one: the middle of the first four is 1.5
    assert reduced_point((1.5, 1.5), (400, 800), (100, 200)) == (0, 0)
    assert reduced_point((399.5, 0), (400, 800), (100, 200)) == (99.5, -0.375)
    assert reduced_point((7, 9), SIZE, SIZE) == (7, 9)
    assert reduced_box((5, 8, 6, 8), (400, 800), (100, 200)) == (slice(2, 4), slice(1, 3))  # 1.25 to 2.75 columns
    assert reduced_box((398, 798, 2, 2), (400, 800), (100, 200)) == (slice(199, 200), slice(99, 100))
