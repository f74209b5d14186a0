"""GrabCut against masks that are known because the photos are drawn here."""

import cv2
import numpy as np
import pytest

from tests.drawn_garments import COLOURS, overlap, photo, shirt
from train.pictures.grabcut import grabcut_mask


@COLOURS
@pytest.mark.parametrize(("width", "height"), [(240, 320), (1024, 768), (120, 120)])
def test_garment_on_a_textured_background(
    garment: tuple[int, int, int], background: tuple[int, int, int], width: int, height: int
) -> None:
    true = shirt(width, height)
    found = grabcut_mask(photo(true, garment, background))
    assert found.dtype == np.bool_
    assert found.shape == (height, width)
    assert overlap(found, true) > 0.95


def test_deterministic_whatever_came_before() -> None:
    picture = photo(shirt(160, 160), (120, 110, 100), (150, 150, 140), noise=40)
    before = picture.copy()
    first = grabcut_mask(picture)
    cv2.setRNGSeed(12345)
    grabcut_mask(picture[::-1])
    np.testing.assert_array_equal(grabcut_mask(picture), first)
    np.testing.assert_array_equal(picture, before)


def test_both_shoes_are_kept_and_specks_are_not() -> None:
    shoes, specks = np.zeros((120, 160), bool), np.zeros((120, 160), bool)
    shoes[30:90, 25:65] = shoes[30:90, 95:135] = True
    specks[100:107, 76:83] = True  # 49 px beside 2400
    found = grabcut_mask(photo(shoes | specks, (160, 20, 20), (170, 170, 160), noise=5))
    assert overlap(found, shoes) > 0.95
    assert not found[specks].any()


def test_a_print_does_not_make_a_hole() -> None:
    garment, background = np.zeros((140, 140), bool), (170, 170, 160)
    garment[20:120, 30:110] = True
    picture = photo(garment, (160, 20, 20), background, noise=5)
    picture[60:80, 60:80] = background  # a print in the background's colour
    assert overlap(grabcut_mask(picture), garment) > 0.95


@pytest.mark.parametrize("shape", [(2, 2), (2, 1000), (1000, 2), (3, 3), (5, 5), (28, 28), (1024, 3), (64, 64)])
@pytest.mark.parametrize("content", ["black", "gray", "white", "noise", "halves"])
def test_degenerate_pictures(shape: tuple[int, int], content: str) -> None:
    level = {"black": 0, "gray": 128, "white": 255, "noise": 0, "halves": 40}[content]
    picture = np.full((*shape, 3), level, np.uint8)
    if content == "noise":
        picture = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    if content == "halves":
        picture[:, shape[1] // 2 :] = 220
    mask = grabcut_mask(picture)
    assert mask.dtype == np.bool_
    assert mask.shape == shape
    assert mask.any()
    if content in ("black", "gray", "white"):
        assert mask.all()  # nothing to be found: the whole picture
