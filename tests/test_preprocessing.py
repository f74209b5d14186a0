"""The canonical form: boxes, placements and pixels are worked out by hand beside each picture."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from fashion_classifier.errors import InvalidImageError
from fashion_classifier.preprocessing import (
    CanonicalImage,
    Geometry,
    as_photo,
    canonicalize,
    white_background,
)
from train.pictures.fashion_mnist import Pictures

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


def thumbnail() -> UInt8Array:
    """A garment of all 256 levels on black: 20 columns wide, 28 rows high."""
    pixels = np.zeros((28, 28), np.uint8)
    levels = np.resize(np.arange(256, dtype=np.uint8), 28 * 20)
    pixels[:, 4:24] = np.random.default_rng(7).permutation(levels).reshape(28, 20)
    return pixels


THUMBNAIL = thumbnail()


def encode(array: UInt8Array, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, file_format, **options)
    return buffer.getvalue()


def with_alpha(gray: UInt8Array) -> UInt8Array:
    return np.stack([gray, gray, gray, np.full_like(gray, 255)], axis=2)


def rectangle(background: Any, colour: Any, size: tuple[int, int], box: tuple[int, int, int, int]) -> UInt8Array:
    """A picture of (width, height) with a filled box (left, top, width, height)."""
    image = Image.new("L" if isinstance(colour, int) else "RGB", size, background)
    left, top, width, height = box
    image.paste(colour, (left, top, left + width, top + height))
    return np.array(image)


def inside(size: tuple[int, int], box: tuple[int, int, int, int]) -> BoolArray:
    """The mask of a box."""
    return rectangle(0, 1, size, box).astype(bool)


def keep_promises(canonical: CanonicalImage) -> None:
    """What the docstrings of CanonicalImage and Geometry say."""
    width, height = canonical.geometry.photo_size
    left, top, box_width, box_height = canonical.geometry.box
    column, row, columns, rows = canonical.geometry.placed
    assert canonical.pixels.shape == (28, 28)
    assert canonical.pixels.dtype == np.uint8
    assert canonical.photo.dtype == np.uint8
    assert canonical.photo.shape in ((height, width), (height, width, 3))
    assert max(width, height) <= 1024
    assert canonical.mask.shape == (height, width)
    assert canonical.mask.dtype == np.bool_
    assert 0 <= left < left + box_width <= width
    assert 0 <= top < top + box_height <= height
    assert 0 <= column < column + columns <= 28
    assert 0 <= row < row + rows <= 28
    assert 28 in (columns, rows)
    outside = np.ones((28, 28), bool)
    outside[row : row + rows, column : column + columns] = False
    assert not canonical.pixels[outside].any()
    assert canonical.is_photo == (canonical.isolation == "segmentation")
    keep_promises_of_the_view(canonical)


def keep_promises_of_the_view(canonical: CanonicalImage) -> None:
    geometry = canonical.view_geometry
    column, row, columns, rows = geometry.placed
    assert (geometry.photo_size, geometry.canvas) == (canonical.geometry.photo_size, 192)
    assert 0 <= column < column + columns <= 192
    assert 0 <= row < row + rows <= 192
    (left, top, width, height), (inner_left, inner_top, inner_width, inner_height) = geometry.box, canonical.geometry.box
    assert left <= inner_left < inner_left + inner_width <= left + width <= geometry.photo_size[0]
    assert top <= inner_top < inner_top + inner_height <= top + height <= geometry.photo_size[1]
    assert canonical.view.shape == (192, 192, 3)
    assert canonical.view_mask.shape == (192, 192)
    assert canonical.view.dtype == canonical.view_mask.dtype == np.uint8


# Thumbnails


@pytest.mark.parametrize("gray", [THUMBNAIL, ~THUMBNAIL], ids=["light on black", "dark on white"])
@pytest.mark.parametrize(
    "form",
    [
        lambda gray: gray,
        lambda gray: gray[..., None],
        lambda gray: np.stack([gray] * 3, axis=2),
        with_alpha,
        lambda gray: gray / 255,
        lambda gray: (gray / 255).astype(np.float16)[..., None],
        Image.fromarray,
        lambda gray: Image.fromarray(gray).convert("RGB"),
        lambda gray: Image.fromarray(gray).convert("RGBA"),
        lambda gray: Image.fromarray(gray).convert("P"),
        lambda gray: Image.fromarray(gray.astype(np.uint16) * 257),
        encode,
        lambda gray: encode(with_alpha(gray)),
        lambda gray: encode(gray, "TIFF"),
        lambda gray: encode(gray, "WEBP", lossless=True),
    ],
    ids=[
        "L",
        "L1",
        "L3",
        "L4",
        "float",
        "float16",
        "PIL-L",
        "PIL-RGB",
        "PIL-RGBA",
        "PIL-P",
        "PIL-I;16",
        "PNG",
        "PNG-RGBA",
        "TIFF",
        "WebP",
    ],
)
def test_thumbnail_passes_bit_for_bit(gray: UInt8Array, form: Any) -> None:
    canonical = canonicalize(form(gray))
    np.testing.assert_array_equal(canonical.pixels, THUMBNAIL)
    assert canonical.isolation == "thumbnail"
    assert canonical.geometry == Geometry((28, 28), (0, 0, 28, 28), (0, 0, 28, 28))
    assert canonical.mask.all()
    keep_promises(canonical)


def test_fashion_mnist_passes_bit_for_bit(thumbnails: Pictures) -> None:
    assert len(thumbnails.images) == 200
    for pixels in thumbnails.images:
        np.testing.assert_array_equal(canonicalize(pixels).pixels, pixels)
        np.testing.assert_array_equal(canonicalize(Image.fromarray(~pixels)).pixels, pixels)


def test_transparent_thumbnail_stands_on_white() -> None:
    rgba = np.dstack([np.zeros((28, 28, 3), np.uint8), THUMBNAIL])  # black ink, as dense as the garment is light
    np.testing.assert_allclose(canonicalize(rgba).pixels.astype(int), THUMBNAIL.astype(int), atol=1)


def test_jpeg_noise_leaves_a_thumbnail_a_thumbnail() -> None:
    smooth = cv2.GaussianBlur(THUMBNAIL, (9, 9), 3)
    canonical = canonicalize(encode(np.stack([smooth] * 3, axis=2), "JPEG", quality=90))
    assert canonical.isolation == "thumbnail"
    assert np.abs(canonical.pixels.astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("factor", [2, 10, 30])
def test_nearest_enlargement_comes_back_exactly(thumbnails: Pictures, factor: int) -> None:
    side = 28 * factor
    for pixels in thumbnails.images[::10]:
        enlarged = pixels.repeat(factor, 0).repeat(factor, 1)
        for picture in (enlarged, ~enlarged, encode(np.stack([enlarged] * 3, axis=2))):
            canonical = canonicalize(picture)
            np.testing.assert_array_equal(canonical.pixels, pixels)
            assert canonical.geometry == Geometry((side, side), (0, 0, side, side), (0, 0, 28, 28))
            assert canonical.isolation == "thumbnail"


@pytest.mark.parametrize("side", [56, 280, 1000, 1200])
def test_smooth_enlargement_comes_back_close(thumbnails: Pictures, side: int) -> None:
    for pixels in thumbnails.images[::20]:
        enlarged = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        for picture in (enlarged, ImageOps.invert(enlarged)):
            canonical = canonicalize(picture)
            keep_promises(canonical)
            assert np.abs(canonical.pixels.astype(int) - pixels).mean() < 10  # gray levels; a shift by one pixel costs 20


def test_gray_pictures_that_are_not_enlarged_thumbnails_are_trimmed() -> None:
    margins = rectangle(0, 200, (280, 280), (40, 40, 200, 200))  # does not fill its frame
    assert canonicalize(margins).geometry.box == (40, 40, 200, 200)
    oblong = rectangle(0, 200, (281, 280), (0, 40, 281, 200))
    assert canonicalize(oblong).geometry.box == (0, 40, 281, 200)
    wall = rectangle(230, 60, (280, 280), (20, 10, 200, 265))  # white enough, not pure
    assert canonicalize(wall).geometry.box == (20, 10, 200, 265)


@pytest.mark.parametrize("background", [0, 255])
def test_a_gray_picture_may_be_a_photo(background: int) -> None:
    mask = inside((80, 120), (20, 30, 40, 60))
    shown = rectangle(background, 110, (80, 120), (10, 10, 50, 90))
    shown[10:100, 10:60] += np.random.default_rng(0).integers(0, 60, (90, 50), np.uint8)  # cloth that 28 pixels do not show
    canonical = canonicalize(shown)
    assert not canonical.is_photo
    photo = as_photo(canonical, segment=lambda seen: mask)
    assert photo is not None
    assert photo.isolation == "segmentation"
    np.testing.assert_array_equal(photo.mask, mask)
    np.testing.assert_array_equal(photo.photo, canonical.photo)
    assert photo.geometry == Geometry((80, 120), (20, 30, 40, 60), (4, 0, 19, 28))  # 40 x 28 / 60 = 18.7
    assert as_photo(photo) is None


def test_a_thumbnail_is_no_photo(thumbnails: Pictures) -> None:
    assert as_photo(canonicalize(THUMBNAIL)) is None
    assert as_photo(canonicalize(rectangle(0, 200, (28, 28), (9, 5, 10, 20)))) is None
    assert as_photo(canonicalize(rectangle(255, 90, (20, 28), (5, 5, 10, 20)))) is None
    taken = []
    for pixels in thumbnails.images[::20]:
        for side, method in ((56, Image.Resampling.NEAREST), (280, Image.Resampling.NEAREST), (224, Image.Resampling.BICUBIC)):
            enlarged = Image.fromarray(pixels).resize((side, side), method)
            margin = ImageOps.expand(enlarged, (10, 30, 60, 0))
            jpeg = encode(np.asarray(enlarged), "JPEG", quality=85)
            taken += [as_photo(canonicalize(shown)) is None for shown in (enlarged, margin, jpeg)]
    assert len(taken) == 90
    assert sum(taken) >= 88  # enlarging sharpens few


def test_a_square_picture_with_more_than_28_pixels_of_detail_may_be_a_photo() -> None:
    stripes = rectangle(255, 60, (280, 280), (20, 0, 240, 280))
    stripes[:, 20:260:10] = stripes[:, 21:260:10] = 180  # a tenth of a pixel of the thumbnail each
    canonical = canonicalize(stripes)
    assert canonical.isolation == "thumbnail"
    photo = as_photo(canonical, segment=lambda seen: np.ones(seen.shape[:2], np.bool_))
    assert photo is not None
    assert photo.is_photo


def test_canonical_image_is_taken_as_it_is() -> None:
    canonical = canonicalize(THUMBNAIL)
    assert canonicalize(canonical) is canonical


def test_the_callers_array_is_neither_changed_nor_shared() -> None:
    array = THUMBNAIL.copy()
    canonical = canonicalize(array)
    canonical.pixels[:] = 0
    canonical.photo[:] = 0
    np.testing.assert_array_equal(array, THUMBNAIL)
    array[:] = 9
    assert not canonical.pixels.any()


def test_refusals_are_those_of_decoding() -> None:
    with pytest.raises(InvalidImageError, match=r"The array has shape \(9, 28, 28, 3\) and dtype uint8; .*Accepted: a path"):
        canonicalize(np.zeros((9, 28, 28, 3), np.uint8))


# Geometry: the box's longest side becomes 28


PORTRAIT = (100, 80), (20, 10, 40, 56), (4, 0, 20, 28)  # scale 0.5: 40 x 56 -> 20 x 28, (28 - 20) / 2 = 4 from the left
LANDSCAPE = (100, 80), (30, 24, 56, 40), (0, 4, 28, 20)
TALL = (60, 300), (25, 10, 10, 280), (13, 0, 1, 28)  # scale 0.1
ODD = (90, 100), (20, 3, 23, 84), (10, 0, 8, 28)  # scale 1/3: 23 -> 7.67, rounded to 8, (28 - 8) / 2 = 10
SMALL = (40, 40), (10, 20, 7, 14), (7, 0, 14, 28)  # enlarged by 2
GEOMETRIES = pytest.mark.parametrize(
    ("size", "box", "placed"), [PORTRAIT, LANDSCAPE, TALL, ODD, SMALL], ids=["portrait", "landscape", "tall", "odd", "small"]
)


def block(placed: tuple[int, int, int, int], level: int) -> UInt8Array:
    column, row, columns, rows = placed
    pixels = np.zeros((28, 28), np.uint8)
    pixels[row : row + rows, column : column + columns] = level
    return pixels


@GEOMETRIES
@pytest.mark.parametrize(
    ("background", "colour", "isolation", "level"),
    [
        (255, 55, "white background", 200),
        (250, 50, "white background", 203),  # (250 - 50) x 255 / 250 = 204.0, less one to float arithmetic
        ((255, 255, 255), (55, 55, 55), "white background", 200),
        (0, 200, "dark background", 200),
        ((0, 0, 0), (200, 200, 200), "dark background", 200),
    ],
)
def test_rectangle_on_a_plain_background(
    size: tuple[int, int],
    box: tuple[int, int, int, int],
    placed: tuple[int, int, int, int],
    background: Any,
    colour: Any,
    isolation: str,
    level: int,
) -> None:
    canonical = canonicalize(rectangle(background, colour, size, box))
    assert canonical.isolation == isolation
    assert canonical.geometry == Geometry(size, box, placed)
    np.testing.assert_allclose(canonical.pixels.astype(int), block(placed, level), atol=1)
    left, top, width, height = box
    assert canonical.mask.sum() == width * height
    assert canonical.mask[top : top + height, left : left + width].all()
    keep_promises(canonical)


@pytest.mark.parametrize(("size", "box", "placed"), [PORTRAIT, LANDSCAPE], ids=["portrait", "landscape"])
@pytest.mark.parametrize(
    ("background", "colour", "level"),
    [
        ((40, 90, 200), (200, 30, 30), 174),  # 0.299 x 200 + 0.587 x 30 + 0.114 x 30 = 80.8, negated
        ((120, 120, 120), (240, 240, 240), 15),
        ((0, 0, 60), (240, 240, 240), 15),  # dark but coloured: a photo, so light garments come out dark
    ],
)
def test_rectangle_on_a_coloured_background(
    size: tuple[int, int],
    box: tuple[int, int, int, int],
    placed: tuple[int, int, int, int],
    background: Any,
    colour: Any,
    level: int,
) -> None:
    mask = inside(size, box)
    canonical = canonicalize(rectangle(background, colour, size, box), segment=lambda photo: mask)
    assert canonical.isolation == "segmentation"
    assert canonical.geometry == Geometry(size, box, placed)
    np.testing.assert_allclose(canonical.pixels.astype(int), block(placed, level), atol=1)
    np.testing.assert_array_equal(canonical.mask, mask)
    keep_promises(canonical)


def test_the_segmenter_is_given_the_reduced_photo_in_colour() -> None:
    given = []

    def segment(photo: UInt8Array) -> BoolArray:
        given.append(photo)
        return np.ones(photo.shape[:2], np.bool_)

    gray = np.random.default_rng(0).integers(60, 190, (60, 80), np.uint8)
    assert canonicalize(gray, segment).isolation == "segmentation"
    canonical = canonicalize(rectangle((40, 90, 200), (200, 30, 30), (2048, 1024), (10, 10, 500, 500)), segment)
    assert canonical.isolation == "segmentation"
    np.testing.assert_array_equal(given[0], np.stack([gray] * 3, axis=2))
    np.testing.assert_array_equal(given[1], canonical.photo)
    assert given[1].shape == (512, 1024, 3)


def test_only_photos_are_segmented() -> None:
    def segment(photo: UInt8Array) -> BoolArray:
        raise AssertionError("this picture needs no network")

    for picture in (THUMBNAIL, rectangle(255, 55, *PORTRAIT[:2]), rectangle(0, 200, *PORTRAIT[:2])):
        assert not canonicalize(picture, segment).is_photo


def test_where_nothing_is_found_the_garment_is_the_whole_photo() -> None:
    photo = rectangle((40, 90, 200), (200, 30, 30), (100, 80), (20, 10, 40, 56))
    canonical = canonicalize(photo, segment=lambda photo: np.zeros((80, 100), np.bool_))
    assert canonical.mask.all()
    assert canonical.geometry == Geometry((100, 80), (0, 0, 100, 80), (0, 3, 28, 22))  # 80 x 28 / 100 = 22.4


def test_what_lies_beside_the_garment_is_cut_away() -> None:
    photo = rectangle((255, 255, 0), (200, 30, 30), (100, 80), (20, 10, 40, 56))
    mask = inside((100, 80), (20, 10, 40, 56))
    mask[10:38, 40:60] = False  # the upper right quarter of the box: there the background's yellow must not show
    canonical = canonicalize(photo, segment=lambda photo: mask)
    expected = block((4, 0, 20, 28), 174)
    expected[:14, 14:] = 0
    np.testing.assert_array_equal(canonical.pixels, expected)


def test_a_large_photo_is_measured_in_its_reduced_pixels() -> None:
    canonical = canonicalize(rectangle(255, 55, (4096, 2048), (400, 400, 448, 896)))
    assert canonical.photo.shape == (512, 1024)
    assert canonical.geometry == Geometry((1024, 512), (100, 100, 112, 224), (7, 0, 14, 28))


def test_projection_of_a_full_map_fills_the_box_and_nothing_else() -> None:
    for size, box, placed in (PORTRAIT, LANDSCAPE, TALL, ODD, SMALL):
        projected = Geometry(size, box, placed).project(np.ones((28, 28)))
        assert projected.dtype == np.float32
        np.testing.assert_array_equal(projected, rectangle(0, 1, size, box))


def test_projection_of_a_hot_spot() -> None:
    size, box, placed = PORTRAIT
    spot = np.zeros((28, 28), np.float32)
    spot[14, 15] = 1
    # Each canonical pixel covers 2 x 2 of the photo: column 20 + 2 (15 - 4) = 42, row 10 + 2 (14 - 0) = 38. Linear
    # interpolation at their centres, a quarter of a canonical pixel away in each direction, gives 0.75 x 0.75.
    projected = Geometry(size, box, placed).project(spot)
    np.testing.assert_allclose(projected[38:40, 42:44], 0.5625)
    np.testing.assert_allclose(projected[37:41, 41:45].sum(), 4, rtol=1e-6)  # all there is: the four pixels' worth
    np.testing.assert_allclose(projected.sum(), 4, rtol=1e-6)


def test_projection_leaves_out_what_lies_beside_the_garment() -> None:
    beside = np.ones((28, 28), np.float32)
    beside[:, 4:24] = 0
    assert not Geometry(*PORTRAIT).project(beside).any()


@pytest.mark.parametrize("shape", [(28,), (27, 28), (28, 28, 1), (7, 7)])
def test_projection_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"takes a map of shape (28, 28), not {shape}.")):
        Geometry(*PORTRAIT).project(np.zeros(shape))


def test_a_geometry_with_a_larger_canvas() -> None:
    geometry = Geometry((100, 80), (20, 10, 40, 56), (30, 20, 80, 112), canvas=160)  # enlarged by 2
    half = np.zeros((160, 160))
    half[:, 70:] = 1  # the right half of what was placed
    np.testing.assert_array_equal(geometry.project(half) > 0.5, inside((100, 80), (40, 10, 20, 56)))
    with pytest.raises(ValueError, match=r"takes a map of shape \(160, 160\), not \(28, 28\)\."):
        geometry.project(np.zeros((28, 28)))


def test_a_picked_map_is_averaged_by_hand() -> None:
    size, box, placed = PORTRAIT  # two by two pixels of the photo become one
    values = np.full(size[::-1], 9.0)  # beside the box: left out
    values[10:66, 20:60] = 0
    values[10, 20], values[11, 21] = 1, 2
    values[64:66, 58:60] = 5
    picked = Geometry(size, box, placed).pick(values)
    expected = np.zeros((28, 28))
    expected[0, 4] = (1 + 2) / 4
    expected[27, 23] = 5
    assert picked.dtype == np.float32
    np.testing.assert_allclose(picked, expected, atol=1e-6)


@pytest.mark.parametrize(("size", "box", "placed"), [PORTRAIT, LANDSCAPE, TALL, ODD])
def test_to_the_photo_and_back(
    size: tuple[int, int], box: tuple[int, int, int, int], placed: tuple[int, int, int, int]
) -> None:
    geometry = Geometry(size, box, placed)
    column, row, columns, rows = placed
    ramp = np.zeros((28, 28), np.float32)
    ramp[row : row + rows, column : column + columns] = np.add.outer(np.arange(rows), np.arange(columns)) / 28
    back = geometry.pick(geometry.project(ramp))
    np.testing.assert_allclose(back, ramp, atol=1 / 28)  # at the ends of the ramp nothing is left to interpolate with
    assert np.abs(back - ramp).mean() < 0.005
    ones = block(placed, 1)
    np.testing.assert_array_equal(geometry.pick(geometry.project(ones.astype(np.float32))), ones)


# The view in colour: 1.15 times the longer side of the box, centred on it


def photographed(size: tuple[int, int], box: tuple[int, int, int, int], grain: int = 1) -> CanonicalImage:
    """A photo of random colours, each in a square of `grain` pixels a side, whose garment fills a box."""
    width, height = size
    colours = np.random.default_rng(1).integers(0, 256, (height // grain, width // grain, 3), np.uint8)
    return canonicalize(colours.repeat(grain, 0).repeat(grain, 1), segment=lambda photo: inside(size, box))


def test_a_view_of_its_own_size_is_a_crop() -> None:
    image = photographed((320, 280), (50, 70, 167, 100))
    # 1.15 x 167 = 192.05, so 192; (2 x 50 + 167 - 192) / 2 = 37.5, rounded down; (2 x 70 + 100 - 192) / 2 = 24
    assert image.view_geometry == Geometry((320, 280), (37, 24, 192, 192), (0, 0, 192, 192), canvas=192)
    np.testing.assert_array_equal(image.view, image.photo[24:216, 37:229])


def test_a_view_of_twice_its_size_is_averaged() -> None:
    image = photographed((560, 560), (85, 180, 334, 200), grain=2)
    # 1.15 x 334 = 384.1, the even 384; (2 x 85 + 334 - 384) / 2 = 60; (2 x 180 + 200 - 384) / 2 = 88
    assert image.view_geometry == Geometry((560, 560), (60, 88, 384, 384), (0, 0, 192, 192), canvas=192)
    np.testing.assert_array_equal(image.view, image.photo[88:472:2, 60:444:2])


def test_a_view_beyond_the_photo_repeats_its_edge() -> None:
    image = photographed((167, 100), (0, 0, 167, 100))
    # left (167 - 192) / 2 = -12.5, rounded down; top (100 - 192) / 2 = -46
    assert image.view_geometry == Geometry((167, 100), (0, 0, 167, 100), (13, 46, 167, 100), canvas=192)
    np.testing.assert_array_equal(image.view, np.pad(image.photo, ((46, 46), (13, 12), (0, 0)), mode="edge"))


def test_a_map_over_the_view_lands_on_what_the_view_shows() -> None:
    image = photographed((320, 280), (50, 70, 167, 100))
    values = np.random.default_rng(2).random((192, 192)).astype(np.float32)
    projected = image.view_geometry.project(values)
    np.testing.assert_array_equal(projected[24:216, 37:229], values)
    assert not projected[~inside((320, 280), (37, 24, 192, 192))].any()
    small = photographed((167, 100), (0, 0, 167, 100))
    np.testing.assert_array_equal(small.view_geometry.project(values), values[46:146, 13:180])


def test_where_the_garment_is_in_the_view() -> None:
    size, box = (320, 280), (50, 70, 167, 100)
    np.testing.assert_array_equal(photographed(size, box).view_mask, inside(size, box)[24:216, 37:229] * 255)


# Anything at all


@pytest.mark.parametrize("shape", [(2, 2), (2, 1000), (1000, 2), (3, 3), (5, 5), (27, 29), (28, 28), (2, 3000), (64, 64)])
@pytest.mark.parametrize("content", ["white", "black", "mid-gray", "colour", "gray noise", "colour noise", "one pixel"])
def test_extreme_pictures(shape: tuple[int, int], content: str) -> None:
    rng = np.random.default_rng(0)
    pictures = {
        "white": np.full(shape, 255, np.uint8),
        "black": np.zeros(shape, np.uint8),
        "mid-gray": np.full(shape, 128, np.uint8),
        "colour": np.full((*shape, 3), (200, 30, 30), np.uint8),
        "gray noise": rng.integers(0, 256, shape, np.uint8),
        "colour noise": rng.integers(0, 256, (*shape, 3), np.uint8),
        "one pixel": np.where(np.arange(shape[0] * shape[1]).reshape(shape) == shape[1] + 1, 0, 255).astype(np.uint8),
    }
    canonical = canonicalize(pictures[content])
    keep_promises(canonical)
    assert np.isfinite(canonical.geometry.project(np.ones((28, 28)))).all()
    assert canonical.geometry.pick(canonical.view_geometry.project(np.ones((192, 192)))).max() == pytest.approx(1)
    if content in ("white", "black"):
        assert not canonical.pixels.any()


def test_same_pixels_every_time_and_from_every_thread() -> None:
    rng = np.random.default_rng(3)
    photos = []
    for i in range(6):
        plain = rectangle((60 + 20 * i, 120, 90), (190, 60 + 10 * i, 40), (90, 120), (20, 20, 50, 80))
        photos.append(np.clip(plain + rng.normal(0, 25, plain.shape), 0, 255).astype(np.uint8))
    assert {canonicalize(photo).isolation for photo in photos} == {"segmentation"}
    alone = [canonicalize(photo).pixels for photo in photos]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda i: canonicalize(photos[i % 6]).pixels, range(48)))
    for i, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[i % 6])


def framed(level: int, odd_level: int, odd_count: int) -> UInt8Array:
    """A 26x26 picture: `level` everywhere, `odd_level` on `odd_count` of the 100 border pixels, a dark garment within."""
    gray = np.full((26, 26), level, np.uint8)
    gray[0, :odd_count] = odd_level
    gray[5:20, 5:20] = 10
    return gray


@pytest.mark.parametrize(
    ("gray", "level"),
    [
        (framed(255, 255, 0), 255),
        (framed(200, 200, 0), 200),
        (framed(199, 199, 0), None),  # plain, not white
        (framed(250, 0, 10), 250),  # 90 of 100 border pixels are plain
        (framed(250, 0, 11), None),
        (framed(250, 237, 26), 250),  # 13 levels away is still plain
        (framed(250, 236, 26), None),
        (framed(0, 0, 0), None),
    ],
)
def test_white_background(gray: UInt8Array, level: int | None) -> None:
    assert white_background(gray) == level
