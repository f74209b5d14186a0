"""Pages, collages and banners drawn here around photos whose place is known."""

import io

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fashion_classifier.figures import differs
from fashion_classifier.images import UInt8Array
from fashion_classifier.pages import find_photo
from fashion_classifier.preprocessing import canonicalize
from tests.drawn_garments import photo, shirt

WHITE, DARK, GREEN, BLACK = (250, 250, 250), (30, 30, 34), (0, 160, 90), (0, 0, 0)
SHOWN = photo(shirt(120, 160), (180, 30, 40), (150, 150, 140))  # (160, 120, 3)
OTHER = photo(shirt(120, 160), (235, 230, 225), (110, 80, 50))
LARGE = cv2.resize(SHOWN, (360, 480), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
Mask = npt.NDArray[np.uint8]


def page(width: int, height: int, colour: tuple[int, int, int]) -> UInt8Array:
    return np.full((height, width, 3), colour, np.uint8)


def put(on: UInt8Array, what: UInt8Array, left: int, top: int) -> UInt8Array:
    on[top : top + what.shape[0], left : left + what.shape[1]] = what
    return on


def shop_page(width: int, height: int, colour: tuple[int, int, int]) -> UInt8Array:
    """With a bar over all of its width, words, and a button that is larger than the photo."""
    drawn = put(page(width, height, colour), page(width, 24, GREEN), 0, 0)
    cv2.putText(drawn, "Cotton 39,95 EUR", (width // 2, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.5, GREEN, 1)
    return put(drawn, page(170, 140, GREEN), width - 200, 80)


def masked(outline: Mask, colour: tuple[int, int, int]) -> UInt8Array:
    return np.where(outline[..., np.newaxis] > 0, SHOWN, np.array(colour, np.uint8))


def rounded(radius: int) -> Mask:
    height, width, _ = SHOWN.shape
    drawn = np.zeros((height, width), np.uint8)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(drawn, (x, y), radius, 1, cv2.FILLED)
    drawn[radius : height - radius] = drawn[:, radius : width - radius] = 1
    return drawn


def ellipse() -> Mask:
    return cv2.ellipse(np.zeros(SHOWN.shape[:2], np.uint8), ((59.5, 79.5), (119, 159), 0), 1, cv2.FILLED).astype(np.uint8)


@pytest.mark.parametrize("colour", [WHITE, DARK])
def test_the_photo_of_a_shop_s_page(colour: tuple[int, int, int]) -> None:
    found = find_photo(put(shop_page(500, 300, colour), SHOWN, 40, 50))
    assert found is not None
    assert found.box == (40, 50, 120, 160)
    np.testing.assert_array_equal(found.pixels, SHOWN)


def test_a_print_on_a_table_with_words_on_its_edge() -> None:
    card = put(page(140, 210, WHITE), SHOWN, 10, 10)
    cv2.putText(card, "summer", (20, 195), cv2.FONT_HERSHEY_SIMPLEX, 0.5, BLACK, 1)
    found = find_photo(put(page(220, 300, (90, 60, 30)), card, 30, 40))
    assert found is not None
    assert found.box == (40, 50, 120, 160)


def test_a_large_page_is_sampled_and_the_box_lies_within_the_photo() -> None:
    shown = cv2.resize(SHOWN, (361, 481), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    found = find_photo(put(shop_page(1024, 640, WHITE), shown, 101, 121))
    assert found is not None
    left, top, width, height = found.box  # every second pixel was looked at
    assert (left, top, left + width, top + height) == (102, 122, 461, 601)


def test_of_a_page_around_all_of_a_photo_the_corners_are_left() -> None:
    for outline in (rounded(12), rounded(59), ellipse()):
        found = find_photo(masked(outline, WHITE))
        assert found is not None
        assert found.box == (0, 0, 120, 160)
        core = cv2.erode(outline, np.ones((5, 5), np.uint8)) > 0
        np.testing.assert_array_equal(found.pixels[core], SHOWN[core])
        assert np.all(found.pixels.max(axis=2) < 250)  # nothing of the page
        np.testing.assert_array_equal(found.pixels[0, 0], found.pixels[1, 1])


def test_a_photo_that_was_turned() -> None:
    turning = cv2.getRotationMatrix2D((59.5, 79.5), 30, 1)
    turning[:, 2] += 90, 70
    corners = np.array([[0, 0], [119, 0], [119, 159], [0, 159]]) @ turning[:, :2].T + turning[:, 2]
    shown = cv2.warpAffine(SHOWN, turning, (300, 300), borderMode=cv2.BORDER_CONSTANT, borderValue=BLACK).astype(np.uint8)
    found = find_photo(shown)
    assert found is not None
    left, top, width, height = found.box
    np.testing.assert_allclose(
        (left, top, left + width - 1, top + height - 1), [*corners.min(axis=0), *corners.max(axis=0)], atol=1.5
    )
    assert found.pixels.max(axis=2).min() > 60


def beside(*photos: UInt8Array, gap: int) -> UInt8Array:
    """Photos of one height side by side, white between them."""
    apart = page(gap, len(photos[0]), WHITE)
    return np.concatenate([each for shown in photos for each in (apart, shown)][1:], axis=1)


@pytest.mark.parametrize("gap", [0, 8])
def test_of_photos_side_by_side_the_largest_or_else_the_first(gap: int) -> None:
    wide = photo(shirt(150, 160), (30, 40, 90), (70, 140, 70))
    for photos, box in (((SHOWN, OTHER), (0, 0, 120, 160)), ((SHOWN, wide, OTHER), (120 + gap, 0, 150, 160))):
        drawn = beside(*photos, gap=gap)
        for collage, expected in ((drawn, box), (drawn.transpose(1, 0, 2), (box[1], box[0], box[3], box[2]))):
            found = find_photo(collage)
            assert found is not None
            assert found.box == expected
            left, top, width, height = expected
            np.testing.assert_array_equal(found.pixels, collage[top : top + height, left : left + width])


def test_of_rough_photos_side_by_side_the_first() -> None:
    rough = [photo(np.zeros((160, 120), np.bool_), colour, colour) for colour in ((180, 30, 40), (70, 140, 70))]
    rng = np.random.default_rng(0)
    collage = (beside(*rough, gap=0) * rng.uniform(0.8, 1, (160, 240, 1))).astype(np.uint8)
    found = find_photo(collage)
    assert found is not None
    assert found.box == (0, 0, 120, 160)


def test_of_a_grid_in_a_frame_the_first() -> None:
    rows = beside(SHOWN, OTHER, gap=8), beside(OTHER, SHOWN, gap=8)
    grid = put(put(page(264, 344, WHITE), rows[0], 8, 8), rows[1], 8, 176)
    found = find_photo(grid)
    assert found is not None
    assert found.box == (8, 8, 120, 160)


def floor(row: int) -> UInt8Array:
    """A photo of a shirt before a wall and, from a row on, before a floor of another colour."""
    before, after = (photo(shirt(200, 240), (180, 30, 40), colour) for colour in ((190, 160, 120), (110, 80, 50)))
    return np.concatenate([before[:row], after[row:]])


def shaded(width: int, height: int) -> UInt8Array:
    """A panel that grows lighter from left to right."""
    return np.repeat(np.linspace((20, 60, 140), (230, 200, 150), width)[np.newaxis], height, axis=0).astype(np.uint8)


def jpeg(drawn: UInt8Array, quality: int) -> UInt8Array:
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("degrees", [0, 30, -45])
@pytest.mark.parametrize("quality", [None, 85], ids=["", "jpeg"])
def test_under_a_banner(degrees: int, quality: int | None) -> None:
    strip, banner = np.zeros(LARGE.shape[:2], np.uint8), page(360, 480, GREEN)
    cv2.fillConvexPoly(strip, cv2.boxPoints(((180, 240), (2000, 60), degrees)).round().astype(np.int32), 1)
    cv2.putText(banner, "SALE", (150, 255), cv2.FONT_HERSHEY_SIMPLEX, 0.9, WHITE, 2)  # cut by the strip's edge
    drawn = np.where(strip[..., np.newaxis] > 0, banner, LARGE)
    for row in (5, 470):
        drawn[row : row + 4, 5:9] = drawn[row : row + 4, 350:354] = GREEN  # specks
    shown = drawn if quality is None else jpeg(drawn, quality)
    found = find_photo(shown)
    assert found is not None
    assert found.box == (0, 0, 360, 480)
    beside_it = cv2.dilate(strip, np.ones((9, 9), np.uint8)) == 0
    np.testing.assert_array_equal(found.pixels[beside_it], shown[beside_it])
    assert differs(found.pixels, np.array(GREEN, np.uint8))[strip > 0].all()
    assert differs(found.pixels, np.array(WHITE, np.uint8))[strip > 0].all()


@pytest.mark.parametrize(
    "picture",
    [
        SHOWN,
        floor(130),
        floor(225),
        jpeg(LARGE, 5),
        beside(SHOWN, shaded(140, 160), gap=0),
        put(LARGE.copy(), page(300, 60, GREEN), 0, 200),
        put(LARGE.copy(), photo(np.zeros((60, 360), np.bool_), GREEN, GREEN), 0, 200),
        shop_page(500, 300, WHITE),
        put(put(page(300, 200, WHITE), SHOWN, 10, 20), SHOWN[:, ::-1], 150, 20),  # which one is meant?
        put(page(300, 200, WHITE), SHOWN[:20, :20], 40, 40),
        put(page(400, 200, WHITE), np.tile(SHOWN[:40], (1, 3, 1)), 20, 20),  # a banner
        np.where(shirt(200, 240)[..., np.newaxis], photo(shirt(200, 240), (180, 30, 40), GREEN), page(200, 240, WHITE)),
        page(200, 200, WHITE),
        page(2, 1000, DARK),
    ],
    ids=[
        "no page",
        "a floor",
        "a floor at the edge",
        "blocks",
        "a panel with a photo",
        "a label",
        "a shelf",
        "no photo",
        "two photos",
        "too small",
        "too long",
        "a garment",
        "nothing",
        "a line",
    ],
)
def test_no_photo_on_a_page(picture: UInt8Array) -> None:
    assert find_photo(picture) is None


def test_the_garment_is_looked_for_in_the_photo_alone() -> None:
    seen = []

    def segment(shown: UInt8Array, at: object = None) -> npt.NDArray[np.bool_]:
        seen.append(shown)
        return shirt(*shown.shape[1::-1])

    drawn = put(shop_page(500, 300, WHITE), SHOWN, 40, 50)
    image = canonicalize(drawn, segment)
    np.testing.assert_array_equal(seen[0], SHOWN)
    expected = np.zeros((300, 500), np.bool_)
    expected[50:210, 40:160] = shirt(120, 160)
    np.testing.assert_array_equal(image.mask, expected)
    np.testing.assert_array_equal(image.photo, drawn)
    assert image.size == (500, 300)
    canonicalize(drawn, segment, box=(30, 40, 200, 180))
    assert seen[1].shape == (180, 200, 3)  # as it was said
