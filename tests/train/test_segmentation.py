"""What `train.segmentation` teaches; what the network has learnt is in tests/test_segmentation.py."""

import json
from collections.abc import Callable, Sequence
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
from tests.drawn_garments import overlap, photo, shirt
from train import segmentation
from train.networks.efficientnet import LITE0, Variant
from train.networks.runs import WEIGHTS, load_config, load_history
from train.pictures.phone import PhonePhoto
from train.pictures.street import StreetPhoto
from train.segmentation import GARMENT, UNKNOWN, Batches, MaskLoss, Recipe, believable, fit, main_garment, network

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

TINY = Recipe(epochs=1, batches=2, batch_size=2)  # the first step has the rate zero
NAMES = ("null", "skin", "dress", "bag")
RED, GREEN = (200, 20, 20), (20, 180, 40)


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


def test_a_view_of_which_nothing_is_known_costs_nothing() -> None:
    assert loss(np.full((1, 4, 4, 1), UNKNOWN, np.uint8), np.full((1, 4, 4, 1), 7)) == pytest.approx(0, abs=1e-6)


# The main garment


def labelled(*boxes: tuple[int, int, int, int, int]) -> UInt8Array:
    """A 9x9 map of labels with boxes of (left, top, width, height, label)."""
    labels = np.zeros((9, 9), np.uint8)
    for left, top, width, height, label in boxes:
        labels[top : top + height, left : left + width] = label
    return labels


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
    np.testing.assert_array_equal(main_garment(labels, [2, 3]), labels == main)


def test_of_two_garments_that_mirror_each_other_one_is_chosen() -> None:
    labels = labelled((1, 3, 2, 3, 2), (6, 3, 2, 3, 3))
    found = main_garment(labels, [2, 3])
    assert found.sum() == 6
    assert len(np.unique(labels[found])) == 1


def test_no_garment_no_mask() -> None:
    for labels in (labelled(), labelled((2, 2, 5, 5, 1))):
        assert not main_garment(labels, [2, 3]).any()


def test_a_map_need_not_be_square() -> None:
    labels = np.zeros((40, 10), np.uint8)
    labels[:4], labels[18:22, 4:6] = 2, 3  # 40 cells at the upper edge, 8 in the middle
    np.testing.assert_array_equal(main_garment(labels, [2, 3]), labels == 3)


# What GrabCut teaches


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
    assert believable(mask) is is_believable


# Batches


@pytest.fixture(scope="module")
def phones() -> list[PhonePhoto]:
    """A shirt that GrabCut finds, and a wall."""
    drawn = photo(shirt(120, 160), RED, (170, 170, 160), noise=5)
    wall = np.full((160, 120, 3), 170, np.uint8)
    return [PhonePhoto("a", "1", "Shirt", drawn), PhonePhoto("b", "1", "Shirt", wall)]


@pytest.fixture(scope="module")
def streets() -> list[StreetPhoto]:
    """A person in a red dress with a green bag, on blue; the second one has put on nothing."""
    labels = np.zeros((180, 120), np.uint8)
    cv2.ellipse(labels, (60, 90), (25, 80), 0, 0, 360, 1, -1)
    bare = labels.copy()
    labels[60:130, 35:85] = 2
    labels[100:130, 85:105] = 3
    colours = np.array([(30, 40, 200), (190, 190, 190), RED, GREEN], np.uint8)
    return [StreetPhoto(f"{i}", colours[each], each, NAMES) for i, each in enumerate((labels, bare))]


def test_batches_have_what_the_network_takes(phones: list[PhonePhoto], streets: list[StreetPhoto]) -> None:
    batches = Batches(phones, streets, replace(TINY, batches=3, batch_size=5))
    assert len(batches) == 3
    for i in range(3):
        inputs, targets = batches[i]
        assert inputs.shape == (5, 160, 160, 3)
        assert inputs.dtype == np.float32
        assert -1 <= inputs.min() < -0.2 < 0.2 < inputs.max() <= 1
        assert targets.shape == (5, 80, 80, 1)
        assert targets.dtype == np.uint8
        assert set(np.unique(targets)) <= {0, GARMENT, UNKNOWN}


def test_batches_repeat_themselves(phones: list[PhonePhoto], streets: list[StreetPhoto]) -> None:
    one, two = (Batches(phones, streets, TINY) for _ in range(2))
    one.start(3)
    two.start(1)
    two.start(3)
    for a, b in zip(one[0], two[0], strict=True):
        np.testing.assert_array_equal(a, b)
    others = [one[1], Batches(phones, streets, replace(TINY, seed=1))[0], Batches(phones, streets, TINY)[0]]
    assert all((other[0] != one[0][0]).any() for other in others)


def test_a_phone_photo_is_learnt_from_where_its_mask_is_believable(
    phones: list[PhonePhoto], streets: list[StreetPhoto]
) -> None:
    ((learnt, target),) = Batches(phones, streets, TINY).phones
    np.testing.assert_array_equal(learnt, phones[0].photo)
    true = shirt(120, 160)
    assert overlap(target > 0, true) > 0.85
    inner, outer = (change(true.astype(np.uint8), np.ones((9, 9))) > 0 for change in (cv2.erode, cv2.dilate))
    assert (target[inner] == GARMENT).all()
    assert (target[~outer] == 0).all()
    assert 0 < np.mean(target == UNKNOWN) < 0.15  # along the edge


@pytest.fixture
def views(
    monkeypatch: pytest.MonkeyPatch, phones: list[PhonePhoto], streets: list[StreetPhoto]
) -> Callable[..., tuple[UInt8Array, UInt8Array]]:
    """40 views in their own colours, half as large, and their targets; with other shares than the module has."""

    def make(street: Sequence[StreetPhoto] = streets, **shares: object) -> tuple[UInt8Array, UInt8Array]:
        for name in ("recolour", "coarsen"):
            monkeypatch.setattr(segmentation, name, lambda view, rng: view)
        for name, value in shares.items():
            monkeypatch.setattr(segmentation, name, value)
        inputs, targets = Batches(phones, street, replace(TINY, batch_size=40))[0]
        return np.round((inputs[:, ::2, ::2] + 1) * 127.5).astype(np.uint8), targets[..., 0]

    return make


def near(view: UInt8Array, colour: tuple[int, int, int]) -> BoolArray:
    return np.asarray(np.all(np.abs(view.astype(int) - colour) < 60, axis=-1))


def test_the_mask_lies_on_the_garment(views: Callable[..., tuple[UInt8Array, UInt8Array]], streets: list[StreetPhoto]) -> None:
    seen, targets = views(streets[:1], STREET_SHARE=1, CUT_OUT={"street": 0, "phone": 0})
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


def test_the_garment_that_a_view_is_framed_around_is_the_main_one(
    views: Callable[..., tuple[UInt8Array, UInt8Array]], streets: list[StreetPhoto]
) -> None:
    # a coat around a smaller shirt: framed around either, that one is meant, though the coat is always larger
    labels = np.zeros((180, 120), np.uint8)
    labels[20:160, 20:100], labels[60:120, 45:75] = 2, 3
    colours = np.array([(30, 40, 200), (190, 190, 190), RED, GREEN], np.uint8)
    street = [StreetPhoto("0", colours[labels], labels, NAMES)]
    seen, targets = views(street, STREET_SHARE=1, AROUND_ONE=1, CUT_OUT={"street": 0, "phone": 0})
    coats = [np.mean(near(view, RED)[target == GARMENT]) > 0.5 for view, target in zip(seen, targets, strict=True)]
    assert 10 < sum(coats) < 30
    for view, target, coat in zip(seen, targets, coats, strict=True):
        assert np.mean((target == GARMENT) != near(view, RED if coat else GREEN)) < 0.03


def test_a_view_may_be_cropped_as_callers_crop(views: Callable[..., tuple[UInt8Array, UInt8Array]]) -> None:
    # box of 80 x 120 px at the photo's upper edge: 12 px more on three sides, of 104 x 132 px then
    labels = np.zeros((180, 120), np.uint8)
    labels[:120, 20:100] = 2
    street = [StreetPhoto("0", np.where(labels[..., np.newaxis], RED, GREEN).astype(np.uint8), labels, NAMES)]
    shares = {"STREET_SHARE": 1, "AROUND_ONE": 1, "CROPPED": 1, "CROP_MARGIN": (0.1, 0.1), "CUT_OUT": {"street": 0, "phone": 0}}
    _, targets = views(street, **shares)
    for target in targets:
        assert np.mean(target) == pytest.approx(80 / 104 * 120 / 132, abs=0.06)
        assert np.mean(target, axis=0).max() > 0.85  # of the height
        assert target[:2, 40].all()
        assert not target[-2:].any()


def test_who_wears_nothing_is_no_garment(
    views: Callable[..., tuple[UInt8Array, UInt8Array]], streets: list[StreetPhoto]
) -> None:
    _, targets = views(streets[1:], STREET_SHARE=1)
    assert not targets.any()


def test_a_person_cut_out_stands_on_another_surface(
    views: Callable[..., tuple[UInt8Array, UInt8Array]], streets: list[StreetPhoto]
) -> None:
    seen, targets = views(streets[:1], STREET_SHARE=1, CUT_OUT={"street": 1, "phone": 0}, ALONE=0, AROUND_ONE=0)
    assert np.mean([near(view, (30, 40, 200)).mean() for view in seen]) < 0.05  # of the street's blue nothing is left
    assert np.mean([near(view, RED)[target == GARMENT].mean() for view, target in zip(seen, targets, strict=True)]) > 0.7
    assert any(near(view, (190, 190, 190)).mean() > 0.1 for view in seen)  # the person


def test_a_garment_cut_out_may_stand_alone(
    views: Callable[..., tuple[UInt8Array, UInt8Array]], streets: list[StreetPhoto], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "background", lambda size, photos, rng: np.full((size, size, 3), 255, np.uint8))
    seen, targets = views(streets[:1], STREET_SHARE=1, CUT_OUT={"street": 1, "phone": 0}, ALONE=1, AROUND_ONE=1)
    for view, target in zip(seen, targets, strict=True):
        assert near(view, RED).mean() < 0.01 or near(view, GREEN).mean() < 0.01
        assert np.mean((target == GARMENT) != (view.min(axis=-1) < 128)) < 0.03


@pytest.mark.parametrize("cut_out", [0, 1])
def test_phone_photos_keep_their_masks(views: Callable[..., tuple[UInt8Array, UInt8Array]], cut_out: float) -> None:
    seen, targets = views(STREET_SHARE=0, CUT_OUT={"street": 0, "phone": cut_out})
    for view, target in zip(seen, targets, strict=True):
        known = target != UNKNOWN
        assert np.mean(near(view, RED)[target == GARMENT]) > 0.97
        if not cut_out:
            assert np.mean((near(view, RED) != (target == GARMENT))[known]) < 0.02
        assert 0.1 < np.mean(target == GARMENT) < 0.8


# The network


def test_the_network_draws_half_as_large_as_it_sees() -> None:
    model = network()
    assert model.count_params() == 755_105
    assert model.output_shape == (None, 80, 80, 1)
    assert {"decode_10", "decode_20", "decode_40", "decode_80", "refine_40"} <= {layer.name for layer in model.layers}


def test_fit(
    phones: list[PhonePhoto],
    streets: list[StreetPhoto],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poured: list[tuple[keras.Model, Variant]] = []
    monkeypatch.setattr(segmentation, "load_imagenet_weights", lambda *arguments: poured.append(arguments))
    fit(TINY, phones, streets, tmp_path, command="the command")
    config = load_config(tmp_path)
    assert config["recipe"] == {
        "epochs": 1,
        "batches": 2,
        "batch_size": 2,
        "learning_rate": 0.002,
        "weight_decay": 0.0001,
        "frozen_blocks": 3,
        "seed": 0,
    }
    assert config["data"] == {"phone photos": 2, "street photos": 2}
    assert config["command"] == "the command"
    (row,) = load_history(tmp_path)
    assert 0.3 < row["loss"] < 3  # log 2 and something of Dice's one

    ((trained, variant),) = poured
    assert variant is LITE0
    stored = network()
    stored.load_weights(tmp_path / WEIGHTS)
    for a, b in zip(stored.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    keras.utils.set_random_seed(TINY.seed)
    fresh = network()
    for name, learns in (("stem", False), ("block2_depthwise", False), ("block3_depthwise", True), ("logits", True)):
        same = np.array_equal(fresh.get_layer(name).get_weights()[0], stored.get_layer(name).get_weights()[0])
        assert same is not learns
    mask = Segmenter(tmp_path / SEGMENTATION_MODEL)(phones[0].photo)
    assert mask.shape == (160, 120)

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    capsys.readouterr()
    fit(TINY, phones, streets, tmp_path)
    assert capsys.readouterr().out == f"{tmp_path} is finished already.\n"
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(replace(TINY, epochs=2), phones, streets, tmp_path)
    with pytest.raises(ValueError, match="holds a run of another data"):
        fit(TINY, phones[:1], streets, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before

    (tmp_path / SEGMENTATION_MODEL).unlink()  # as if interrupted between the two files
    fit(TINY, phones, streets, tmp_path)
    np.testing.assert_array_equal(Segmenter(tmp_path / SEGMENTATION_MODEL)(phones[0].photo), mask)


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("images", "photos", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos.csv").write_text("image,sender_id,label,kids\na,181,Shirt,False\nb,95,Shirt,False\n")
    (tmp_path / "labels.json").write_text(json.dumps(NAMES))
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.full((20, 30, 3), 90, np.uint8))
    for number in range(0, 100, 10):
        cv2.imwrite(str(tmp_path / "photos" / f"{number:04}.jpg"), np.full((20, 30, 3), 90, np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / f"{number:04}.png"), np.zeros((20, 30), np.uint8))
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(segmentation, "fit", lambda *arguments, command: calls.append((*arguments, command)))
    monkeypatch.setattr(
        "sys.argv",
        ["segmentation", "--run", "there", "--photos", str(tmp_path), "--street", str(tmp_path), "--epochs", "2"],
    )
    segmentation.main()
    ((recipe, phones, streets, run, command),) = calls
    assert recipe == Recipe(epochs=2)
    assert [phone.name for phone in phones] == ["a"]  # of a training sender
    assert 0 < len(streets) < 10
    assert streets[0].names == NAMES
    assert run == Path("there")
    assert command == "python -m train.segmentation --run RUN --photos PHOTOS --street STREET --epochs 2"
