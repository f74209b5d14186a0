"""What `train.segmentation` teaches; what the network has learnt is in tests/test_segmentation.py."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier.bundle import SEGMENTATION_MODEL
from fashion_classifier.segmentation import Segmenter
from tests.boxed_garments import UNCHANGED
from tests.drawn_garments import overlap, photo, shirt
from tests.tiny_folders import write_folders
from train import segmentation
from train.networks import segmentation_training
from train.networks.efficientnet import Variant
from train.networks.recipes import SegmentationRecipe
from train.networks.runs import WEIGHTS, load_config, load_history
from train.networks.segmentation_training import (
    GARMENT,
    UNKNOWN,
    Batches,
    Masked,
    MaskLoss,
    believable,
    fit,
    layer_of,
    main_garment,
    network,
    point_on,
    single_garments,
)
from train.pictures.street import StreetPhoto

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

TINY = SegmentationRecipe(epochs=1, batches=2, batch_size=2)  # the first step has the rate zero
QUIET = replace(TINY, batch_size=40, changes=UNCHANGED, cut_out=(0, 0, 0), hinted=(0, 0, 0))
STREET, PHONE, SHOP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)  # all views of one source
NAMES = ("null", "skin", "dress", "bag")
RED, GREEN, BLUE, SKIN, WHITE = (200, 20, 20), (20, 180, 40), (30, 40, 200), (190, 190, 190), (255, 255, 255)
COLOURS = np.array([BLUE, SKIN, RED, GREEN], np.uint8)


# The loss


def loss(truth: npt.NDArray[Any], logits: npt.NDArray[Any]) -> float:
    return float(MaskLoss()(truth, logits.astype(np.float32)))


def test_loss_by_hand() -> None:
    truth = np.zeros((1, 4, 4, 1), np.uint8)
    truth[0, 0] = GARMENT
    # all probabilities are 1/2: entropy log 2; Dice (2 x 4/2 + 20) / (16/2 + 4 + 20) = 24/32
    assert loss(truth, np.zeros((1, 4, 4, 1))) == pytest.approx(np.log(2) + 1 - 24 / 32, abs=1e-6)


def test_loss_against_keras_and_numpy() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (3, 8, 8, 1)).astype(np.uint8)
    truth[2] = 0  # a view without a garment
    logits = rng.normal(size=truth.shape) * 4
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)(truth, logits.astype(np.float32))
    found = 1 / (1 + np.exp(-logits))
    both, either = (found * truth).sum(axis=(1, 2, 3)), (found + truth).sum(axis=(1, 2, 3))
    dice = (2 * both + 20) / (either + 20)
    assert loss(truth, logits) == pytest.approx(float(entropy) + np.mean(1 - dice), rel=1e-5)


def test_unknown_pixels_do_not_count() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (2, 8, 8, 1)).astype(np.uint8)
    unknown = rng.random(truth.shape) < 0.3
    logits = rng.normal(size=truth.shape)
    marked = np.where(unknown, UNKNOWN, truth).astype(np.uint8)
    expected = loss(marked, logits)
    for value in (-30, 0, 30):
        assert loss(marked, np.where(unknown, value, logits)) == pytest.approx(expected, abs=1e-6)
    assert loss(marked, np.where(unknown, logits, logits + 1)) != pytest.approx(expected, abs=1e-3)
    # the mean is over the known pixels: as if there were no others
    single, known = marked[:1], ~unknown[:1]
    alone = loss(single[known].reshape(1, 1, -1, 1), logits[:1][known].reshape(1, 1, -1, 1))
    assert loss(single, logits[:1]) == pytest.approx(alone, abs=1e-6)


def test_maps_count_alike() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, (3, 8, 8, 2)).astype(np.uint8)
    logits = rng.normal(size=truth.shape)
    one, two = (loss(truth[..., i : i + 1], logits[..., i : i + 1]) for i in range(2))
    assert loss(truth, logits) == pytest.approx((one + two) / 2, rel=1e-6)


def test_a_view_of_which_nothing_is_known_costs_nothing() -> None:
    assert loss(np.full((1, 4, 4, 1), UNKNOWN, np.uint8), np.full((1, 4, 4, 1), 7)) == pytest.approx(0, abs=1e-6)


# The main garment


def labelled(*boxes: tuple[int, int, int, int, int]) -> UInt8Array:
    """A 9x9 map of labels with boxes of (left, top, width, height, label)."""
    labels = np.zeros((9, 9), np.uint8)
    for left, top, width, height, label in boxes:
        labels[top : top + height, left : left + width] = label
    return labels


ALIKE = {2: 0, 3: 0}  # none is worn over the other


@pytest.mark.parametrize(
    ("labels", "main"),
    [
        (labelled((1, 1, 2, 4, 2), (5, 5, 2, 1, 3)), 2),  # the larger one
        (labelled((0, 0, 2, 2, 2), (4, 4, 1, 1, 3)), 3),  # the weights are 0.04 + 2 x 0.08 + 0.16 = 0.34 and 1
        (labelled((1, 1, 2, 2, 2), (4, 5, 2, 2, 3)), 3),  # of a size: the one nearer to the centre
        (labelled((3, 3, 3, 3, 1), (0, 0, 1, 1, 3)), 3),  # skin is no garment, however central
        (labelled((0, 0, 2, 2, 2), (7, 7, 2, 2, 2), (0, 4, 1, 3, 3)), 2),  # the parts of a pair count together
    ],
)
def test_main_garment_by_hand(labels: UInt8Array, main: int) -> None:
    np.testing.assert_array_equal(main_garment(labels, ALIKE, SegmentationRecipe()), labels == main)


EVERYWHERE_ALIKE = SegmentationRecipe(centre_width=1e6, claim=0.249)  # areas are numbers of cells, but for the last digits
BAG, DRESS, COAT = 2, 3, 4
WORN = {BAG: 0, DRESS: 1, COAT: 2}


@pytest.mark.parametrize(
    ("labels", "main"),
    [
        (labelled((0, 0, 5, 4, DRESS), (6, 0, 1, 5, COAT)), COAT),  # 5 cells are a quarter of 20
        (labelled((0, 0, 5, 4, DRESS), (6, 0, 1, 4, COAT)), DRESS),
        (labelled((0, 0, 5, 4, BAG), (6, 0, 1, 5, DRESS)), DRESS),
        (labelled((0, 0, 5, 4, BAG), (6, 0, 1, 4, DRESS)), BAG),
        (labelled((0, 0, 4, 5, BAG), (5, 0, 2, 5, DRESS), (8, 0, 1, 5, COAT)), COAT),
        (labelled((0, 0, 4, 5, BAG), (5, 0, 2, 5, DRESS), (8, 0, 1, 4, COAT)), DRESS),
        (labelled((0, 0, 9, 6, 1), (8, 8, 1, 1, COAT), (0, 7, 2, 2, BAG)), COAT),  # what is no garment claims nothing
    ],
)
def test_what_is_worn_outermost_comes_before_what_is_larger(labels: UInt8Array, main: int) -> None:
    np.testing.assert_array_equal(main_garment(labels, WORN, EVERYWHERE_ALIKE), labels == main)


def test_how_much_a_garment_must_cover_to_claim_is_in_the_recipe() -> None:
    labels = labelled((0, 0, 5, 4, DRESS), (6, 0, 1, 5, COAT))
    np.testing.assert_array_equal(main_garment(labels, WORN, replace(EVERYWHERE_ALIKE, claim=0.26)), labels == DRESS)


def test_of_two_garments_that_mirror_each_other_one_is_chosen() -> None:
    labels = labelled((1, 3, 2, 3, 2), (6, 3, 2, 3, 3))
    found = main_garment(labels, ALIKE, SegmentationRecipe())
    assert found.sum() == 6
    assert len(np.unique(labels[found])) == 1


def test_no_garment_no_mask() -> None:
    for labels in (labelled(), labelled((2, 2, 5, 5, 1))):
        assert not main_garment(labels, ALIKE, SegmentationRecipe()).any()


def test_a_map_need_not_be_square() -> None:
    labels = np.zeros((40, 10), np.uint8)
    labels[:4], labels[18:22, 4:6] = 2, 3  # 40 cells at the upper edge, 8 in the middle
    np.testing.assert_array_equal(main_garment(labels, ALIKE, SegmentationRecipe()), labels == 3)


@pytest.mark.parametrize(
    ("label", "layer"),
    [
        *((label, 2) for label in ("coat", "blazer", "jacket", "cape")),
        *((label, 1) for label in ("dress", "t-shirt", "sweater", "blouse")),
        *((label, 0) for label in ("skirt", "jeans", "bag", "boots", "hat", "vest")),
    ],
)
def test_how_far_out_a_garment_is_worn(label: str, layer: int) -> None:
    assert layer_of(label) == layer


# Single garments


def boxes(*places: tuple[int, int, int, int]) -> BoolArray:
    """A 100x100 mask, True in boxes of (left, top, width, height)."""
    mask = np.zeros((100, 100), np.bool_)
    for left, top, width, height in places:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "is_believable"),
    [
        (boxes((30, 30, 40, 40)), True),
        (boxes((30, 30, 24, 24)), False),  # 5.8 % of the photo
        (boxes((30, 30, 25, 25)), True),  # 6.3 %
        (boxes((8, 8, 84, 91)), False),  # 76.4 %
        (boxes((0, 0, 8, 100)), True),  # (100 + 8 + 8) / 400 of the border
        (boxes((0, 0, 11, 100)), False),  # (100 + 11 + 11) / 400
        (boxes((10, 10, 30, 30), (60, 60, 30, 30)), True),  # a pair
        (boxes((10, 10, 20, 20), (60, 60, 20, 20), (60, 10, 20, 20)), False),  # three specks
        (boxes(), False),
        (boxes((0, 0, 100, 100)), False),
    ],
)
def test_believable_by_hand(mask: BoolArray, is_believable: bool) -> None:
    assert believable(mask, SegmentationRecipe()) is is_believable


@pytest.mark.parametrize(("side", "band"), [(100, 1), (159, 1), (160, 2), (400, 2)])  # px on either side of the edge
def test_where_a_single_garment_ends_is_unknown(side: int, band: int) -> None:
    mask = np.zeros((side, side + 20), np.uint8)
    near, far = side // 4, side * 3 // 4
    mask[near:far, near:far] = 1
    picture = np.zeros((*mask.shape, 3), np.uint8)
    ((learnt, target),) = single_garments([picture], [mask], SegmentationRecipe())
    expected = np.zeros_like(mask)
    expected[near - band : far + band, near - band : far + band] = UNKNOWN
    expected[near + band : far - band, near + band : far - band] = GARMENT
    assert learnt is picture
    np.testing.assert_array_equal(target, expected)
    assert target.dtype == np.uint8


def test_masks_that_are_not_believable_are_left_out() -> None:
    pictures = [np.full((100, 100, 3), level, np.uint8) for level in range(3)]
    masks = [mask.astype(np.uint8) for mask in (boxes(), boxes((30, 30, 40, 40)), boxes((0, 0, 100, 100)))]
    ((learnt, _),) = single_garments(pictures, masks, SegmentationRecipe())
    assert learnt is pictures[1]


# A point on the garment


def test_a_point_lies_on_the_garment_and_rather_well_inside() -> None:
    mask = np.zeros((60, 90), np.bool_)
    mask[10:50, 20:60] = True
    points = np.array([point_on(mask, np.random.default_rng(seed)) for seed in range(200)]) * (90, 60) - 0.5
    columns, rows = np.round(points).astype(int).T
    np.testing.assert_allclose(points.T, (columns, rows), atol=1e-9)  # middles of pixels
    assert mask[rows, columns].all()
    depth = np.minimum(np.minimum(columns - 19, 60 - columns), np.minimum(rows - 9, 50 - rows))
    assert depth.mean() > 9  # of any pixel it is 7 on average
    assert depth.min() <= 3
    assert min(np.ptp(columns), np.ptp(rows)) > 25


def test_the_picture_ends_where_a_garment_does() -> None:
    point = np.array([point_on(np.ones((41, 41), np.bool_), np.random.default_rng(seed)) for seed in range(100)])
    assert np.abs(point - 0.5).mean() < 0.2  # 1/4 on average, were the edge no end


def test_a_point_on_one_pixel_and_on_nothing() -> None:
    mask = np.zeros((4, 8), np.bool_)
    assert point_on(mask, np.random.default_rng(0)) is None
    mask[1, 6] = True
    assert point_on(mask, np.random.default_rng(0)) == (6.5 / 8, 1.5 / 4)


# Batches


@pytest.fixture(scope="module")
def phones() -> list[Masked]:
    drawn, mask = photo(shirt(120, 160), RED, (170, 170, 160), noise=5), shirt(120, 160).astype(np.uint8)
    return single_garments([drawn], [mask], SegmentationRecipe())


@pytest.fixture(scope="module")
def products() -> list[Masked]:
    """A green bag on white."""
    mask = np.zeros((80, 60), np.uint8)
    mask[20:60, 15:45] = 1
    return single_garments([np.where(mask[..., np.newaxis], GREEN, WHITE).astype(np.uint8)], [mask], SegmentationRecipe())


@pytest.fixture(scope="module")
def streets() -> list[StreetPhoto]:
    """A person in a red dress with a green bag, on blue; the second one has put on nothing."""
    labels = np.zeros((180, 120), np.uint8)
    cv2.ellipse(labels, (60, 90), (25, 80), 0, 0, 360, 1, -1)
    bare = labels.copy()
    labels[60:130, 35:85] = 2
    labels[100:130, 85:105] = 3
    return [StreetPhoto(f"{i}", COLOURS[each], each, NAMES) for i, each in enumerate((labels, bare))]


def test_batches_have_what_the_network_takes(streets: list[StreetPhoto], phones: list[Masked], products: list[Masked]) -> None:
    batches = Batches(streets, phones, products, replace(TINY, batches=3, batch_size=8))
    assert len(batches) == 3
    for i in range(3):
        inputs, targets = batches[i]
        assert inputs.shape == (8, 160, 160, 4)
        assert inputs.dtype == np.float32
        assert -1 <= inputs.min() < -0.2 < 0.2 < inputs.max() <= 1
        assert targets.shape == (8, 80, 80, 2)
        assert targets.dtype == np.uint8
        assert set(np.unique(targets)) <= {0, GARMENT, UNKNOWN}


def test_batches_depend_on_seed_epoch_and_index_alone(streets: list[StreetPhoto], phones: list[Masked]) -> None:
    one, two = (Batches(streets, phones, [], TINY) for _ in range(2))
    one.start(3)
    two.start(1)
    two[1]
    two.start(3)
    for a, b in zip(one[0], two[0], strict=True):
        np.testing.assert_array_equal(a, b)
    others = [one[1], Batches(streets, phones, [], replace(TINY, seed=1))[0], Batches(streets, phones, [], TINY)[0]]
    assert all((other[0] != one[0][0]).any() for other in others)


def test_garments_alone_are_meant(streets: list[StreetPhoto]) -> None:
    names = ("null", "skin", "dress", "bag", "belt", "coat", "hair")
    street = StreetPhoto("0", streets[0].photo, streets[0].labels, names)
    assert Batches([street], [], [], TINY).layers_of == {2: 1, 3: 0, 5: 2}


Views = Callable[..., tuple[UInt8Array, UInt8Array, UInt8Array]]


@pytest.fixture(scope="module")
def views(streets: list[StreetPhoto], phones: list[Masked], products: list[Masked]) -> Views:
    """40 views in their own colours, half as large, their hints, and their targets; by a recipe with these changes."""

    def make(
        recipe: SegmentationRecipe = QUIET,
        *,
        street: list[StreetPhoto] = streets,
        phone: list[Masked] = phones,
        shop: list[Masked] = products,
        **values: Any,
    ) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
        inputs, targets = Batches(street, phone, shop, replace(recipe, **values))[0]
        seen = np.round((inputs + 1) * 127.5).astype(np.uint8)
        return seen[:, ::2, ::2, :3], seen[..., 3], targets[..., 0]

    return make


def near(view: UInt8Array, colour: tuple[int, int, int]) -> BoolArray:
    return np.asarray(np.all(np.abs(view.astype(int) - colour) < 60, axis=-1))


def test_sources_have_their_shares_and_missing_ones_hand_theirs_on(views: Views) -> None:
    def shares(**given: Any) -> list[float]:
        seen, _, targets = views(batch_size=120, sources=(0.5, 0.3, 0.2), **given)
        street = [not (target == UNKNOWN).any() for target in targets]  # all of its pixels are known
        return [float(np.mean(street)), float(np.mean([near(view, WHITE).mean() > 0.3 for view in seen]))]

    assert shares() == pytest.approx([0.5, 0.2], abs=0.12)
    assert shares(shop=[]) == pytest.approx([0.5 / 0.8, 0], abs=0.12)
    assert shares(street=[], phone=[]) == [0, 1]


def test_the_mask_lies_on_the_garment(views: Views, streets: list[StreetPhoto]) -> None:
    seen, hints, targets = views(street=streets[:1], sources=STREET)
    assert not hints.any()
    garments = {"dress": 0, "bag": 0, "none": 0}
    for view, target in zip(seen, targets, strict=True):
        found = target == GARMENT
        red, green = near(view, RED), near(view, GREEN)
        main = "dress" if np.sum(found & red) > np.sum(found & green) else "bag" if found.any() else "none"
        garments[main] += 1
        if found.any():
            assert np.mean(found != (red if main == "dress" else green)) < 0.03
        else:
            assert np.mean(red | green) < 0.02
    assert garments["dress"] > garments["bag"] > 0


def test_the_second_map_marks_all_garments(streets: list[StreetPhoto], phones: list[Masked], products: list[Masked]) -> None:
    for sources in (STREET, PHONE, SHOP):
        _, targets = Batches(streets[:1], phones, products, replace(QUIET, sources=sources, hinted=(1, 1, 1)))[0]
        meant, worn = targets[..., 0], targets[..., 1]
        assert not (meant[worn == 0] == GARMENT).any()
        if sources != STREET:
            np.testing.assert_array_equal(meant, worn)
    inputs, targets = Batches(streets[:1], [], [], replace(QUIET, sources=STREET, whole=1))[0]
    for view, target in zip(np.round((inputs + 1) * 127.5).astype(np.uint8)[:, ::2, ::2, :3], targets, strict=True):
        red, green = near(view, RED), near(view, GREEN)
        assert np.mean((target[..., 1] == GARMENT) != (red | green)) < 0.03  # the bag too, which is not meant
        assert np.mean((target[..., 0] == GARMENT) != red) < 0.03


def test_the_garment_that_a_view_is_framed_around_is_the_main_one(views: Views) -> None:
    # a dress around a smaller bag: framed around either, that one is meant, though the dress is always larger
    labels = np.zeros((180, 120), np.uint8)
    labels[20:160, 20:100], labels[60:120, 45:75] = 2, 3
    street = [StreetPhoto("0", COLOURS[labels], labels, NAMES)]
    seen, _, targets = views(street=street, sources=STREET, whole=0, around_one=1)
    dresses = [np.mean(near(view, RED)[target == GARMENT]) > 0.5 for view, target in zip(seen, targets, strict=True)]
    assert 10 < sum(dresses) < 30
    for view, target, dress in zip(seen, targets, dresses, strict=True):
        assert np.mean((target == GARMENT) != near(view, RED if dress else GREEN)) < 0.03


def test_a_view_may_be_cropped_as_callers_crop(views: Views) -> None:
    # box of 80 x 120 px at the photo's upper edge: 12 px more on three sides, of 104 x 132 px then
    labels = np.zeros((180, 120), np.uint8)
    labels[:120, 20:100] = 2
    street = [StreetPhoto("0", np.where(labels[..., np.newaxis], RED, GREEN).astype(np.uint8), labels, NAMES)]
    cropped = {"whole": 0, "around_one": 1, "cropped": 1, "crop_margin": (0.1, 0.1)}
    _, _, targets = views(street=street, sources=STREET, **cropped)
    for target in targets:
        assert np.mean(target) == pytest.approx(80 / 104 * 120 / 132, abs=0.06)
        assert np.mean(target, axis=0).max() > 0.85  # of the height
        assert target[:2, 40].all()
        assert not target[-2:].any()


def test_whole_photos_show_the_dress_that_is_worn(views: Views, streets: list[StreetPhoto]) -> None:
    seen, _, targets = views(street=streets[:1], sources=STREET, whole=1)
    for view, target in zip(seen, targets, strict=True):
        assert near(view, BLUE).mean() > 0.3
        assert near(view, GREEN).any()
        assert np.mean((target == GARMENT) != near(view, RED)) < 0.03


def test_who_wears_nothing_is_no_garment(views: Views, streets: list[StreetPhoto]) -> None:
    _, hints, targets = views(street=streets[1:], sources=STREET, hinted=(1, 1, 1))
    assert not targets.any()
    assert not hints.any()


def points(hints: UInt8Array) -> list[tuple[int, int]]:
    """Row and column of each bump in a map of half the side."""
    found = [np.unravel_index(int(hint.argmax()), hint.shape) for hint in hints]
    return [(int(row) // 2, int(column) // 2) for row, column in found]


def test_a_hint_says_which_of_several_garments_is_meant(views: Views, streets: list[StreetPhoto]) -> None:
    seen, hints, targets = views(street=streets[:1], sources=STREET, whole=1, hinted=(1, 0, 0))
    bags = 0
    for view, target, (row, column), hint in zip(seen, targets, points(hints), hints, strict=True):
        assert hint.max() > 250
        assert (target[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] == GARMENT).any()
        bag = np.mean(near(view, GREEN)[target == GARMENT]) > 0.5
        assert np.mean((target == GARMENT) != near(view, GREEN if bag else RED)) < 0.03
        bags += bag
    assert 10 < bags < 30  # without a hint the dress is meant


@pytest.mark.parametrize(("sources", "hinted"), [(PHONE, (0, 1, 0)), (SHOP, (0, 0, 1))])
def test_single_garments_have_hints_too(views: Views, sources: tuple[float, ...], hinted: tuple[float, ...]) -> None:
    _, hints, targets = views(sources=sources, hinted=hinted)
    for target, (row, column) in zip(targets, points(hints), strict=True):
        assert (target[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] == GARMENT).any()
    assert not views(sources=sources)[1].any()
    some = [hint.any() for hint in views(sources=sources, hinted=(0.5, 0.5, 0.5), batch_size=60)[1]]
    assert np.mean(some) == pytest.approx(0.5, abs=0.2)


def test_changes_of_light_leave_hint_and_target(views: Views) -> None:
    hinted = replace(QUIET, sources=PHONE, hinted=(1, 1, 1), batch_size=8)
    _, hints, targets = views(hinted, changes=replace(UNCHANGED, gray=1, coarse=1))
    for hint, target, (row, column) in zip(hints, targets, points(hints), strict=True):
        assert hint.max() > 250
        assert (target[row - 1 : row + 2, column - 1 : column + 2] == GARMENT).any()


def test_a_person_cut_out_stands_on_another_surface(views: Views, streets: list[StreetPhoto]) -> None:
    seen, _, targets = views(street=streets[:1], sources=STREET, cut_out=(1, 0, 0), alone=0, around_one=0)
    assert np.mean([near(view, BLUE).mean() for view in seen]) < 0.05  # of the street's blue nothing is left
    on = [near(view, RED)[target == GARMENT].mean() for view, target in zip(seen, targets, strict=True) if target.any()]
    assert np.mean(on) > 0.7
    assert any(near(view, SKIN).mean() > 0.1 for view in seen)  # the person


@pytest.fixture
def on_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation_training, "background", lambda size, photos, rng: np.full((size, size, 3), 255, np.uint8))


@pytest.mark.usefixtures("on_white")
def test_a_garment_cut_out_may_stand_alone(views: Views, streets: list[StreetPhoto]) -> None:
    seen, _, targets = views(street=streets[:1], sources=STREET, cut_out=(1, 0, 0), alone=1, whole=0, around_one=1)
    for view, target in zip(seen, targets, strict=True):
        assert near(view, RED).mean() < 0.01 or near(view, GREEN).mean() < 0.01
        assert np.mean((target == GARMENT) != (view.min(axis=-1) < 128)) < 0.03


def test_surfaces_need_no_phone_photos(views: Views, streets: list[StreetPhoto]) -> None:
    seen, _, _ = views(street=streets[:1], phone=[], sources=STREET, cut_out=(1, 0, 0))
    assert len(seen) == 40


@pytest.mark.parametrize("cut_out", [0, 1])
@pytest.mark.parametrize(("sources", "colour"), [(PHONE, RED), (SHOP, GREEN)])
def test_single_garments_keep_their_masks(
    views: Views, sources: tuple[float, ...], colour: tuple[int, int, int], cut_out: float
) -> None:
    seen, _, targets = views(sources=sources, cut_out=(0, cut_out, cut_out))
    for view, target in zip(seen, targets, strict=True):
        known = target != UNKNOWN
        assert np.mean(near(view, colour)[target == GARMENT]) > 0.97
        if not cut_out:
            assert np.mean((near(view, colour) != (target == GARMENT))[known]) < 0.02
        assert 0.1 < np.mean(target == GARMENT) < 0.8


# The network


def test_the_network_draws_half_as_large_as_it_sees() -> None:
    model = network()
    assert model.count_params() == 755_105 + 3 * 3 * 24 + 32 + 1  # with the guide's convolution, and another map
    assert model.input_shape == (None, 160, 160, 4)
    assert model.output_shape == (None, 80, 80, 2)
    assert {"decode_10", "decode_20", "decode_40", "decode_80", "refine_40"} <= {layer.name for layer in model.layers}


@pytest.mark.slow
def test_fit(
    streets: list[StreetPhoto],
    phones: list[Masked],
    products: list[Masked],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = Variant("efficientnet-lite0", (1, 2, 1, 1, 1, 1, 1))
    poured: list[tuple[keras.Model, Variant]] = []
    monkeypatch.setattr(segmentation_training, "LITE0", small)
    monkeypatch.setattr(segmentation_training, "load_imagenet_weights", lambda *arguments: poured.append(arguments))
    fit(TINY, streets, phones, products, tmp_path, command="the command")
    config = load_config(tmp_path)
    assert config["recipe"] == json.loads(json.dumps(dataclasses.asdict(TINY)))
    assert config["recipe"]["framed_single"]["quarter_turns"] == 0.3
    assert config["data"] == {"street photos": 2, "phone photos": 1, "products": 1}
    assert (config["command"], config["parents"]) == ("the command", [])
    (row,) = load_history(tmp_path)
    assert 0.3 < row["loss"] < 3  # log 2 and something of Dice's one

    ((trained, variant),) = poured
    assert variant is small
    stored = network()
    stored.load_weights(tmp_path / WEIGHTS)
    for a, b in zip(stored.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    keras.utils.set_random_seed(TINY.seed)
    fresh = network()
    for names, learns in ((("stem", "block2_depthwise"), False), (("guide", "block3_depthwise", "logits"), True)):
        for name in names:
            same = np.array_equal(fresh.get_layer(name).get_weights()[0], stored.get_layer(name).get_weights()[0])
            assert same is not learns, name
    assert Segmenter(tmp_path / SEGMENTATION_MODEL)(phones[0][0], at=(60, 80)).shape == (160, 120)

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    capsys.readouterr()
    fit(TINY, streets, phones, products, tmp_path)
    assert capsys.readouterr().out == f"{tmp_path} is finished already.\n"
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(replace(TINY, claim=0.3), streets, phones, products, tmp_path)
    with pytest.raises(ValueError, match="holds a run of another data"):
        fit(TINY, streets, phones, [], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before

    (tmp_path / SEGMENTATION_MODEL).unlink()  # as if interrupted between the two files
    written: list[tuple[keras.Model, Path]] = []
    monkeypatch.setattr(segmentation_training, "export_float16", lambda *arguments: written.append(arguments))
    fit(TINY, streets, phones, products, tmp_path)
    ((again, path),) = written
    assert path == tmp_path / SEGMENTATION_MODEL
    for a, b in zip(again.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("with_shop", [False, True])
def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_shop: bool) -> None:
    folders = write_folders(tmp_path)
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(segmentation_training, "fit", lambda *arguments, command: calls.append((*arguments, command)))
    options = [f"--{name}={folders[name]}" for name in ("photos", "street", *(["shop"] if with_shop else []))]
    monkeypatch.setattr("sys.argv", ["segmentation", "--run", "there", *options, "--epochs", "2"])
    segmentation.main()
    ((recipe, streets, phones, products, run, command),) = calls
    assert recipe == SegmentationRecipe(epochs=2)
    assert len(streets) == 1  # of the training split
    assert streets[0].names == ("null", "skin", "coat", "bag")
    (target,) = (target for _, target in phones if target.shape == (80, 60) and overlap(target > 0, shirt(60, 80)) > 0.8)
    assert (target == UNKNOWN).any()
    assert len(products) == int(with_shop)  # the watch is none of the ten
    for _, bag in products:
        assert bag[40, 30] == GARMENT
        assert bag[10, 10] == 0
    assert run == Path("there")
    typed = " ".join(f"--{name} {name.upper()}" for name in ("photos", "street", *(["shop"] if with_shop else [])))
    assert command == f"python -m train.segmentation --run RUN {typed} --epochs 2"
