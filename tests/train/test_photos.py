import gc
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier import LABELS, Prediction, canonicalize
from fashion_classifier.bundle import DEFAULT_MODEL, SEGMENTATION_MODEL, Bundle
from fashion_classifier.monitoring import NONE_OF_THE_TEN, Journal
from tests.boxed_garments import BAG, BLUE, COAT, GRAY, GREEN, RED, SHIRT, STILL, TROUSER, UNCHANGED, filled
from tests.drawn_garments import photo, shirt
from tests.stand_ins import Finding, dark, left_half
from tests.tiny_folders import write_folders
from train import photos
from train.networks import photo_training
from train.networks.average import average
from train.networks.efficientnet import LITE1, Variant
from train.networks.lineage import lineage_of, lineage_of_run
from train.networks.photo_training import (
    Batches,
    Folders,
    Source,
    enlarged,
    feedback_garments,
    fit,
    garments_of,
    network,
    outlier_garments,
)
from train.networks.recipes import SOURCES, PhotoRecipe, Views
from train.networks.runs import CONFIG, WEIGHTS, load_config, load_history, load_weights
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.garments import Garment
from train.pictures.outliers import FITTED
from train.pictures.photo_augmentation import Changes, Framing
from train.pictures.targets import target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Garments = dict[str, Sequence[Garment]]  # by source

QUIET = PhotoRecipe(batch_size=24, side=100, changes=UNCHANGED, changed_mask=0, unmasked=0)
WHITE = (255, 255, 255)
NOISE = Garment(
    np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8), np.full((80, 80), 255, np.uint8), None, target([])
)


def test_a_source_draws_by_its_balance() -> None:
    garments = [SHIRT] * 16 + [TROUSER]
    rng = np.random.default_rng(0)
    # 16 and 1 to the power 1/2 are 4 and 1
    drawn = [Source(garments, 0.5).draw(rng) for _ in range(2_000)]
    assert np.mean([one is TROUSER for one in drawn]) == pytest.approx(1 / 5, abs=0.03)
    drawn = [Source(garments, 0.0).draw(rng) for _ in range(2_000)]
    assert np.mean([one is TROUSER for one in drawn]) == pytest.approx(1 / 2, abs=0.04)


# Batches


def views_of(
    garments: Sequence[Garment], recipe: PhotoRecipe = QUIET, framing: Framing = STILL, **shown: float
) -> tuple[UInt8Array, UInt8Array, Float32Array]:
    """A batch of one source, framed and coloured as the garments are: pictures, masks and targets."""
    views = replace(Views(1.0, 1.0, framing), **shown)  # type: ignore[arg-type]
    inputs, targets = Batches({"any": garments}, replace(recipe, sources={"any": views}))[0]
    seen = np.round((inputs + 1) * 127.5).astype(np.uint8)
    return seen[..., :3], seen[..., 3], targets


def near(view: UInt8Array, colour: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all(np.abs(view.astype(int) - colour) < 60, axis=-1))


def share(view: UInt8Array, colour: tuple[int, int, int]) -> float:
    return float(near(view, colour).mean())


def test_batches_have_what_the_network_takes() -> None:
    garments: Garments = {"phone": [SHIRT, TROUSER], "street": [COAT, BAG], "outliers": [NOISE]}
    sources = {name: replace(SOURCES[name], share=1.0) for name in garments}
    batches = Batches(garments, PhotoRecipe(batches=3, batch_size=20, side=64, sources=sources))
    assert len(batches) == 3
    seen: set[tuple[float, ...]] = set()
    for i in range(3):
        inputs, targets = batches[i]
        assert inputs.shape == (20, 64, 64, 4)
        assert inputs.dtype == targets.dtype == np.float32
        assert -1 <= inputs.min() < -0.5 < 0.5 < inputs.max() <= 1
        assert targets.shape == (20, 10)
        seen |= {tuple(row) for row in targets.tolist()}
    assert seen == {tuple(one.target.tolist()) for given in garments.values() for one in given}


def test_batches_depend_on_seed_epoch_and_index_alone() -> None:
    recipe = PhotoRecipe(batch_size=2, side=64)
    one, two = (Batches({"phone": [SHIRT], "street": [COAT]}, recipe) for _ in range(2))
    one.start(3)
    two.start(1)
    two[1]
    two.start(3)
    for a, b in zip(one[0], two[0], strict=True):
        np.testing.assert_array_equal(a, b)
    others = (
        one[1],
        Batches({"phone": [SHIRT], "street": [COAT]}, replace(recipe, seed=1))[0],
        Batches({"phone": [SHIRT], "street": [COAT]}, recipe)[0],
    )
    assert all((other[0] != one[0][0]).any() for other in others)


def test_missing_sources_hand_their_shares_on() -> None:
    sources = {"a": Views(0.2, 1.0), "b": Views(0.3, 1.0), "c": Views(0.5, 1.0)}
    recipe = replace(QUIET, batch_size=200, side=4, sources=sources)
    targets = Batches({"a": [SHIRT], "b": [COAT], "c": []}, recipe)[0][1]
    assert set(targets.argmax(axis=1)) == {LABELS.index("Shirt"), LABELS.index("Coat")}
    assert np.mean(targets[:, LABELS.index("Shirt")]) == pytest.approx(0.2 / 0.5, abs=0.1)


def test_the_square_around_a_garment_and_its_mask() -> None:
    seen, masks, targets = views_of([SHIRT, TROUSER])
    areas = {LABELS.index("Shirt"): 100 / 120, LABELS.index("Trouser"): 60 / 200}  # of the square of the longer side
    assert set(targets.argmax(axis=1)) == set(areas)
    for view, mask, row in zip(seen, masks, targets, strict=True):
        assert share(view, RED) == pytest.approx(areas[row.argmax()], abs=0.02)
        assert share(view, RED) + share(view, BLUE) > 0.97
        assert np.mean((mask > 127) != near(view, RED)) < 0.02


WILD = Framing((0.7, 1.6), shift=0.2, rotation=40, aspect=1.8, quarter_turns=0.5)


@pytest.mark.parametrize("around", [0, 1])
def test_the_mask_follows_the_garment(around: float) -> None:
    seen, masks, _ = views_of([SHIRT, TROUSER], framing=WILD, around=around)
    for view, mask in zip(seen, masks, strict=True):
        assert np.mean((mask > 127) != near(view, RED)) < 0.03
        assert 0.05 < np.mean(mask > 127) < 0.95


def test_a_view_may_show_the_whole_photo() -> None:
    seen, _, targets = views_of([SHIRT, TROUSER], around=0)
    for view, row in zip(seen, targets, strict=True):
        area = 120 * 100 if row[LABELS.index("Shirt")] else 60 * 200
        assert share(view, RED) == pytest.approx(area / 240**2, abs=0.01)


def test_where_nothing_was_found_the_whole_photo_is_shown() -> None:
    seen, masks, _ = views_of([replace(SHIRT, mask=np.zeros_like(SHIRT.mask))])
    assert not masks.any()
    for view in seen:
        assert share(view, RED) == pytest.approx(120 * 100 / 240**2, abs=0.01)


def test_changes_of_light_and_detail_leave_the_mask() -> None:
    changes = Changes(gray=1, relit=1, tinted=1, dyed=1, coarse=1, coarse_side=(20, 30), erased=1)
    plain, changed = views_of([TROUSER]), views_of([TROUSER], replace(QUIET, changes=changes))
    for view, mask in zip(changed[0], changed[1], strict=True):
        assert share(view, RED) < 0.25  # of three tenths
        assert any((mask == plain[1][i]).all() for i in range(24))  # one of two: as it is, or mirrored


def test_the_garment_alone_is_dyed() -> None:
    changes = replace(UNCHANGED, dyed=1, lightness=(0.95, 0.95), dye=(1.0, 1.0), relief=(1.0, 1.0))
    seen, masks, _ = views_of([SHIRT], replace(QUIET, changes=changes), around=0)
    cloth = (255, 242 - 60, 242 - 60)  # the mean is 80, the wanted one 242: red was 120 above it, the others 60 below
    for view, mask in zip(seen, masks, strict=True):
        assert near(view, cloth)[mask == 255].mean() > 0.95
        assert near(view, BLUE)[mask == 0].mean() > 0.95


def test_shoes_lie_in_any_direction() -> None:
    for sandal, turned in ((False, False), (True, True)):
        tall = replace(TROUSER, target=target(["Sandal"])) if sandal else TROUSER
        seen, _, targets = views_of([tall, SHIRT], shoe_turns=1)
        # 60 of 200 pixels wide in the middle row, unless it lies down
        widths = [int(near(view[50], RED).sum()) for view in seen]
        tops = [width for width, row in zip(widths, targets, strict=True) if row[LABELS.index("Shirt")]]
        others = [width for width, row in zip(widths, targets, strict=True) if not row[LABELS.index("Shirt")]]
        assert set(np.round(tops, -1)) == {100}
        assert set(np.round(others, -1)) == ({30, 100} if turned else {30})


def test_a_mask_may_say_nothing() -> None:
    seen, masks, _ = views_of([SHIRT], replace(QUIET, unmasked=1))
    assert (masks == 255).all()
    assert all(share(view, RED) == pytest.approx(100 / 120, abs=0.02) for view in seen)


def test_masks_may_be_wrong_by_some_pixels() -> None:
    _, true, _ = views_of([TROUSER], around=0)
    recipe = replace(QUIET, changed_mask=1, mask_change=(5, 6))  # two pixels on every side
    _, masks, _ = views_of([TROUSER], recipe, around=0)
    width, height = 60 / 2.4, 200 / 2.4
    areas = masks.mean(axis=(1, 2)) / 255 * 100**2
    assert true.mean() / 255 * 100**2 == pytest.approx(width * height, rel=0.01)
    larger, smaller = (width + 4) * (height + 4), (width - 4) * (height - 4)
    assert set(np.where(areas > width * height, larger, smaller)) == {larger, smaller}
    np.testing.assert_allclose(areas, np.where(areas > width * height, larger, smaller), rtol=0.03)


def test_pictures_may_be_as_if_they_had_been_small() -> None:
    checks = np.repeat((np.indices((240, 200)).sum(axis=0) % 2 * 255)[..., np.newaxis], 3, axis=2).astype(np.uint8)
    fine = replace(SHIRT, photo=checks, mask=filled((200, 240), (0, 0, 200, 240), 255, 0))
    recipe = replace(QUIET, side=240, batch_size=4)
    assert views_of([fine], recipe, shrunk=0)[0].std() > 100
    assert views_of([fine], recipe, shrunk=1)[0].std() < 20
    small = replace(fine, photo=checks[:60, :60], mask=fine.mask[:60, :60])  # smaller than any that it would be shrunk to
    assert views_of([small], recipe, shrunk=1)[0].std() == pytest.approx(views_of([small], recipe, shrunk=0)[0].std(), rel=0.05)


@pytest.fixture
def on_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_training, "background", lambda size, photos, rng: np.full((size, size, 3), 255, np.uint8))


@pytest.mark.usefixtures("on_white")
def test_a_figure_may_stand_on_another_surface() -> None:
    for new_surface in (0, 1):
        seen, _, _ = views_of([COAT], around=0, new_surface=new_surface)
        for view in seen:
            assert share(view, GREEN) == pytest.approx(80 * 120 / 240**2, abs=0.02)
            assert share(view, GRAY) > 0.05  # who wears it comes along
            assert share(view, WHITE if new_surface else BLUE) > 0.7
    seen, _, _ = views_of([SHIRT], around=0, new_surface=1)  # its figure is not known
    assert all(share(view, BLUE) > 0.7 for view in seen)


@pytest.mark.usefixtures("on_white")
def test_a_carried_bag_may_be_cut_out_of_its_carrier() -> None:
    seen, masks, targets = views_of([BAG, COAT], alone=1)
    bags = targets[:, LABELS.index("Bag")] > 0
    assert 0 < bags.sum() < len(bags)
    for view, mask, is_bag in zip(seen, masks, bags, strict=True):
        assert share(view, GREEN) == pytest.approx(np.mean(mask > 127), abs=0.05)  # soft edges
        if is_bag:
            assert share(view, GREEN) + share(view, WHITE) > 0.9
        else:
            assert share(view, GRAY) > 0.05
            assert share(view, WHITE) == 0


# What the sources give


def test_an_enlarged_image_is_dark_on_white_and_cut_out_with_its_holes() -> None:
    thumbnail = filled((28, 28), (8, 4, 12, 20), 200, 0)
    thumbnail[12:15, 12:15] = 0  # white in the picture
    top = enlarged(thumbnail, target(["Pullover"]), 0.0, np.random.default_rng(0))
    # two pixels of border and six of the picture to each; an edge is blurred over half a pixel or so
    assert top.photo.shape == (192, 192, 3)
    assert top.box == pytest.approx(((8 + 2) * 6, (4 + 2) * 6, 12 * 6, 20 * 6), abs=6)
    assert np.mean(top.mask > 0) * 192**2 == pytest.approx(top.box[2] * top.box[3], rel=0.04)  # the hole is 3 % of it
    assert top.figure is top.mask
    np.testing.assert_allclose(top.photo[48:72, 72:120], 255 - 200, atol=1)
    assert (top.photo[:24] == 255).all()
    np.testing.assert_array_equal(top.target, target(["Pullover"]))


def test_an_enlarged_image_may_have_a_colour() -> None:
    white = filled((28, 28), (8, 4, 12, 20), 255, 0)
    colours = [enlarged(white, target(["Bag"]), 1.0, np.random.default_rng(seed)).photo[100, 100] for seed in range(20)]
    assert max(np.ptp(colour) for colour in colours) > 30
    assert 40 < np.max(colours) <= 120
    gray = [enlarged(white, target(["Bag"]), 0.5, np.random.default_rng(seed)).photo[100, 100].max() == 0 for seed in range(60)]
    assert np.mean(gray) == pytest.approx(0.5, abs=0.2)


def test_corrected_photos_are_learnt_from_and_thumbnails_are_not(tmp_path: Path) -> None:
    def predicted(picture: UInt8Array) -> Prediction:
        image = canonicalize(picture, segment=Finding(left_half))
        return Prediction(dict.fromkeys(LABELS, 0.1), 1.0, image, Bundle(DEFAULT_MODEL))

    drawn = photo(shirt(60, 80), RED, (170, 170, 160))
    journal = Journal(tmp_path)
    journal.correct("a", predicted(drawn), "Shirt", keep_picture=True)
    journal.correct("b", predicted(np.eye(28, dtype=np.uint8) * 200), "Bag", keep_picture=True)
    journal.correct("c", predicted(drawn), NONE_OF_THE_TEN, keep_picture=True)
    journal.correct("d", predicted(drawn), "Coat", keep_picture=False)
    found = feedback_garments(tmp_path, Finding(lambda photo: np.ones(photo.shape[:2], np.bool_)))  # in the garment's box alone
    assert [one.target.tolist() for one in found] == [target(["Shirt"]).tolist(), target([]).tolist()]
    for one in found:
        assert one.photo.shape == (80, 60, 3)
        np.testing.assert_array_equal(one.mask, filled((60, 80), (0, 0, 30, 80), 255, 0))
        assert one.figure is one.mask


def test_what_is_no_garment_is_masked_as_such_pictures_will_be() -> None:
    found = outlier_garments(Finding(left_half), 2)
    assert len(found) == 2 * len(FITTED)
    for one in found:
        assert not one.target.any()
        assert one.figure is None
        np.testing.assert_array_equal(one.mask, filled((320, 320), (0, 0, 160, 320), 255, 0))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_folders(tmp_path_factory.mktemp("folders"))


ONE_OUTLIER = PhotoRecipe(outliers=1)


def named(garments: Sequence[Garment]) -> list[set[str]]:
    return [{label for label, accepted in zip(LABELS, one.target, strict=True) if accepted} for one in garments]


def test_garments_of_every_source(folders: dict[str, Path], thumbnails: Pictures) -> None:
    garments = garments_of(Folders(**folders), thumbnails, Finding(dark), ONE_OUTLIER)
    assert garments.keys() == SOURCES.keys()
    assert named(garments["phone"]) == [{"Shirt"}, set()]
    assert named(garments["shop"]) == [{"Bag"}, set()]
    assert named(garments["people"]) == [{"Coat"}]
    assert named(garments["people's crops"]) == [{"Ankle boot"}]
    assert named(garments["own"]) == [{"Sandal", "Sneaker"}, set()]
    assert named(garments["things"]) == [set()]
    assert named(garments["outliers"]) == [set()] * len(FITTED)
    assert {"Coat"} == set.union(*named(garments["street"]))
    assert len(garments["street"]) > 1  # its true mask, and what was found of it
    assert len(garments["fashion-mnist"]) == len(thumbnails)
    assert sorted(map(sorted, named(garments["fashion-mnist"]))) == sorted([group] for group in thumbnails.groups)
    figures = {name: [one.figure is not None for one in given] for name, given in garments.items()}
    assert {name for name, known in figures.items() if all(known)} == {"phone", "shop", "street", "own", "fashion-mnist"}
    assert not any(any(figures[name]) for name in ("people", "people's crops", "things", "outliers"))
    drawn = shirt(60, 80)
    assert np.mean((garments["phone"][0].mask > 0) != drawn) < 0.05


def test_sources_that_are_not_there_give_nothing(folders: dict[str, Path], thumbnails: Pictures, tmp_path: Path) -> None:
    few = thumbnails.take(np.arange(0, 200, 20))
    garments = garments_of(Folders(folders["photos"], folders["street"], feedback=tmp_path), few, Finding(dark), ONE_OUTLIER)
    there = {name: len(given) for name, given in garments.items() if given}
    assert there.keys() == {"phone", "street", "fashion-mnist", "outliers"}
    assert there["fashion-mnist"] == 10
    inputs, _ = Batches(garments, PhotoRecipe(batch_size=20, side=32))[0]
    assert inputs.shape == (20, 32, 32, 4)


# The network


def test_the_network_has_ten_outputs() -> None:
    model = network(dropout=0.3)
    assert model.name == PhotoRecipe.architecture == "efficientnet-lite1"
    guide = 3 * 3 * 24
    assert model.count_params() == 4_189_344 + guide + 1280 * 10 + 10
    assert model.input_shape == (None, 192, 192, 4)
    assert model.output_shape == (None, 10)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.3]


TINY = PhotoRecipe(epochs=2, batches=2, batch_size=2, side=32, outliers=1)
GARMENTS: Garments = {"phone": [SHIRT, TROUSER], "street": [COAT], "shop": [], "outliers": [NOISE]}


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """A network of few blocks, from random weights in place of ImageNet's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_training, "LITE1", Variant("efficientnet-lite1", (1, 2, 1, 1, 1, 1, 1)))
        patch.setattr(photo_training, "load_imagenet_weights", lambda model, variant: None)
        yield


@pytest.fixture(scope="module")
def run(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that was interrupted after its first epoch."""
    folder = tmp_path_factory.mktemp("run")
    start = Batches.start

    def interrupted(self: Batches, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt
        start(self, epoch)

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", ResourceWarning)  # the interrupted logger's open file
        patch.setattr(Batches, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(TINY, GARMENTS, folder, masks="abc", command="the command")
        gc.collect()
    assert not (folder / WEIGHTS).exists()
    fit(TINY, GARMENTS, folder, masks="abc", command="the command")
    return folder


def test_a_run_leaves_its_folder(run: Path) -> None:
    config = load_config(run)
    assert config["recipe"]["batches"] == 2
    assert config["recipe"]["form"] == "garment"
    assert config["recipe"]["sources"].keys() == SOURCES.keys()
    assert config["recipe"]["sources"]["street"]["framing"]["side"] == [0.9, 1.45]
    assert config["recipe"]["changes"]["dyed"] == 0.3
    assert config["data"] == {"phone": 2, "street": 1, "shop": 0, "outliers": 1}
    assert (config["command"], config["masks"], config["parents"]) == ("the command", "abc", [])
    first, second = load_history(run)
    assert (first["epoch"], second["epoch"]) == (0, 1)
    assert first["loss"] == pytest.approx(np.log(11), abs=1.5)  # ten and none


def test_what_is_frozen_stays(run: Path, small: None) -> None:
    stored = network(TINY.side)
    stored.load_weights(run / WEIGHTS)
    keras.utils.set_random_seed(TINY.seed)
    fresh = network(TINY.side, TINY.dropout)
    for names, learns in ((("stem", "block2_project"), False), (("guide", "block3_project", "logits"), True)):
        for name in names:
            same = np.array_equal(fresh.get_layer(name).get_weights()[0], stored.get_layer(name).get_weights()[0])
            assert same is not learns, name


def test_a_finished_run_is_left_alone(run: Path, small: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    fit(TINY, GARMENTS, run)
    assert capsys.readouterr().out == f"{run} is finished already.\n"
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(replace(TINY, dropout=0.0), GARMENTS, run)
    with pytest.raises(ValueError, match="holds a run of another data"):
        fit(TINY, GARMENTS | {"shop": [BAG]}, run)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_run_may_start_from_another(run: Path, small: None, tmp_path: Path) -> None:
    resting = replace(TINY, epochs=1, batches=1, learning_rate=0.0)
    fit(resting, GARMENTS, tmp_path / "continued", initial=run)
    stored, continued = network(TINY.side), network(TINY.side)
    stored.load_weights(run / WEIGHTS)
    continued.load_weights(tmp_path / "continued" / WEIGHTS)
    for one, other in zip(stored.get_weights(), continued.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    record = lineage_of_run(tmp_path / "continued")
    assert record.record["parents"] == [{"run": lineage_of_run(run).key, "share": 1.0}]
    assert lineage_of_run(run).key in record.runs
    with pytest.raises(ValueError, match="holds a run that started from another network"):
        fit(resting, GARMENTS, tmp_path / "continued")


def test_a_run_may_start_from_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_training, "LITE1", LITE1)  # not the small one of other tests
    started = network()
    load_weights(started, DEFAULT_MODEL, "photo")
    stored = keras.models.load_model(DEFAULT_MODEL / "photo.keras", compile=False)
    for one, other in zip(started.get_weights(), stored.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other.astype(np.float32))
    assert lineage_of(DEFAULT_MODEL, "photo").record["recipe"]["form"] == "garment"


def test_a_run_is_averaged_with_its_start(run: Path, small: None, tmp_path: Path) -> None:
    fit(replace(TINY, epochs=1), GARMENTS, tmp_path / "continued", initial=run)
    average(tmp_path / "averaged", tmp_path / "continued", run, 0.25)
    first, second, averaged = (network(TINY.side) for _ in range(3))
    for one, folder in ((first, run), (second, tmp_path / "continued"), (averaged, tmp_path / "averaged")):
        one.load_weights(folder / WEIGHTS)
    for one, other, mean in zip(*(model.get_weights() for model in (first, second, averaged)), strict=True):
        np.testing.assert_allclose(mean, 0.25 * one + 0.75 * other, atol=1e-6)
    assert [parent["share"] for parent in load_config(tmp_path / "averaged")["parents"]] == [0.75, 0.25]
    assert load_config(tmp_path / "averaged")["recipe"]["form"] == "garment"  # which an export asks for


def test_command_line(folders: dict[str, Path], thumbnails: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / CONFIG).write_text('{"recipe": {"seed": 7}, "parents": [], "ancestors": {}}')
    asked: dict[str, Any] = {}

    def garments_of(*arguments: Any) -> Garments:
        asked["garments"] = arguments
        return GARMENTS

    def fit(*arguments: Any, **options: Any) -> None:
        asked["fit"] = arguments, options

    segmenter = Finding(dark)
    monkeypatch.setattr(photo_training, "fit", fit)
    monkeypatch.setattr(photo_training, "garments_of", garments_of)
    monkeypatch.setattr("fashion_classifier.segmentation.Segmenter", {tmp_path / SEGMENTATION_MODEL: segmenter}.__getitem__)
    data = FashionMNIST(thumbnails, thumbnails, thumbnails)
    monkeypatch.setattr("train.pictures.fashion_mnist.load_fashion_mnist", lambda folder: data)
    options = [f"--{name}={folder}" for name, folder in folders.items()]
    command = ["photos", "--run", "there", f"--segmentation={tmp_path}", *options, "--initial", "first"]
    command += ["--epochs", "3", "--seed", "4", "--learning-rate", "0.001"]
    monkeypatch.setattr("sys.argv", command)
    photos.main()
    recipe = PhotoRecipe(epochs=3, learning_rate=1e-3, seed=4)
    assert asked["garments"] == (Folders(**folders), thumbnails, segmenter, recipe)
    typed = " ".join(f"--{name} {name.upper()}" for name in ("photos", "street", "shop", "people", "things", "pictures"))
    assert asked["fit"] == (
        (recipe, GARMENTS, Path("there")),
        {
            "initial": Path("first"),
            "masks": lineage_of_run(tmp_path).key,
            "command": f"python -m train.photos --run RUN --segmentation SEGMENTATION {typed} --initial INITIAL --epochs 3 "
            "--learning-rate 0.001 --seed 4",
        },
    )


def test_phone_and_street_photos_are_needed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["photos", "--run", "there"])
    with pytest.raises(SystemExit):
        photos.main()
    assert capsys.readouterr().err.endswith("required: --segmentation, --photos, --street\n")
