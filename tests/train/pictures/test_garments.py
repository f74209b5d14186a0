from dataclasses import replace

import numpy as np
import pytest

from fashion_classifier import LABELS
from tests.boxed_garments import COAT, GREEN, RED, SHIRT, TROUSER, filled
from train.pictures import garments
from train.pictures.garments import dressed
from train.pictures.targets import SHOES, target


def test_a_box_is_the_smallest_around_the_mask() -> None:
    assert SHIRT.box == (30, 40, 120, 100)
    assert TROUSER.box == (60, 20, 60, 200)


@pytest.mark.parametrize("label", LABELS)
def test_tops(label: str) -> None:
    is_top = label in {"T-shirt/top", "Pullover", "Dress", "Coat", "Shirt"}
    assert replace(SHIRT, target=target([label])).is_top is is_top


def test_neither_shoes_nor_none_of_the_ten_are_tops() -> None:
    assert not replace(SHIRT, target=target(SHOES)).is_top
    assert not replace(SHIRT, target=target([])).is_top


# A paper doll


def test_another_top_is_drawn_over_the_worn_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garments, "DRESSED_WIDTH", (1.5, 1.5))
    monkeypatch.setattr(garments, "DRESSED_ASPECT", 1)
    doll = dressed(COAT, SHIRT, np.random.default_rng(0))
    # the coat begins at 60 and has its middle at 100: 1.5 times its width of 80, the shirt's own size, is there
    left, top, width, height = doll.box
    assert (left, top, width, height) == pytest.approx((40, 60, 120, 100), abs=2)
    np.testing.assert_array_equal(doll.target, SHIRT.target)
    inner = filled((200, 240), (44, 64, 112, 92), 1, 0) > 0
    outer = filled((200, 240), (36, 56, 128, 108), 1, 0) > 0
    assert (doll.photo[inner] == RED).all()
    np.testing.assert_array_equal(doll.photo[~outer], COAT.photo[~outer])  # the coat shows below
    assert COAT.figure is not None
    np.testing.assert_array_equal(doll.figure, np.maximum(COAT.figure, doll.mask))


def test_another_tops_size_varies_around_the_covered_ones() -> None:
    boxes = np.array([dressed(COAT, SHIRT, np.random.default_rng(seed)).box for seed in range(60)])
    np.testing.assert_allclose(boxes[:, 0] + boxes[:, 2] / 2, 100, atol=1.5)
    np.testing.assert_allclose(boxes[:, 1], 60, atol=1.5)
    widths, stretches = boxes[:, 2] / 80, boxes[:, 3] / boxes[:, 2] / (100 / 120)
    for values, (least, most) in ((widths, (0.95, 1.4)), (stretches, (1 / 1.25, 1.25))):
        assert least - 0.03 < values.min() < least * 1.1
        assert most * 0.9 < values.max() < most + 0.03


@pytest.mark.parametrize("label", LABELS)
def test_only_short_sleeves_bare_the_arms(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garments, "DRESSED_WIDTH", (0.5, 0.5))
    monkeypatch.setattr(garments, "DRESSED_ASPECT", 1)
    monkeypatch.setattr(garments, "BARE", 1)
    wearer = replace(COAT, skin=np.array([220, 170, 140], np.uint8))
    # 40 wide and 33 high, from 60 on: of the green coat 20 columns stay on either side, and all below 93
    doll = dressed(wearer, replace(SHIRT, target=target([label])), np.random.default_rng(0))
    beside, below = doll.photo[64:88, 64:76].reshape(-1, 3), doll.photo[100:170, 70:130].reshape(-1, 3)
    bare = label in {"T-shirt/top", "Dress"}
    assert (beside == ((220, 170, 140) if bare else GREEN)).all()  # evenly lit cloth, evenly lit skin
    assert (below == GREEN).all()


def test_skin_is_lit_as_the_cloth_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garments, "DRESSED_WIDTH", (0.5, 0.5))
    monkeypatch.setattr(garments, "BARE", 1)
    folded = COAT.photo.copy()
    folded[:, 60:68] = (120, 120, 120)
    folded[:, 132:140] = (20, 20, 20)
    wearer = replace(COAT, photo=folded, skin=np.array([150, 120, 100], np.uint8))
    doll = dressed(wearer, replace(SHIRT, target=target(["T-shirt/top"])), np.random.default_rng(0))
    light, dark = doll.photo[70:80, 63], doll.photo[70:80, 136]
    assert (light > [150, 120, 100]).all()
    assert (dark < [150, 120, 100]).all()
    np.testing.assert_allclose(light[:, 0] / light[:, 2], 1.5, atol=0.05)  # the hue of skin


def test_who_shows_no_skin_keeps_the_sleeves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garments, "DRESSED_WIDTH", (0.5, 0.5))
    monkeypatch.setattr(garments, "BARE", 1)
    doll = dressed(COAT, replace(SHIRT, target=target(["T-shirt/top"])), np.random.default_rng(0))
    assert (doll.photo[64:80, 64:76] == GREEN).all()


def test_who_has_no_figure_gets_none() -> None:
    assert dressed(SHIRT, SHIRT, np.random.default_rng(0)).figure is None
