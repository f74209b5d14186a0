from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fashion_classifier import LABELS, Prediction, canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, Bundle
from fashion_classifier.monitoring import NONE_OF_THE_TEN, Journal
from fashion_classifier.segmentation import Segmenter
from tests.boxed_garments import BAG, BLUE, COAT, GRAY, GREEN, RED, SHIRT, TROUSER, filled
from tests.drawn_garments import photo, shirt
from train import photos
from train.networks.lineage import lineage_of_run
from train.networks.runs import WEIGHTS, load_config, load_history
from train.photos import (
    OUTLIERS,
    Batches,
    Recipe,
    Source,
    feedback_garments,
    fit,
    found_mask,
    miniature,
    network,
    phone_garment,
)
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.garments import TOPS, Garment, worn_garment
from train.pictures.outliers import FITTED
from train.pictures.phone import PhonePhoto
from train.pictures.photo_augmentation import Framing
from train.pictures.street import StreetGarment
from train.pictures.targets import SHOES, target

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]

STILL = Framing((1.0, 1.0), shift=0, rotation=0, aspect=1, quarter_turns=0)
TINY = Recipe(epochs=1, batches=2, batch_size=2)  # the first step has the rate zero
NOISE = Garment(
    np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8), np.full((80, 80), 255, np.uint8), None, None, target([])
)


def test_a_source_draws_by_its_share() -> None:
    garments = [SHIRT] * 16 + [TROUSER]
    rng = np.random.default_rng(0)
    # 16 and 1 to the power 1/2 are 4 and 1
    drawn = [Source(garments, 0.5).draw(rng) for _ in range(2_000)]
    assert np.mean([one is TROUSER for one in drawn]) == pytest.approx(1 / 5, abs=0.03)
    drawn = [Source(garments, 0.0).draw(rng) for _ in range(2_000)]
    assert np.mean([one is TROUSER for one in drawn]) == pytest.approx(1 / 2, abs=0.04)


class Half(Segmenter):
    """Finds the left half of every photo."""

    def __init__(self) -> None:
        pass

    def __call__(self, photo: UInt8Array) -> BoolArray:
        mask = np.zeros(photo.shape[:2], np.bool_)
        mask[:, : photo.shape[1] // 2] = True
        return mask


def test_garments_of_the_sources() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    phone = phone_garment(PhonePhoto("a", "1", "Blouse", picture), Half())
    assert phone.photo is picture
    assert phone.figure is None
    assert phone.skin is None
    np.testing.assert_array_equal(phone.mask, filled((40, 30), (0, 0, 20, 30), 255, 0))
    np.testing.assert_array_equal(phone.target, target(["Shirt"]))

    mask, figure = filled((40, 30), (5, 5, 10, 10), 1, 0) > 0, filled((40, 30), (0, 0, 30, 30), 1, 0) > 0
    skin = filled((40, 30), (18, 2, 11, 10), 1, 0) > 0  # 110 pixels
    picture[skin] = (180, 140, 120)
    shoes = StreetGarment("0007", "shoes", picture, mask, figure, skin, (5, 5, 10, 10), 1.0)
    street = worn_garment(shoes)
    assert street.skin is not None
    assert street.skin.tolist() == [180, 140, 120]
    assert (
        worn_garment(replace(shoes, skin=filled((40, 30), (18, 2, 3, 10), 1, 0) > 0)).skin is None
    )  # 30 pixels tell too little
    np.testing.assert_array_equal(street.mask, mask * 255)
    np.testing.assert_array_equal(street.figure, figure * 255)
    assert street.mask.dtype == np.uint8
    np.testing.assert_array_equal(street.target, target(SHOES))
    assert street.is_main
    assert not worn_garment(replace(shoes, share=0.5)).is_main


def test_corrected_photos_are_learnt_from_and_thumbnails_are_not(tmp_path: Path) -> None:
    def predicted(picture: UInt8Array) -> Prediction:
        image = canonicalize(picture, segment=Half())
        return Prediction(dict.fromkeys(LABELS, 0.1), 1.0, image, Bundle(DEFAULT_MODEL))

    drawn = photo(shirt(60, 80), RED, (170, 170, 160))
    journal = Journal(tmp_path)
    journal.correct("a", predicted(drawn), "Shirt", keep_picture=True)
    journal.correct("b", predicted(np.eye(28, dtype=np.uint8) * 200), "Bag", keep_picture=True)
    journal.correct("c", predicted(drawn), NONE_OF_THE_TEN, keep_picture=True)
    journal.correct("d", predicted(drawn), "Coat", keep_picture=False)
    found = feedback_garments(tmp_path, Half())
    assert [one.target.tolist() for one in found] == [target(["Shirt"]).tolist(), target([]).tolist()]
    for one in found:
        assert one.photo.shape == (80, 60, 3)
        np.testing.assert_array_equal(one.mask, filled((60, 80), (0, 0, 30, 80), 255, 0))


def test_a_miniature_is_cut_out_with_its_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "TONED", 0)
    thumbnail = filled((28, 28), (8, 4, 12, 20), 200, 0)
    thumbnail[12:15, 12:15] = 0  # white in the picture
    top = miniature(thumbnail, target(["Pullover"]), np.random.default_rng(0))
    # two pixels of border and seven of the picture to each; half a pixel of the edge is left out
    assert top.box == pytest.approx(((8 + 2) * 7, (4 + 2) * 7, 12 * 7, 20 * 7), abs=4)
    assert np.mean(top.mask > 0) * 224**2 == pytest.approx(top.box[2] * top.box[3], abs=100)  # round corners; the hole has 441
    assert (top.photo[60:80, 80:140] == 255 - 200).all()
    np.testing.assert_array_equal(top.target, target(["Pullover"]))


# Batches


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, thumbnails: Pictures) -> Callable[..., tuple[UInt8Array, Float32Array]]:
    """24 views, as uint8, and their targets: framed as they are, in their own colours, of one source."""

    def views(source: str, **values: Any) -> tuple[UInt8Array, Float32Array]:
        phones, streets = values.pop("phones", [SHIRT, TROUSER]), values.pop("streets", [COAT, BAG])
        for name in ("THUMBNAILS", "PHONES", "STREETS"):
            monkeypatch.setattr(photos, name, float(name == source))
        for name in ("recolour", "coarsen", "erase"):
            monkeypatch.setattr(photos, name, lambda view, rng, *coarse: view)
        monkeypatch.setattr(photos, "dye", lambda photo, mask, rng: photo)
        shares = (
            "SHOE_TURNS",
            "NEW_SURFACE",
            "DRESSED",
            "ON_WHITE",
            "ALONE",
            "FOUND_MASK",
            "CHANGED_MASK",
            "TONED",
            "IN_MINIATURE",
        )
        for name, value in {"FRAMING": STILL, "AROUND_GARMENT": 1, **dict.fromkeys(shares, 0), **values}.items():
            monkeypatch.setattr(photos, name, value)
        inputs, targets = Batches(phones, streets, thumbnails, replace(TINY, batch_size=24), Half())[0]
        return np.round((inputs + 1) * 127.5).astype(np.uint8), targets

    return views


ALL_COLOURS, NO_COLOURS = {"phone": 1.0, "street": 1.0}, {"phone": 0.0, "street": 0.0}


def share(view: UInt8Array, colour: tuple[int, int, int]) -> float:
    return float(np.mean(np.all(np.abs(view.astype(int) - colour) < 40, axis=-1)))


def test_tops_of_fashion_mnist_are_worn_in_coarse_views(
    make: Callable[..., tuple[UInt8Array, Float32Array]], monkeypatch: pytest.MonkeyPatch, thumbnails: Pictures
) -> None:
    _, plain = make("STREETS", streets=[COAT], DRESSED=1)
    np.testing.assert_array_equal(plain, np.stack([SHIRT.target] * 24))  # the only top of the phone photos
    given = []

    def coarsen(view: UInt8Array, rng: np.random.Generator, *coarse: Any) -> UInt8Array:
        given.append(coarse)
        return view

    monkeypatch.setattr(photos, "coarsen", coarsen)
    monkeypatch.setattr(photos, "IN_MINIATURE", 1)
    targets = Batches([SHIRT, TROUSER], [COAT], thumbnails, replace(TINY, batch_size=24), Half())[0][1]
    assert given == [(1.0, (28, 60))] * 24
    worn = {LABELS[number] for number in targets.argmax(axis=1)}
    assert worn <= set(TOPS)
    assert len(worn) > 2


@pytest.mark.parametrize(("source", "worn"), [("PHONES", SHIRT), ("STREETS", COAT)])
def test_the_garment_of_a_photo_is_dyed(
    make: Callable[..., tuple[UInt8Array, Float32Array]],
    monkeypatch: pytest.MonkeyPatch,
    thumbnails: Pictures,
    source: str,
    worn: Garment,
) -> None:
    make(source, phones=[SHIRT], streets=[COAT])  # all else is left as it is
    given = []

    def dye(photo: UInt8Array, mask: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        given.append((photo, mask))
        return np.where(mask[..., np.newaxis] > 0, np.uint8(250), photo).astype(np.uint8)

    monkeypatch.setattr(photos, "dye", dye)
    inputs, _ = Batches([SHIRT], [COAT], thumbnails, replace(TINY, batch_size=8), Half())[0]
    assert all(photo is worn.photo and mask is worn.mask for photo, mask in given)
    assert len(given) == 8
    assert all(share(view, (250, 250, 250)) > 0.3 for view in np.round((inputs + 1) * 127.5).astype(np.uint8))


def test_batches_have_what_the_network_takes(thumbnails: Pictures) -> None:
    batches = Batches([SHIRT, TROUSER], [COAT, BAG], thumbnails, replace(TINY, batches=3, batch_size=60), Half())
    assert len(batches) == 3
    seen: set[tuple[float, ...]] = set()
    for i in range(3):
        inputs, targets = batches[i]
        assert inputs.shape == (60, 224, 224, 3)
        assert inputs.dtype == targets.dtype == np.float32
        assert -1 <= inputs.min() < -0.5 < 0.5 < inputs.max() <= 1
        assert targets.shape == (60, 10)
        seen |= {tuple(row) for row in targets.tolist()}
    assert len(seen) > 5  # of all three sources
    assert all(sum(row) == 1 for row in seen)


def test_batches_repeat_themselves(thumbnails: Pictures) -> None:
    one, two = (Batches([SHIRT], [COAT], thumbnails, TINY, Half()) for _ in range(2))
    one.start(3)
    two.start(1)
    two.start(3)
    for a, b in zip(one[0], two[0], strict=True):
        np.testing.assert_array_equal(a, b)
    others = (
        one[1],
        Batches([SHIRT], [COAT], thumbnails, replace(TINY, seed=1), Half())[0],
        Batches([SHIRT], [COAT], thumbnails, TINY, Half())[0],
    )
    assert all((other[0] != one[0][0]).any() for other in others)


def test_the_square_around_a_phone_photos_garment(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    seen, targets = make("PHONES", UNFADED=ALL_COLOURS)
    found = {label: [view for view, row in zip(seen, targets, strict=True) if row[LABELS.index(label)]] for label in LABELS}
    assert len(found["Shirt"]) + len(found["Trouser"]) == 24
    for label, red in (("Shirt", 100 / 120), ("Trouser", 60 / 200)):  # of the square of the longer side
        assert found[label]
        for view in found[label]:
            assert share(view, RED) == pytest.approx(red, abs=0.02)
            assert share(view, RED) + share(view, BLUE) > 0.97


def test_a_phone_view_may_show_the_whole_photo(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    seen, targets = make("PHONES", UNFADED=ALL_COLOURS, AROUND_GARMENT=0)
    for view, row in zip(seen, targets, strict=True):
        area = 120 * 100 if row[LABELS.index("Shirt")] else 60 * 200
        assert share(view, RED) == pytest.approx(area / 240**2, abs=0.01)


def test_surroundings_are_faded_and_the_garment_is_not(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    for source, colour in (("PHONES", RED), ("STREETS", GREEN)):
        plain, _ = make(source, UNFADED=NO_COLOURS, FADING=(0.0, 0.0))
        faded, _ = make(source, UNFADED=NO_COLOURS, FADING=(1.0, 1.0))
        half, _ = make(source, UNFADED=NO_COLOURS, FADING=(0.5, 0.5))
        for before, white, lighter in zip(plain, faded, half, strict=True):
            assert share(white, colour) == pytest.approx(share(before, colour), abs=0.02)
            assert share(white, colour) + share(white, (255, 255, 255)) > 0.95
            assert share(lighter, BLUE) < 0.01
        assert any(share(view, (142, 147, 227)) > 0.1 for view in half)  # halfway from blue to white


def test_a_person_may_be_cut_out_on_white(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    for on_white in (0, 1):
        seen, _ = make("STREETS", UNFADED=ALL_COLOURS, ON_WHITE=on_white)
        for view in seen:
            assert share(view, GREEN) > 0.4
            assert share(view, GRAY) > 0.1
            assert (share(view, BLUE) < 0.02) == bool(on_white)
            assert (share(view, (245, 245, 245)) > 0.05) == bool(on_white)


def test_shoes_lie_in_any_direction(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    tall = replace(TROUSER, target=target(["Sandal"]))
    for phones, turned in (([TROUSER, SHIRT], False), ([tall, SHIRT], True)):
        seen, targets = make("PHONES", UNFADED=ALL_COLOURS, SHOE_TURNS=1, phones=phones)
        # 60 of 200 pixels wide in the middle row, unless it lies down
        widths = [int(np.sum(np.all(np.abs(view[112].astype(int) - RED) < 40, axis=-1))) for view in seen]
        tops = [width for width, row in zip(widths, targets, strict=True) if row[LABELS.index("Shirt")]]
        others = [width for width, row in zip(widths, targets, strict=True) if not row[LABELS.index("Shirt")]]
        assert set(np.round(tops, -1)) == {220}
        assert set(np.round(others, -1)) == ({70, 220} if turned else {70})


@pytest.mark.parametrize("label", LABELS)
def test_only_bags_and_shoes_are_sold_alone(label: str) -> None:
    assert replace(BAG, target=target([label])).is_sold_alone is (label in {"Bag", *SHOES})


def test_shoes_of_any_kind_are_sold_alone_and_what_is_none_of_the_ten_is_not() -> None:
    assert replace(BAG, target=target(SHOES)).is_sold_alone
    assert not replace(BAG, target=target([])).is_sold_alone


def test_a_carried_bag_may_be_cut_out_of_its_carrier(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    # neither its found half, nor on white, as whoever carries it may be
    seen, targets = make("STREETS", UNFADED=ALL_COLOURS, ALONE=1, ON_WHITE=1, FOUND_MASK=1, CROP_MARGIN=(0, 0))
    bags = targets[:, LABELS.index("Bag")] > 0
    assert 0 < bags.sum() < len(bags)
    for view, is_bag in zip(seen, bags, strict=True):
        assert share(view, GREEN) > 0.45  # of the bag 30 of 60 pixels
        assert is_bag or share(view, GRAY) > 0.05
    assert np.mean([share(view, GRAY) for view in seen[bags]]) < 0.1  # more than a quarter, were the carrier there
    surfaces = {tuple(view[80, 10] // 32) for view, is_bag in zip(seen, bags, strict=True) if is_bag}
    assert len(surfaces) > 2


def test_a_phone_photos_garment_may_lie_on_another_surface(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    seen, _ = make("PHONES", UNFADED=ALL_COLOURS, NEW_SURFACE=1)
    assert all(share(view, RED) > 0.25 for view in seen)
    assert np.mean([share(view, BLUE) for view in seen]) < 0.2


def test_worn_tops_that_show_are_covered_and_bags_are_not(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    hidden = replace(COAT, is_main=False)
    seen, targets = make("STREETS", UNFADED=ALL_COLOURS, DRESSED=1, streets=[COAT, hidden, BAG])
    labels = {LABELS[row.argmax()] for row in targets}
    assert labels == {"Shirt", "Coat", "Bag"}  # of the phone photos only the shirt is a top
    for view, row in zip(seen, targets, strict=True):
        covered = bool(row[LABELS.index("Shirt")])
        assert (share(view, RED) > 0.4) is covered
        assert (share(view, GREEN) > 0.4) is not covered


def test_the_found_mask_counts_where_it_is_the_garments() -> None:
    true = filled((200, 240), (100, 60, 40, 80), 255, 0)
    cropped: list[tuple[int, ...]] = []

    def finding(*box: int) -> Callable[[UInt8Array], BoolArray]:
        def segment(photo: UInt8Array) -> BoolArray:
            cropped.append(photo.shape)
            return filled(photo.shape[1::-1], box, 1, 0) > 0  # type: ignore[arg-type]

        return segment

    picture = np.zeros((240, 200, 3), np.uint8)
    # a tenth of 80 on every side: the crop begins at (92, 52); three quarters of the garment are half of it or more
    found = found_mask(picture, true, 0.1, finding(8, 8, 40, 60))
    np.testing.assert_array_equal(found, filled((200, 240), (100, 60, 40, 60), 255, 0))
    assert found.dtype == np.uint8
    assert found_mask(picture, true, 0.1, finding(8, 8, 40, 39)) is true  # less than half
    assert found_mask(picture, true, 0.1, finding(0, 0, 8, 96)) is true  # beside it
    assert set(cropped) == {(96, 56, 3)}


def test_the_surroundings_of_a_found_garment_are_faded(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    found, targets = make("STREETS", UNFADED=NO_COLOURS, FADING=(1.0, 1.0), FOUND_MASK=1, CROP_MARGIN=(0, 0))
    for view, row in zip(found, targets, strict=True):  # the left half of the garment, whose height fills the view
        half = 40 / 120 if row[LABELS.index("Coat")] else 15 / 60
        assert share(view, GREEN) == pytest.approx(half, abs=0.02)
        assert share(view, GREEN) + share(view, (255, 255, 255)) > 0.95


def test_a_garment_of_which_little_shows_is_never_seen_in_all_its_surroundings(
    make: Callable[..., tuple[UInt8Array, Float32Array]],
) -> None:
    for is_main in (True, False):
        seen, _ = make("STREETS", UNFADED=ALL_COLOURS, FADING=(1.0, 1.0), streets=[replace(COAT, is_main=is_main)])
        white = {share(view, (255, 255, 255)) > 0.1 for view in seen}
        assert white == {not is_main}


def test_masks_may_be_wrong_by_some_pixels(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    for changed in (0, 1):
        seen, targets = make("PHONES", UNFADED=NO_COLOURS, FADING=(1.0, 1.0), CHANGED_MASK=changed)
        areas = [100 / 120 if row[LABELS.index("Shirt")] else 60 / 200 for row in targets]
        too_large = sum(share(view, BLUE) > 0.003 for view in seen)  # some blue is not faded
        too_small = sum(share(view, RED) < 0.975 * area for view, area in zip(seen, areas, strict=True))
        assert (too_large > 0) == (too_small > 0) == bool(changed)
        assert too_large + too_small == (24 if changed else 0)


def test_thumbnails_are_shown_dark_on_white(make: Callable[..., tuple[UInt8Array, Float32Array]], thumbnails: Pictures) -> None:
    seen, targets = make("THUMBNAILS")
    assert len(np.unique(targets.argmax(axis=1))) > 4
    shown = [cv2.resize(~view[14:210, 14:210, 0], (28, 28), interpolation=cv2.INTER_AREA).astype(float) for view in seen]
    for view, small, row in zip(seen, shown, targets, strict=True):
        assert (view[..., 0] == view[..., 1]).all()
        assert view[:8].min() > 240
        # the most similar thumbnail, or mirror image of one, is the one whose target it has: 28 of 32 pixels, 7 to each
        distances = [np.abs(small - look).mean() for image in thumbnails.images for look in (image, image[:, ::-1])]
        nearest = int(np.argmin(distances)) // 2
        assert min(distances) < 8
        np.testing.assert_array_equal(row, thumbnails.targets[nearest])


def test_thumbnails_may_have_a_colour(make: Callable[..., tuple[UInt8Array, Float32Array]]) -> None:
    seen, _ = make("THUMBNAILS", TONED=1)
    darkest = np.array([view.reshape(-1, 3).min(axis=0) for view in seen])
    assert darkest.max() > 40
    assert np.ptp(darkest, axis=1).max() > 30
    assert all(view[:8].min() > 230 for view in seen)


# The network


@pytest.mark.parametrize(("look", "name", "features"), [("plain", "lite0", 3_413_024), ("faded", "lite1", 4_189_344)])
def test_the_networks_have_ten_outputs(look: str, name: str, features: int) -> None:
    model = network(look)
    assert model.name == f"efficientnet-{name}"
    assert model.count_params() == features + 1280 * 10 + 10
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 10)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.3]
    assert [layer.rate for layer in network(look, dropout=0.5).layers if isinstance(layer, keras.layers.Dropout)] == [0.5]


@pytest.fixture(scope="module")
def run(thumbnails: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, from random weights in place of ImageNet's."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "load_imagenet_weights", lambda model, variant: None)
        fit(TINY, [SHIRT, TROUSER], [COAT], [NOISE], thumbnails, Half(), folder, command="the command")
    return folder


def test_a_run_leaves_its_folder(run: Path) -> None:
    config = load_config(run)
    assert config["recipe"]["batches"] == 2
    assert config["data"] == {
        "phone photos": 2,
        "street garments": 1,
        "without a garment": 1,
        "fashion-mnist": 200,
    }
    assert (config["command"], config["parents"], config["ancestors"]) == ("the command", [], {})
    (row,) = load_history(run)
    assert row["loss"] == pytest.approx(np.log(10), abs=1)
    keras.utils.set_random_seed(TINY.seed)
    fresh, stored = network(), network()
    stored.load_weights(run / WEIGHTS)
    for name, learns in (("stem", False), ("block2_project", False), ("block3_project", True), ("logits", True)):
        same = np.array_equal(fresh.get_layer(name).get_weights()[0], stored.get_layer(name).get_weights()[0])
        assert same is not learns


def test_a_finished_run_is_left_alone(run: Path, thumbnails: Pictures, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    fit(TINY, [SHIRT, TROUSER], [COAT], [NOISE], thumbnails, Half(), run)
    assert capsys.readouterr().out == f"{run} is finished already.\n"
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(replace(TINY, dropout=0.0), [SHIRT, TROUSER], [COAT], [NOISE], thumbnails, Half(), run)
    with pytest.raises(ValueError, match="holds a run of another data"):
        fit(TINY, [SHIRT], [COAT], [NOISE], thumbnails, Half(), run)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_run_can_start_from_another(run: Path, thumbnails: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[keras.Model] = []
    monkeypatch.setattr(photos, "finish", lambda folder, model, batches, epochs: started.append(model))
    fit(TINY, [SHIRT], [COAT], [NOISE], thumbnails, Half(), tmp_path, initial=run)
    former = lineage_of_run(run)
    config = load_config(tmp_path)
    assert (config["parents"], config["ancestors"]) == ([{"run": former.key, "share": 1.0}], former.runs)
    stored = network()
    stored.load_weights(run / WEIGHTS)
    for a, b in zip(started[0].get_weights(), stored.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_command_line(tmp_path: Path, thumbnails: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("images", "photos", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos.csv").write_text("image,sender_id,label,kids\na,181,Shirt,False\nb,95,Shirt,False\nc,181,Shoes,False\n")
    (tmp_path / "labels.json").write_text('["null", "skin", "dress"]')
    for name in ("a", "b", "c"):
        Image.fromarray(photo(shirt(60, 80), RED, (170, 170, 160))).save(tmp_path / "images" / f"{name}.jpg")
    for number in range(0, 200, 10):
        Image.fromarray(COAT.photo).save(tmp_path / "photos" / f"{number:04}.jpg")
        Image.fromarray(COAT.mask // 255 * 2).save(tmp_path / "masks" / f"{number:04}.png")
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(photos, "fit", lambda *arguments, **options: calls.append((arguments, options)))
    monkeypatch.setattr(photos, "load_fashion_mnist", lambda folder: FashionMNIST(thumbnails, thumbnails, thumbnails))
    options = ["--run", "there", "--segmentation", str(DEFAULT_MODEL), "--photos", str(tmp_path), "--street", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["photos", *options, "--look", "faded", "--learning-rate", "0.001"])
    photos.main()
    (((recipe, phones, streets, others, of_thumbnails, segment, run), named),) = calls
    assert isinstance(segment, Segmenter)
    assert recipe == Recipe(look="faded", learning_rate=0.001)
    assert [one.target.tolist() for one in phones] == [target(["Shirt"]).tolist(), target(SHOES).tolist()]
    assert len(others) == OUTLIERS * len(FITTED)
    assert not any(one.target.any() or one.is_top for one in others)
    assert np.mean(phones[0].mask > 0) == pytest.approx(shirt(60, 80).mean(), abs=0.1)
    assert 0 < len(streets) < 20
    assert all(one.target.tolist() == target(["Dress"]).tolist() for one in streets)
    assert of_thumbnails is thumbnails
    assert run == Path("there")
    command = (
        "python -m train.photos --run RUN --segmentation SEGMENTATION --photos PHOTOS --street STREET --look faded "
        "--learning-rate 0.001"
    )
    assert named == {"initial": None, "command": command}
    monkeypatch.setattr("sys.argv", ["photos", *options, "--refit"])
    photos.main()
    (_, (again, named)) = calls
    assert len(again[2]) > len(streets)  # those of validation too
    assert len(again[1]) == len(phones)
    assert named["command"].endswith(" --refit")
