"""The embedded network on drawn and on real photos; what is done with a network's answer, by hand."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier import InvalidBundleError
from fashion_classifier.images import load_image, to_rgb
from fashion_classifier.segmentation import Segmenter, as_input, default_segmenter, hint
from tests.boxed_garments import grid
from tests.drawn_garments import COLOURS, overlap, person, photo, shirt
from train.pictures.grabcut import grabcut_mask

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Network = Callable[[Float32Array], Float32Array]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Network], Segmenter]:
    """A segmenter with a network that is a function."""

    def make(network: Network) -> Segmenter:
        class Answering:
            def __init__(self, path: Path, content: bytes | None, *, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
                self.shapes = inputs, outputs

            def run(self, inputs: Float32Array) -> Float32Array:
                outputs = network(inputs)
                assert (inputs.shape, outputs.shape) == self.shapes
                return outputs

        monkeypatch.setattr("fashion_classifier.segmentation.Network", Answering)
        return Segmenter(Path("network.tflite"))

    return make


def both(logits: Float32Array) -> Float32Array:
    """The answer of a network that calls the same cells, (80, 80), garment and meant."""
    return np.stack([logits, logits], axis=2)[np.newaxis]


def bright(inputs: Float32Array) -> Float32Array:
    """Logits that call garment what is light: 10 times the mean of four pixels in [-1, 1]."""
    return both(10 * inputs[0, ..., :3].reshape(80, 2, 80, 2, 3).mean(axis=(1, 3, 4)))


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((160, 160), slice(40, 120), slice(20, 60)),
        ((240, 320), slice(30, 210), slice(40, 180)),  # a cell is 3 rows, 4 columns
        ((80, 480), slice(7, 50), slice(60, 300)),  # 1 row, 6 columns
    ],
)
def test_a_mask_has_the_size_of_its_photo(
    answering: Callable[[Network], Segmenter], shape: tuple[int, int], rows: slice, columns: slice
) -> None:
    true = np.zeros(shape, np.bool_)
    true[rows, columns] = True
    found = answering(bright)(np.where(true[..., None], 255, 0).repeat(3, 2).astype(np.uint8))
    assert found.dtype == np.bool_
    assert found.shape == shape
    assert np.sum(found != true) <= 4  # its corners are where two edges blur


@pytest.mark.parametrize("shape", [(160, 2), (2, 160), (500, 2), (2, 2)])
def test_a_small_photo_is_enlarged_smoothly(answering: Callable[[Network], Segmenter], shape: tuple[int, int]) -> None:
    """A black half and a white one: the middles of their pixels are at a quarter and three quarters of 160."""
    seen = []

    def network(inputs: Float32Array) -> Float32Array:
        seen.append(inputs[0])
        return np.zeros((1, 80, 80, 2), np.float32)

    halves = np.zeros((*shape, 3), np.uint8)
    upright = shape[1] == 2
    halves[:, 1] = 255 if upright else 0
    if not upright:
        halves[1] = 255
    answering(network)(halves)
    ramp = np.clip((np.arange(160) + 0.5) / 80 - 0.5, 0, 1) * 2 - 1
    expected = np.broadcast_to(ramp if upright else ramp[:, np.newaxis], (160, 160))
    np.testing.assert_allclose(seen[0][..., :3], np.stack([expected] * 3, axis=2), atol=0.01)
    np.testing.assert_array_equal(seen[0][..., 3], np.full((160, 160), -1))  # no hint


@pytest.mark.parametrize(
    ("cells", "logit", "shape"),
    [
        (grid(), 9, (60, 50)),
        (grid((10, 10, 5, 5)), 9, (60, 50)),  # 25 of 6400 cells, less than 0.4 %
        (grid((0, 40, 80, 1)), 0.4, (20, 20)),  # probability 0.6, but in one row of four to a pixel
    ],
    ids=["nothing", "a speck", "a line"],
)
def test_where_nothing_is_found_the_mask_is_the_whole_photo(
    answering: Callable[[Network], Segmenter], cells: BoolArray, logit: float, shape: tuple[int, int]
) -> None:
    answer = both(np.where(cells, logit, -9).astype(np.float32))
    found = answering(lambda inputs: answer)(np.zeros((*shape, 3), np.uint8))
    assert found.shape == shape
    assert found.all()


# A point on the garment that is meant


def test_no_point_no_hint() -> None:
    found = hint(None)
    assert found.shape == (160, 160)
    assert found.dtype == np.uint8
    assert not found.any()


def test_a_hint_by_hand() -> None:
    found = hint((40.5 / 160, 100.5 / 160))  # the middle of a pixel
    assert found.shape == (160, 160)
    assert found.dtype == np.uint8
    assert found[100, 40] == 255
    assert np.count_nonzero(found == 255) == 1
    for distance, expected in ((4, 199), (8, 155), (16, 94), (32, 35)):  # 255 times exp(-1/4), exp(-1/2), exp(-1), exp(-2)
        assert found[100, [40 - distance, 40 + distance]].tolist() == [expected] * 2
        assert found[[100 - distance, 100 + distance], 40].tolist() == [expected] * 2
    assert found[103, 44] == round(255 * np.exp(-5 / 16))
    assert found[0, 159] == 0


@pytest.mark.parametrize("point", [(0, 1), (0.5, 0.5), (1, 0.3)])
def test_a_hint_may_be_anywhere(point: tuple[float, float]) -> None:
    row, column = np.unravel_index(hint(point).argmax(), (160, 160))
    assert (column, row) == pytest.approx((point[0] * 160 - 0.5, point[1] * 160 - 0.5), abs=0.51)


@pytest.mark.parametrize(
    ("shape", "at", "share"),
    [
        ((160, 160), (30, 120), (30.5 / 160, 120.5 / 160)),
        ((320, 640), (121.5, 240.5), (30.5 / 160, 120.5 / 160)),  # two rows and four columns to a pixel of the network's
        ((40, 80), (15, 30), (31 / 160, 122 / 160)),  # enlarged twice and four times
        ((2, 2), (0, 1), (1 / 4, 3 / 4)),
    ],
)
def test_a_point_is_scaled_as_its_photo(
    answering: Callable[[Network], Segmenter], shape: tuple[int, int], at: tuple[float, float], share: tuple[float, float]
) -> None:
    seen = []

    def network(inputs: Float32Array) -> Float32Array:
        seen.append((inputs[0, :, :, 3] + 1) * 127.5)
        return np.zeros((1, 80, 80, 2), np.float32)

    answering(network)(np.zeros((*shape, 3), np.uint8), at=at)
    np.testing.assert_allclose(seen[0], hint(share), atol=1e-3)


def test_the_hint_says_what_is_found(answering: Callable[[Network], Segmenter]) -> None:
    def pointed(inputs: Float32Array) -> Float32Array:
        """Logits that call garment what is near the point: where the hint is more than half of what it is there."""
        return both((20 * inputs[0, ::2, ::2, 3]).astype(np.float32))

    found = answering(pointed)(np.zeros((320, 320, 3), np.uint8), at=(200, 100))
    rows, columns = np.nonzero(found)
    assert (columns.mean(), rows.mean()) == pytest.approx((200, 100), abs=1.5)
    assert answering(pointed)(np.zeros((320, 320, 3), np.uint8)).all()


def test_what_is_pointed_at_is_looked_at_closer(answering: Callable[[Network], Segmenter]) -> None:
    seen = []

    def network(inputs: Float32Array) -> Float32Array:
        seen.append(inputs[0])
        cells = grid((40, 20, 20, 40)) if len(seen) == 1 else grid((0, 0, 40, 80))
        return both(np.where(cells, 9, -9).astype(np.float32))

    columns = np.arange(320, dtype=np.uint8).repeat(3).reshape(1, 320, 3).repeat(160, 0)
    found = answering(network)(columns, at=(200, 80))
    # first columns 160 to 239 and rows 40 to 119; then .15 x 80 = 12 more on all sides, of which the left half
    half = np.zeros((160, 320), np.bool_)
    half[28:132, 148:200] = True
    assert overlap(found, half) > 0.97
    assert (seen[1][80, [0, 159], 0] + 1) * 127.5 == pytest.approx([148, 251], abs=1)
    assert np.unravel_index(seen[1][..., 3].argmax(), (160, 160)) == (80, 80)  # (200 - 148 + 1/2) / 104, (80 - 28 + 1/2) / 104


# All garments


def by_colour(inputs: Float32Array) -> Float32Array:
    """Garments are what has a colour; meant is what has that at the point, red where there is none."""
    seen, hints = inputs[0, ..., :3], inputs[0, ..., 3]
    wanted = seen[np.unravel_index(hints.argmax(), hints.shape)] if hints.max() > 0.9 else (1, -1, -1)
    meant = np.abs(seen - wanted).max(axis=2) < 0.5
    garments = np.ptp(seen, axis=2) > 0.5
    return np.where(np.dstack([meant & garments, garments]), 9, -9)[np.newaxis, ::2, ::2].astype(np.float32)


COLOURED = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}


def dressed(**boxes: tuple[int, int, int, int]) -> tuple[npt.NDArray[np.uint8], dict[str, BoolArray]]:
    """A picture of 320x320 with boxes of a colour each, and their masks."""
    picture, masks = np.full((320, 320, 3), 128, np.uint8), {}
    for colour, (left, top, width, height) in boxes.items():
        masks[colour] = np.zeros((320, 320), np.bool_)
        masks[colour][top : top + height, left : left + width] = True
        picture[masks[colour]] = COLOURED[colour]
    return picture, masks


def test_the_other_garments(answering: Callable[[Network], Segmenter]) -> None:
    boxes = {"red": (100, 20, 120, 120), "green": (100, 160, 120, 140), "blue": (20, 60, 60, 60), "yellow": (300, 300, 8, 8)}
    picture, masks = dressed(**boxes)
    segment = answering(by_colour)
    main = segment(picture)
    assert overlap(main, masks["red"]) > 0.95
    whole, green, blue = segment.each(picture, main)  # the largest first; 64 pixels of 320 x 320 are not looked at
    assert whole is main
    assert overlap(green, masks["green"]) > 0.95
    assert overlap(blue, masks["blue"]) > 0.95


def test_one_garment_has_no_others(answering: Callable[[Network], Segmenter]) -> None:
    picture, masks = dressed(red=(100, 20, 120, 120))
    (found,) = answering(by_colour).each(picture, masks["red"])
    assert found is masks["red"]
    everything = np.ones((40, 30), np.bool_)
    (found,) = answering(by_colour).each(np.full((40, 30, 3), 77, np.uint8), everything)
    assert found is everything


def test_what_is_several_in_one_is_taken_apart(answering: Callable[[Network], Segmenter]) -> None:
    picture, masks = dressed(red=(100, 20, 120, 90), green=(100, 130, 120, 90), blue=(100, 240, 120, 70))
    found = answering(by_colour).each(picture, masks["red"] | masks["green"] | masks["blue"])
    assert len(found) == 3
    for mask in masks.values():
        assert max(overlap(one, mask) for one in found) > 0.95


def test_a_garment_in_two_places_is_found_once(answering: Callable[[Network], Segmenter]) -> None:
    picture, masks = dressed(red=(100, 20, 120, 120), green=(20, 200, 80, 80))
    picture[200:280, 220:300] = COLOURED["green"]  # both shoes
    _, shoes = answering(by_colour).each(picture, masks["red"])
    assert overlap(shoes, masks["green"] | np.flip(masks["green"], 1)) > 0.95


def test_the_search_ends_where_pointing_finds_nothing(answering: Callable[[Network], Segmenter]) -> None:
    asked = []

    def stubborn(inputs: Float32Array) -> Float32Array:
        asked.append(inputs)
        everywhere = np.full((80, 80), 9, np.float32)
        return np.stack([-everywhere, everywhere], axis=2)[np.newaxis]

    corner = grid((0, 0, 8, 8)).repeat(4, 0).repeat(4, 1)
    (found,) = answering(stubborn).each(np.zeros((320, 320, 3), np.uint8), corner)
    assert found is corner
    assert len(asked) == 3  # once in vain: what is looked at is not looked at again


def test_inputs_by_hand() -> None:
    inputs = as_input(np.array([[0, 51, 102, 255]], np.uint8))
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, [[-1, -0.6, -0.2, 1]], atol=1e-6)


def test_a_network_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidBundleError, match=r"needed are \[\(1, 160, 160, 4\), \(1, 80, 80, 2\)\]\."):
        Segmenter(Path(__file__).parent / "fixtures" / "four-to-three.tflite")


# The embedded network


@COLOURS
@pytest.mark.parametrize("noise", [0, 20], ids=["plain", "textured"])
@pytest.mark.parametrize(("width", "height"), [(240, 320), (1024, 768), (120, 120)])
def test_a_drawn_shirt(
    garment: tuple[int, int, int], background: tuple[int, int, int], noise: float, width: int, height: int
) -> None:
    true = shirt(width, height)
    found = default_segmenter()(photo(true, garment, background, noise))
    assert found.shape == (height, width)
    assert overlap(found, true) > 0.85


def test_a_pair_of_shoes_is_two_parts() -> None:
    shoes = np.zeros((120, 160), np.bool_)
    shoes[30:90, 25:65] = shoes[30:90, 95:135] = True
    found = default_segmenter()(photo(shoes, (160, 20, 20), (170, 170, 160), noise=5))
    assert overlap(found, shoes) > 0.8
    assert not found[:, 75:85].any()


def test_the_examples(example_labels: dict[Path, str]) -> None:
    """Photos of single garments that GrabCut, which learnt nothing, finds as well."""
    photos = {path.name: to_rgb(load_image(path)) for path in example_labels if path.suffix == ".jpg"}
    assert len(photos) == 10
    masks = {name: default_segmenter()(picture) for name, picture in photos.items()}
    assert {name: mask.shape for name, mask in masks.items()} == {name: picture.shape[:2] for name, picture in photos.items()}
    assert {name for name, mask in masks.items() if not 0.1 < mask.mean() < 0.8} == set()
    assert {name for name, mask in masks.items() if overlap(mask, grabcut_mask(photos[name])) < 0.7} == set()


def test_the_same_mask_every_time_and_from_every_thread(example_labels: dict[Path, str]) -> None:
    photos = [to_rgb(load_image(path)) for path in example_labels]
    before = [picture.copy() for picture in photos]
    segment = default_segmenter()
    alone = [segment(picture) for picture in photos]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(segment, photos * 3))
    for i, mask in enumerate(together):
        np.testing.assert_array_equal(mask, alone[i % len(photos)])
    for picture, original in zip(photos, before, strict=True):
        np.testing.assert_array_equal(picture, original)


def test_of_a_person_the_top_is_meant_or_what_is_pointed_at() -> None:
    picture, top, trousers = person()
    for at, meant, other in ((None, top, trousers), ((100, 110), top, trousers), ((84, 240), trousers, top)):
        found = default_segmenter()(picture, at=at)
        assert overlap(found, meant) > 0.5  # the legs are drawn apart
        assert overlap(found, other) < 0.3


@pytest.mark.parametrize("shape", [(2, 2), (2, 1000), (1000, 2), (3, 3), (5, 5), (28, 28), (1024, 3), (64, 64)])
@pytest.mark.parametrize("content", ["black", "gray", "white", "noise", "halves"])
def test_degenerate_photos(shape: tuple[int, int], content: str) -> None:
    level = {"black": 0, "gray": 128, "white": 255, "noise": 0, "halves": 40}[content]
    pictures = [np.full((*shape, 3), level, np.uint8)]
    if content == "noise":
        pictures = [np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8) for seed in range(5)]
    if content == "halves":
        pictures[0][:, shape[1] // 2 :] = 220
    for picture in pictures:
        for at in (None, (0, shape[0] - 1)):
            mask = default_segmenter()(picture, at=at)
            assert mask.dtype == np.bool_
            assert mask.shape == shape
            assert mask.any()
