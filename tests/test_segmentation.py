"""GrabCut against masks that are known because the photos are drawn here."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier.segmentation import border_values, grabcut_mask, white_background

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
SHIRT = [(0.30, 0.20), (0.42, 0.16), (0.58, 0.16), (0.70, 0.20), (0.88, 0.40), (0.76, 0.50), (0.68, 0.42), (0.68, 0.84)]
SHIRT += [(0.32, 0.84), (0.32, 0.42), (0.24, 0.50), (0.12, 0.40)]  # share of width and height, clockwise


def shirt(width: int, height: int) -> BoolArray:
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(SHIRT) * (width, height)).astype(np.int32)], 1)
    return mask.astype(bool)


def photo(mask: BoolArray, garment: tuple[int, int, int], background: tuple[int, int, int], noise: float = 20) -> UInt8Array:
    """Garment and background, both with a coarse texture and with the grain of a phone camera."""
    rng = np.random.default_rng(0)
    height, width = mask.shape
    coarse = cv2.resize(rng.normal(0, noise, (height // 12 + 1, width // 12 + 1)), (width, height))
    colours = np.where(mask[..., None], garment, background) + coarse[..., None] + rng.normal(0, 4, (height, width, 3))
    return np.clip(colours, 0, 255).astype(np.uint8)


def overlap(found: BoolArray, true: BoolArray) -> float:
    """Intersection over union."""
    return float(np.sum(found & true) / np.sum(found | true))


@pytest.mark.parametrize(
    ("garment", "background"),
    [
        ((180, 30, 40), (150, 150, 140)),
        ((30, 40, 90), (190, 160, 120)),
        ((235, 230, 225), (110, 80, 50)),
        ((40, 40, 40), (70, 140, 70)),
    ],
    ids=["red on gray", "navy on wood", "white on brown", "black on green"],
)
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


def test_border_values_are_each_pixel_once() -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert sorted(border_values(gray).tolist()) == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
    assert sorted(border_values(gray[:2, :2]).tolist()) == [0, 1, 4, 5]


def framed(level: int, odd_level: int, odd_count: int) -> UInt8Array:
    """A 26x26 picture: `level` everywhere, `odd_level` on `odd_count` of the 100 border pixels, a dark garment within."""
    gray = np.full((26, 26), level, np.uint8)
    gray[0, :odd_count] = odd_level
    gray[5:20, 5:20] = 10
    return gray


@pytest.mark.parametrize(
    ("gray", "level"),
    [
        (framed(255, 255, 0), 255),
        (framed(200, 200, 0), 200),
        (framed(199, 199, 0), None),  # plain, not white
        (framed(250, 0, 10), 250),  # 90 of 100 border pixels are plain
        (framed(250, 0, 11), None),
        (framed(250, 237, 26), 250),  # 13 levels away is still plain
        (framed(250, 236, 26), None),
        (framed(0, 0, 0), None),
    ],
)
def test_white_background(gray: UInt8Array, level: int | None) -> None:
    assert white_background(gray) == level
