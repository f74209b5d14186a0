from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fashion_classifier import LABELS
from fashion_classifier.masks import innermost
from fashion_classifier.segmentation import Segmenter
from tests.boxed_garments import BAG, BLUE, GREEN, RED, SHIRT, TROUSER, filled
from tests.stand_ins import Finding, left_half
from train.pictures.garments import found_garment, on_white, product, single_garment, worn_garments
from train.pictures.rows import Row
from train.pictures.street import StreetPhoto
from train.pictures.targets import SHOES, target

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


def test_a_box_is_the_smallest_around_the_mask() -> None:
    assert SHIRT.box == (30, 40, 120, 100)
    assert TROUSER.box == (60, 20, 60, 200)


@pytest.mark.parametrize("label", LABELS)
def test_only_bags_and_shoes_are_sold_alone(label: str) -> None:
    garment = replace(BAG, target=target([label]))
    assert garment.is_shoe is (label in SHOES)
    assert garment.is_sold_alone is (label in {"Bag", *SHOES})


def test_shoes_of_any_kind_are_shoes_and_what_is_none_of_the_ten_is_not() -> None:
    shoes, nothing = replace(BAG, target=target(SHOES)), replace(BAG, target=target([]))
    assert (shoes.is_shoe, shoes.is_sold_alone) == (True, True)
    assert (nothing.is_shoe, nothing.is_sold_alone) == (False, False)


def test_what_is_found_in_a_picture(tmp_path: Path) -> None:
    picture = filled((40, 30), (25, 5, 10, 20), RED, 255)
    Image.fromarray(picture).save(tmp_path / "a.png")
    row = Row(tmp_path / "a.png", "group", "label", ("Sandal", "Sneaker"))
    segmenter = Finding(left_half)
    found, single, sold = found_garment(row, segmenter), single_garment(row, segmenter), product(row, segmenter)
    half = filled((40, 30), (0, 0, 20, 30), 255, 0)
    for garment in (found, single, sold):
        np.testing.assert_array_equal(garment.photo, picture)
        np.testing.assert_array_equal(garment.mask, half)
        np.testing.assert_array_equal(garment.target, target(["Sandal", "Sneaker"]))
    assert found.figure is None
    np.testing.assert_array_equal(single.figure, half)  # nothing is there but the garment
    np.testing.assert_array_equal(sold.figure, filled((40, 30), (25, 5, 10, 20), 255, 0))  # what is not white
    assert found_garment(replace(row, accepted=()), segmenter).target.tolist() == [0] * 10


def test_what_stands_out_from_white_is_filled() -> None:
    photo = np.full((40, 40, 3), 250, np.uint8)  # near white: JPEG noise
    photo[10:30, 10:30] = (255, 255, 200)
    photo[15:20, 15:20] = 255  # a white print on it
    expected = np.zeros((40, 40), np.uint8)
    expected[10:30, 10:30] = 1
    np.testing.assert_array_equal(on_white(photo), expected)


# Worn garments


class Prepared(Segmenter):
    """Answers in the whole photo, at points, and in crops of some shapes; elsewhere it finds nothing."""

    def __init__(
        self,
        whole: BoolArray,
        pointed: dict[tuple[float, float], BoolArray],
        crops: dict[tuple[int, int], BoolArray],
    ) -> None:
        self.whole, self.pointed, self.crops = whole, pointed, crops
        self.asked: list[tuple[tuple[int, ...], tuple[float, float] | None]] = []

    def __call__(self, photo: UInt8Array, at: tuple[float, float] | None = None) -> BoolArray:
        self.asked.append((photo.shape[:2], at))
        if photo.shape[:2] == self.whole.shape:
            return self.whole if at is None else self.pointed[at]
        return self.crops.get((photo.shape[0], photo.shape[1]), np.zeros(photo.shape[:2], bool))


def box(left: int, top: int, width: int, height: int) -> BoolArray:
    return filled((100, 100), (left, top, width, height), 1, 0) > 0


def test_worn_garments_have_their_true_masks_and_those_that_show_them() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[10:90, 20:80], labels[20:60, 30:70], labels[70:80, 40:60] = 1, 2, 3
    colours = np.array([BLUE, (220, 180, 150), RED, GREEN], np.uint8)
    photo = StreetPhoto("0007", colours[labels], labels, ("null", "skin", "coat", "bag"))
    segmenter = Prepared(
        whole=box(30, 20, 40, 20),  # half of the coat, and nothing of the bag
        pointed={
            innermost(labels == 2): box(30, 20, 40, 19),  # less than half
            innermost(labels == 3): box(40, 70, 20, 12),
        },
        crops={
            (44, 44): box(2, 2, 40, 30)[:44, :44],  # 2 px around the coat: three quarters of it
            (12, 22): np.ones((12, 22), bool),  # 1 px around the bag: it is 200 of 264 pixels
        },
    )
    found = worn_garments(photo, list(photo.garments(0.01)), segmenter)
    by_label = {name: [one for one in found if one.target.tolist() == target([name]).tolist()] for name in ("Coat", "Bag")}
    assert len(found) == len(by_label["Coat"]) + len(by_label["Bag"])
    expected = {
        "Coat": [labels == 2, box(30, 20, 40, 20), box(30, 20, 40, 30)],
        "Bag": [labels == 3, box(40, 70, 20, 12), box(39, 69, 22, 12)],
    }
    for name, masks in expected.items():
        np.testing.assert_array_equal(np.stack([one.mask for one in by_label[name]]), np.stack(masks) * np.uint8(255))
    for one in found:
        assert one.photo is photo.photo
        assert one.mask.dtype == np.uint8
        np.testing.assert_array_equal(one.figure, (labels > 0) * np.uint8(255))
    assert segmenter.asked.count(((100, 100), None)) == 1
    assert {shape for shape, at in segmenter.asked if at is None} == {(100, 100), (44, 44), (64, 64), (12, 22), (22, 32)}


def test_a_photo_without_labelled_garments_gives_none() -> None:
    photo = StreetPhoto("0007", np.zeros((10, 10, 3), np.uint8), np.ones((10, 10), np.uint8), ("null", "skin"))
    assert worn_garments(photo, [], Finding(left_half)) == []
