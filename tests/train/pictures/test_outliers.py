import inspect

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fashion_classifier import canonicalize
from train.pictures.outliers import FITTED, SIDE, TESTED, as_thumbnails, outlier_thumbnails, outliers


def test_the_same_pictures_for_the_same_seed_and_others_for_another() -> None:
    for kinds in (FITTED, TESTED):
        one, again, other = (outliers(kinds, 3, seed) for seed in (0, 0, 1))
        for kind, pictures in one.items():
            assert pictures.shape == (3, SIDE, SIDE, 3)
            assert pictures.dtype == np.uint8
            np.testing.assert_array_equal(pictures, again[kind])
            assert (pictures != other[kind]).any()


def test_what_is_measured_was_never_trained_on() -> None:
    """Neither a kind nor a picture that parts are taken from."""
    assert not FITTED.keys() & TESTED.keys()
    assert {"digits", "noise", "textures", "scenes"} == TESTED.keys()
    names = [inspect.getclosurevars(draw).nonlocals.get("names", ()) for draw in (*FITTED.values(), *TESTED.values())]
    assert len({name for each in names for name in each}) == sum(len(each) for each in names) == 16


def test_plain_and_smooth_colours() -> None:
    drawn = outliers(FITTED, 4)
    assert (drawn["plain colours"] == drawn["plain colours"][:, :1, :1]).all()
    steps = np.abs(np.diff(drawn["smooth colours"].astype(int), axis=1))
    assert 0 < steps.max() < 30


def test_digits_are_scikit_learns() -> None:
    """Shrunk back to 8x8 and turned to light on dark, each is one of the 1,797."""
    known = load_digits().images.reshape(-1, 64)
    for picture in outliers(TESTED, 6)["digits"]:
        gray = picture.mean(axis=2).astype(np.float64)
        gray = 255 - gray if gray[0, 0] > 127 else gray
        cell = SIDE // 12  # the digit has the middle 8 of 12 cells
        centres = gray[cell * 2 : cell * 10, cell * 2 : cell * 10].reshape(8, -1, 8, gray.shape[1] // 12).mean(axis=(1, 3))
        found = np.corrcoef(centres.ravel(), known)[0, 1:]
        assert found.max() > 0.95


@pytest.mark.parametrize("kind", ["textures", "scenes"])
def test_crops_differ(kind: str) -> None:
    first, second = outliers(TESTED, 2)[kind]
    assert np.abs(first.astype(int) - second).mean() > 5


def test_thumbnails_to_train_on_are_of_no_class() -> None:
    found = outlier_thumbnails(2)
    assert found.images.shape == (2 * len(FITTED), 28, 28)
    assert found.groups[:2] == ("plain colours",) * 2
    assert not found.targets.any()
    bright = canonicalize(np.full((28, 28), 250, np.uint8)).pixels  # a bright border is taken for a negative's
    assert (bright == 5).all()


def test_as_thumbnails_is_gray_and_shrunk() -> None:
    picture = np.zeros((1, 56, 56, 3), np.uint8)
    picture[0, :, 28:] = (0, 255, 0)
    (thumbnail,) = as_thumbnails(picture)
    assert thumbnail.shape == (28, 28)
    assert (thumbnail[:, :14] == 0).all()
    assert (thumbnail[:, 14:] == 150).all()  # 0.587 x 255
