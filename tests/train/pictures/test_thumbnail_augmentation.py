import numpy as np
import pytest

from train.pictures import thumbnail_augmentation
from train.pictures.thumbnail_augmentation import augment

IMAGES = np.random.default_rng(1).integers(0, 256, (64, 28, 28), np.uint8)


def test_reproducible_and_different() -> None:
    first, again = (augment(IMAGES, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == IMAGES.shape
    assert first.dtype == np.uint8
    assert (first != augment(IMAGES, np.random.default_rng(6))).any()


def test_the_input_is_not_changed() -> None:
    copy = IMAGES.copy()
    augment(IMAGES, np.random.default_rng(0))
    np.testing.assert_array_equal(IMAGES, copy)


def only(monkeypatch: pytest.MonkeyPatch, **probabilities: float) -> None:
    for name in ("FLIP", "AFFINE", "ERASE"):
        monkeypatch.setattr(thumbnail_augmentation, name, probabilities.get(name, 0.0))


def test_nothing_happens_at_probability_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    np.testing.assert_array_equal(augment(IMAGES, np.random.default_rng(0)), IMAGES)


def test_flip(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, FLIP=1.0)
    np.testing.assert_array_equal(augment(IMAGES, np.random.default_rng(0)), IMAGES[:, :, ::-1])


def test_erased_rectangles_have_the_stated_area(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, ERASE=1.0)
    black = np.zeros((200, 28, 28), np.uint8)
    changed = augment(black, np.random.default_rng(0)) > 0
    for mask in changed:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert 0.01 * 784 < area < 0.23 * 784


def test_affine_keeps_a_centred_garment_near_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, AFFINE=1.0)
    garment = np.zeros((50, 28, 28), np.uint8)
    garment[:, 10:18, 10:18] = 255
    for image in augment(garment, np.random.default_rng(0)):
        rows, columns = np.nonzero(image > 127)
        assert abs(rows.mean() - 13.5) < 0.07 * 28 + 1
        assert abs(columns.mean() - 13.5) < 0.07 * 28 + 1
        assert 64 * 0.95**2 * 0.8 < len(rows) < 64 * 1.05**2 * 1.25
