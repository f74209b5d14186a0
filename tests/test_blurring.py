from pathlib import Path

import cv2
import numpy as np
import pytest

from fashion_classifier import Bundle, FashionClassifier
from fashion_classifier.blurring import Blurring
from fashion_classifier.ensemble import loaded_ensemble
from fashion_classifier.forms import FORMS
from fashion_classifier.manifest import ExpertName

PHOTO, THUMBNAIL = "examples/coat.jpg", "examples/fashion-mnist-bag.png"


def blurring_of(bundle: Bundle, picture: object, expert: ExpertName) -> Blurring:
    image = FashionClassifier(bundle).predict(picture).image  # type: ignore[call-overload]
    return Blurring(image, bundle.manifest.experts[expert], loaded_ensemble(bundle, expert))


@pytest.mark.parametrize(("picture", "expert"), [(PHOTO, "photo"), (THUMBNAIL, "thumbnail")])
def test_the_whole_picture_is_answered_as_predict_does(picture: str, expert: ExpertName) -> None:
    classifier = FashionClassifier.from_pretrained()
    blurring = blurring_of(classifier.bundle, picture, expert)
    found = blurring.answer(np.ones((blurring.side, blurring.side), np.float32))
    np.testing.assert_allclose(found, list(classifier.predict(picture).probabilities.values()), atol=1e-12)


def test_a_blurred_thumbnail_is_answered_as_the_blurred_picture_is() -> None:
    classifier = FashionClassifier.from_pretrained()
    pixels = cv2.imread(THUMBNAIL, cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    blurred = np.round(cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 2)).astype(np.uint8)
    half = pixels.copy()
    half[:, 14:] = blurred[:, 14:]
    kept = np.zeros((28, 28), np.float32)
    kept[:, :14] = 1
    blurring = blurring_of(classifier.bundle, THUMBNAIL, "thumbnail")
    for part, expected in ((kept, half), (0 * kept, blurred)):
        answer = list(classifier.predict(expected).probabilities.values())
        np.testing.assert_allclose(blurring.answer(part), answer, atol=1e-12)


def test_members_answer_in_turn(tiny_bundles: dict[str, Path]) -> None:
    bundle = Bundle(tiny_bundles["two looks"])
    blurring = blurring_of(bundle, PHOTO, "photo")
    whole = np.ones((4, 192, 192), np.float32)
    first, second, third, fourth = blurring.answers(whole)
    np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(second, fourth)
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_allclose((first + second) / 2, blurring.answer(whole[0]), atol=1e-12)
    np.testing.assert_array_equal(blurring.answers(whole, in_a_row=2), [first, first, second, second])


def test_a_member_by_itself_has_every_turn(tiny_bundles: dict[str, Path]) -> None:
    blurring = blurring_of(Bundle(tiny_bundles["one look"]), PHOTO, "photo")
    whole = np.ones((4, 192, 192), np.float32)
    np.testing.assert_allclose(blurring.answers(whole, in_a_row=2), [blurring.answer(whole[0])] * 4, atol=1e-12)


@pytest.mark.parametrize(("picture", "expert"), [(PHOTO, "photo"), (THUMBNAIL, "thumbnail")])
def test_prominent_is_what_has_detail_and_is_on_the_garment(picture: str, expert: ExpertName) -> None:
    bundle = FashionClassifier.from_pretrained().bundle
    found = blurring_of(bundle, picture, expert).prominence
    assert 0 <= found.min() < 0.2
    assert 0.5 < found.max() <= 1.02
    if expert == "photo":
        mask = FORMS["garment"].draw(FashionClassifier(bundle).predict(picture).image)[..., 3]
        assert found[mask == 255].mean() > 3 * found[mask == 0].mean()


def test_nothing_is_prominent_in_a_blank_picture() -> None:
    bundle = FashionClassifier.from_pretrained().bundle
    assert not blurring_of(bundle, np.zeros((28, 28), np.uint8), "thumbnail").prominence.any()
