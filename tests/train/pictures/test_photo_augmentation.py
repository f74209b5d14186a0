import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.boxed_garments import STILL, UNCHANGED
from train.pictures.photo_augmentation import Changes, Framing, background, coarsen, dye, erase, frame, put_on, recolour

UInt8Array = npt.NDArray[np.uint8]
Change = Callable[[UInt8Array, Changes, np.random.Generator], UInt8Array]

WILD = Framing((0.7, 1.4), shift=0.2, rotation=25, aspect=1.5, quarter_turns=0.5)


def noise(height: int, width: int) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def shot(
    photo: UInt8Array, box: tuple[int, int, int, int], size: int, framing: Framing, seed: int, *, square: bool = True
) -> UInt8Array:
    return frame([(photo, cv2.INTER_LINEAR)], box, size, framing, np.random.default_rng(seed), square=square)[0]


def test_a_still_view_is_the_crop_or_its_mirror_image() -> None:
    photo = noise(100, 120)
    crop = photo[10:74, 20:84]
    mirrored = []
    for seed in range(20):
        view = shot(photo, (20, 10, 64, 64), 64, STILL, seed)
        mirrored.append(bool((view == crop[:, ::-1]).all()))
        assert mirrored[-1] or (view == crop).all()
    assert 4 <= sum(mirrored) <= 16


def test_the_longer_side_decides_and_the_edge_repeats() -> None:
    photo = noise(40, 64)
    view = shot(photo, (0, 5, 64, 20), 64, STILL, 0)  # rows -17 to 47 around the middle of the box
    expected = np.pad(photo, ((17, 7), (0, 0), (0, 0)), mode="edge")
    assert any(np.array_equal(view, side) for side in (expected, expected[:, ::-1]))


def whereabouts(side: int) -> UInt8Array:
    """A photo that says of each of its pixels where it is: red its column, green its row."""
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    return np.dstack([across, down, down]).astype(np.uint8)


@pytest.mark.parametrize(
    ("box", "size", "square"), [((0, 0, 200, 200), 50, True), ((0, 50, 200, 100), 50, False), ((0, 0, 200, 200), 400, True)]
)
def test_a_still_view_of_another_size_is_a_resize(box: tuple[int, int, int, int], size: int, square: bool) -> None:
    left, top, width, height = box
    photo = whereabouts(200)
    expected = cv2.resize(
        photo[top : top + height, left : left + width],
        (size, size),
        interpolation=cv2.INTER_AREA if size < 200 else cv2.INTER_LINEAR,
    )
    for seed in range(5):
        view = shot(photo, box, size, STILL, seed, square=square)
        if view[0, 0, 0] > view[0, -1, 0]:
            view = view[:, ::-1]
        assert np.abs(view.astype(int) - expected).max() <= 200 / size / 2 + 1  # half a pixel of the view, and rounding


def test_a_strongly_shrunk_view_is_not_shifted() -> None:
    ramp = np.tile(np.linspace(0, 250, 400).round().astype(np.uint8), (400, 1))
    found = np.concatenate(
        [frame([(ramp, cv2.INTER_LINEAR)], (0, 0, 400, 400), 40, STILL, np.random.default_rng(seed))[0] for seed in range(6)]
    ).astype(int)
    columns = (np.arange(40) + 0.5) * 10 - 0.5  # in the photo, of the centres of the view's pixels
    expected = columns * 250 / 399  # a ramp stays a ramp; half of the views are mirrored
    distance = np.minimum(abs(found - expected).max(axis=1), abs(found - expected[::-1]).max(axis=1))
    assert distance.max() <= 1


def test_quarter_turns() -> None:
    photo = noise(32, 32)
    framing = Framing((1.0, 1.0), shift=0, rotation=0, aspect=1, quarter_turns=1)
    turned = {k: (np.rot90(photo, k), np.rot90(photo, k)[:, ::-1]) for k in (1, 2, 3)}
    seen = set()
    for seed in range(30):
        view = shot(photo, (0, 0, 32, 32), 32, framing, seed)
        seen |= {(k, i) for k, sides in turned.items() for i, side in enumerate(sides) if np.array_equal(view, side)}
    assert len(seen) == 6


def test_a_view_stays_within_its_framing() -> None:
    photo = whereabouts(250)
    framing = Framing((0.8, 1.2), shift=0.1, rotation=12, aspect=1.3, quarter_turns=0)
    sides, ratios, angles, shifts = [], [], [], []
    for seed in range(150):
        view = shot(photo, (61, 61, 128, 128), 64, framing, seed).astype(float)[..., :2]
        right, below = ((np.diff(view, axis=axis)).mean(axis=(0, 1)) * 64 for axis in (1, 0))
        sides.append(np.sqrt(np.linalg.norm(right) * np.linalg.norm(below)) / 128)
        ratios.append(np.linalg.norm(right) / np.linalg.norm(below))
        angles.append(np.degrees(np.arctan2(-below[0], below[1])))
        shifts.append((view.mean(axis=(0, 1)) - 124.5) / (np.linalg.norm(right), np.linalg.norm(below)))
    for found, low, high in ((sides, 0.8, 1.2), (ratios, 1 / 1.3, 1.3), (angles, -12, 12), (np.ravel(shifts), -0.1, 0.1)):
        tolerance = 0.02 * (high - low)
        assert low - tolerance <= np.min(found) < low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) < np.max(found) <= high + tolerance


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_NEAREST], ids=["linear", "nearest"])
@pytest.mark.parametrize("size", [48, 160])
def test_layers_stay_on_top_of_each_other(interpolation: int, size: int) -> None:
    mask = np.zeros((150, 200), np.uint8)
    cv2.ellipse(mask, (90, 80), (60, 35), 20, 0, 360, 255, -1)
    photo = np.where(mask[..., np.newaxis] > 0, (200, 220, 240), (20, 40, 60)).astype(np.uint8)
    for seed in range(20):
        layers = [(photo, cv2.INTER_LINEAR), (mask, interpolation)]
        view, seen = frame(layers, (30, 45, 120, 70), size, WILD, np.random.default_rng(seed))
        assert (view.shape, seen.shape) == ((size, size, 3), (size, size))
        assert view.dtype == seen.dtype == np.uint8
        assert np.mean((view[..., 0] > 110) != (seen > 127)) < 0.03
        assert 0.05 < np.mean(seen > 127) < 0.95
        if interpolation == cv2.INTER_NEAREST:
            assert set(np.unique(seen)) == {0, 255}


@pytest.mark.parametrize("change", [recolour, coarsen, erase])
def test_changes_are_reproducible_different_and_leave_the_photo(change: Change) -> None:
    photo = noise(50, 70)
    before = photo.copy()
    results = [[change(photo, Changes(), np.random.default_rng(seed)) for seed in range(100)] for _ in range(2)]
    np.testing.assert_array_equal(photo, before)
    for one, other in zip(*results, strict=True):
        assert one.shape == photo.shape
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)
    assert len({result.tobytes() for result in results[0]}) > 5
    assert any(np.array_equal(result, photo) for result in results[0])


def test_views_are_reproducible_and_different() -> None:
    views = [[shot(noise(50, 70), (5, 5, 40, 30), 32, WILD, seed) for seed in range(5)] for _ in range(2)]
    np.testing.assert_array_equal(views[0], views[1])
    assert len({view.tobytes() for view in views[0]}) == 5


def recoloured(changes: Changes, seed: int = 0) -> list[int]:
    """(200, 100, 60), changed."""
    (pixel,) = recolour(np.array([[(200, 100, 60)]], np.uint8), changes, np.random.default_rng(seed))[0].tolist()
    assert isinstance(pixel, list)
    return pixel


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (UNCHANGED, [200, 100, 60]),
        (replace(UNCHANGED, gray=1), [120, 120, 120]),
        (replace(UNCHANGED, recoloured=1, saturation=(0, 0)), [200, 200, 200]),  # what is left is the largest channel
        (replace(UNCHANGED, tinted=1, tint=(0.5, 0.5)), [100, 50, 30]),
        (replace(UNCHANGED, tinted=1, tint=(2, 2)), [255, 200, 120]),  # cut
        (replace(UNCHANGED, relit=1, contrast=(0.5, 0.5), brightness=0), [160, 110, 90]),  # half as far from their mean, 120
    ],
)
def test_colours_by_hand(changes: Changes, expected: list[int]) -> None:
    assert recoloured(changes) == expected


def test_a_turned_hue_keeps_saturation_and_value() -> None:
    changes = replace(UNCHANGED, recoloured=1, turned_hue=1, saturation=(1, 1))
    found = [recoloured(changes, seed) for seed in range(40)]
    assert all(abs(max(pixel) - 200) <= 1 and abs(min(pixel) - 60) <= 2 for pixel in found)
    assert {int(np.argmax(pixel)) for pixel in found} == {0, 1, 2}


def test_a_coarse_photo_has_lost_its_details() -> None:
    checks = np.indices((224, 168)).sum(axis=0) % 2 * 255
    photo = np.repeat(checks[..., np.newaxis], 3, axis=2).astype(np.uint8)
    for seed in range(10):
        coarse = coarsen(photo, replace(UNCHANGED, coarse=1), np.random.default_rng(seed))
        assert coarse.shape == photo.shape
        assert coarse.mean() == pytest.approx(127.5, abs=3)
        assert coarse.std() < 64  # of 127.5
    plain = np.full((160, 120, 3), (90, 30, 200), np.uint8)
    coarse = coarsen(plain, replace(UNCHANGED, coarse=1), np.random.default_rng(0))
    np.testing.assert_allclose(coarse, plain, atol=3)  # JPEG rounds colours


def test_a_coarse_photo_has_the_marks_of_jpeg() -> None:
    changes = replace(UNCHANGED, coarse=1, coarse_side=(96, 96), quality=(60, 61))
    left, right = np.full((96, 48, 3), (200, 20, 20), np.uint8), np.full((96, 48, 3), (20, 20, 200), np.uint8)
    photo = np.hstack([left[:, :45], right, right[:, :3]])  # an edge within a block of 8
    stored = io.BytesIO()
    Image.fromarray(photo).save(stored, "JPEG", quality=60)
    coarse = coarsen(photo, changes, np.random.default_rng(0))
    np.testing.assert_allclose(coarse, np.array(Image.open(stored)), atol=6)
    assert np.abs(coarse.astype(int) - photo).max() > 20


def test_an_erased_rectangle_has_one_colour_and_the_stated_size() -> None:
    photo = np.full((100, 200, 3), 44, np.uint8)
    for seed in range(20):
        erased = erase(photo, replace(UNCHANGED, erased=1), np.random.default_rng(seed))
        changed = (erased != photo).any(axis=2)
        *_, width, height = cv2.boundingRect(changed.astype(np.uint8))
        assert changed.sum() == width * height
        assert len(np.unique(erased[changed], axis=0)) == 1
        assert 10 <= height <= 45
        assert 20 <= width <= 90


def test_surfaces() -> None:
    photo = np.full((80, 60, 3), (10, 200, 90), np.uint8)
    photo[20:60, 15:45] = (200, 0, 0)  # the garment, which is on no surface
    photos: list[UInt8Array] = [photo]
    kinds = {"white": 0, "plain": 0, "gradient": 0, "photo": 0}
    for seed in range(400):
        surface = background(32, photos, np.random.default_rng(seed))
        assert surface.shape == (32, 32, 3)
        assert surface.dtype == np.uint8
        colours = np.unique(surface.reshape(-1, 3), axis=0)
        if colours.tolist() == [[10, 200, 90]]:
            kinds["photo"] += 1
        elif len(colours) > 1:
            kinds["gradient"] += 1
        else:
            kinds["white" if colours.min() >= 230 and np.ptp(colours) == 0 else "plain"] += 1
    # 45 %, 15 %, 15 % and 25 % of 400
    for kind, n in {"white": 180, "plain": 60, "gradient": 60, "photo": 100}.items():
        assert kinds[kind] == pytest.approx(n, abs=30)


def test_without_other_photos_a_surface_is_plain_or_smooth() -> None:
    spread = [np.ptp(background(32, [], np.random.default_rng(seed)), axis=(0, 1)).max() > 0 for seed in range(200)]
    assert np.mean(spread) == pytest.approx(0.4, abs=0.1)


def test_put_on_by_hand() -> None:
    photo, surface = np.full((5, 6, 3), 200, np.uint8), np.full((5, 6, 3), 40, np.uint8)
    mask = np.zeros((5, 6), np.uint8)
    mask[:, 3:] = 1
    # the edge is softened by (1, 2, 1) / 4: the photo's share is 0, 0, 1/4, 3/4, 1, 1
    expected = np.broadcast_to(np.array([40, 40, 80, 160, 200, 200])[:, np.newaxis], (5, 6, 3))
    np.testing.assert_array_equal(put_on(photo, mask, surface), expected)
    np.testing.assert_array_equal(put_on(photo, np.ones_like(mask), surface), photo)
    np.testing.assert_array_equal(put_on(photo, np.zeros_like(mask), surface), surface)


# Other cloth


CLOTH = np.zeros((40, 60), np.uint8)
CLOTH[10:30, 20:50] = 255


def cloth(level: int) -> UInt8Array:
    """Folds of 10 gray levels in a garment of one level, on 120."""
    photo = np.full((40, 60, 3), 120, np.uint8)
    photo[10:30, 20:50] = level
    photo[10:30, 20:50:2] += 10
    return photo


DYED = replace(UNCHANGED, dyed=1, dye=(1.0, 1.0))


@pytest.mark.parametrize(
    ("level", "wanted", "relief"),
    [(80, 160, 160 / 85), (195, 50, 0.5), (100, 105, 1.0), (20, 200, 2.0)],  # the third is the lightness that it has
)
def test_dyed_cloth_has_the_lightness_that_was_drawn(level: int, wanted: int, relief: float) -> None:
    changes = replace(DYED, lightness=(wanted / 255, wanted / 255))
    dyed = dye(cloth(level), CLOTH, changes, np.random.default_rng(0)).astype(float)
    inside = dyed[12:28, 22:48]
    assert inside.mean() == pytest.approx(wanted, abs=1)
    folds = inside[:, ::2].mean() - inside[:, 1::2].mean()
    assert folds == pytest.approx(10 * relief, abs=1)
    outside = cv2.dilate(CLOTH, np.ones((5, 5))) == 0
    assert (dyed[outside] == 120).all()


def test_lightness_and_tone_vary_within_their_ranges() -> None:
    changes = replace(DYED, dye=(0.7, 1.0))
    colours = np.array(
        [dye(cloth(120), CLOTH, changes, np.random.default_rng(seed))[12:28, 22:48].mean(axis=(0, 1)) for seed in range(200)]
    )
    assert colours.max() == pytest.approx(0.92 * 255, rel=0.06)
    assert colours.min() == pytest.approx(0.08 * 255 * 0.7, rel=0.5)
    tones = colours.max(axis=1) / colours.min(axis=1)
    assert 1.2 < tones.max() < 1 / 0.7 + 0.1
    assert tones.min() < 1.05


def test_a_share_is_dyed_and_what_holds_no_garment_is_not() -> None:
    changes = replace(UNCHANGED, dyed=0.3)
    changed = [(dye(cloth(120), CLOTH, changes, np.random.default_rng(seed)) != cloth(120)).any() for seed in range(400)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.06)
    for seed in range(20):
        np.testing.assert_array_equal(dye(cloth(120), np.zeros_like(CLOTH), DYED, np.random.default_rng(seed)), cloth(120))
