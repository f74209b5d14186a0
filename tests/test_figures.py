"""Figures of thumbnails: drawn by Matplotlib and by Pillow, and to be read back as the thumbnails that they show."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure as Plot
from PIL import Image

from fashion_classifier import predict
from fashion_classifier.figures import border_values, find_figure
from fashion_classifier.images import load_image
from fashion_classifier.preprocessing import CanonicalImage, Geometry, as_photo, canonicalize
from train.pictures.fashion_mnist import Pictures

UInt8Array = npt.NDArray[np.uint8]

SHOWN = slice(0, 200, 25)  # of the fixture's thumbnails: eight of them


def plot(
    pixels: UInt8Array,
    cmap: str | None = None,
    *,
    axes: bool = True,
    size: tuple[float, float] = (6.4, 4.8),
    title: str = "",
    colour_bar: bool = False,
    interpolation: str | None = None,
    **options: Any,
) -> bytes:
    """What `imshow` and `savefig` make of a thumbnail."""
    figure = Plot(figsize=size)
    subplot = figure.subplots()
    image = subplot.imshow(pixels, cmap=cmap, interpolation=interpolation)
    subplot.set_title(title)
    subplot.set_axis_on() if axes else subplot.set_axis_off()
    if colour_bar:
        figure.colorbar(image)
    file = io.BytesIO()
    figure.savefig(file, **{"format": "png"} | options)
    return file.getvalue()


def coloured(pixels: UInt8Array, cmap: str) -> UInt8Array:
    """(28, 28) -> (28, 28, 3), by Matplotlib's own table."""
    return np.asarray(mpl.colormaps[cmap](pixels, bytes=True)[..., :3], np.uint8)


def read(picture: Any, pixels: UInt8Array, tolerance: float) -> CanonicalImage:
    """The picture as the library takes it, which must show the pixels: mean difference at most the tolerance."""
    canonical = canonicalize(picture)
    assert canonical.isolation == "figure"
    assert np.abs(canonical.pixels.astype(int) - stretched(pixels)).mean() <= tolerance
    assert as_photo(canonical) is None
    return canonical


def stretched(pixels: UInt8Array) -> npt.NDArray[np.float64]:
    """As `imshow` does: the least level is drawn as 0, the largest as 255."""
    return np.interp(pixels, [pixels.min(), pixels.max()], [0, 255])


@pytest.mark.parametrize("cmap", ["viridis", "plasma", "magma", "inferno", "cividis", "turbo", "viridis_r", "gray", "binary"])
def test_every_colour_map_with_axes(thumbnails: Pictures, cmap: str) -> None:
    for pixels in thumbnails.images[SHOWN]:
        shown = read(plot(pixels, cmap), pixels, tolerance=1.5)
        left, top, width, height = shown.geometry.box
        # 4.8 inches of 100 pixels, of which Matplotlib's margins leave 77 %; centred on 51.25 % and 50.5 %
        assert (left + width / 2, top + height / 2) == pytest.approx((328, 242.4), abs=2)
        assert (width, height) == pytest.approx((369.6, 369.6), abs=3)
        assert shown.mask.sum() == width * height


def test_jet_which_opencv_defines_a_little_otherwise(thumbnails: Pictures) -> None:
    for pixels in thumbnails.images[SHOWN]:
        read(plot(pixels, "jet"), pixels, tolerance=4)


@pytest.mark.parametrize(
    "options",
    [
        {"axes": False, "cmap": "gray"},
        {"axes": False},
        {"title": "Ankle boot", "colour_bar": True},
        {"cmap": "binary", "colour_bar": True},
        {"cmap": "binary", "size": (2, 2), "title": "x"},
        {"cmap": "gray", "size": (1.5, 1.5)},
        {"dpi": 60},
        {"dpi": 240},
        {"bbox_inches": "tight"},
        {"cmap": "gray", "axes": False, "bbox_inches": "tight"},
        {"facecolor": "black"},
        {"transparent": True},
        {"format": "jpg"},
    ],
    ids=str,
)
def test_plots_of_all_kinds(thumbnails: Pictures, options: dict[str, Any]) -> None:
    for pixels in thumbnails.images[SHOWN]:
        read(plot(pixels, **options), pixels, tolerance=2)


@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos"])
def test_smooth_interpolation(thumbnails: Pictures, interpolation: str) -> None:
    for pixels in thumbnails.images[SHOWN]:
        read(plot(pixels, interpolation=interpolation), pixels, tolerance=6)


def enlarged(picture: UInt8Array, factor: int, method: Image.Resampling = Image.Resampling.NEAREST) -> UInt8Array:
    height, width = picture.shape[:2]
    return np.asarray(Image.fromarray(picture).resize((factor * width, factor * height), method))


@pytest.mark.parametrize(
    "draw",
    [
        lambda pixels: coloured(pixels, "viridis"),
        lambda pixels: enlarged(coloured(pixels, "viridis"), 10),
        lambda pixels: enlarged(coloured(pixels, "plasma"), 8, Image.Resampling.BICUBIC),
    ],
    ids=["as small as it is", "enlarged", "enlarged smoothly"],
)
def test_colours_alone(thumbnails: Pictures, draw: Callable[[UInt8Array], UInt8Array]) -> None:
    for pixels in thumbnails.images[SHOWN]:
        canonical = canonicalize(draw(pixels))
        assert canonical.isolation == "figure"
        assert np.abs(canonical.pixels.astype(int) - pixels).mean() <= 2


@pytest.mark.parametrize("page", [255, 200])
@pytest.mark.parametrize("factor", [1, 5, 10])
def test_on_a_page(thumbnails: Pictures, page: int, factor: int) -> None:
    side = 28 * factor
    for pixels in thumbnails.images[SHOWN]:
        picture = np.full((600, 500), page, np.uint8)
        picture[100 : 100 + side, 150 : 150 + side] = enlarged(pixels, factor)
        canonical = canonicalize(picture)
        np.testing.assert_array_equal(canonical.pixels, pixels)
        assert canonical.geometry == Geometry((500, 600), (150, 100, side, side), (0, 0, 28, 28))


@pytest.mark.parametrize(("width", "level"), [(1, 255), (2, 128), (10, 255)])
@pytest.mark.parametrize("factor", [1, 8])
def test_within_a_border(thumbnails: Pictures, width: int, level: int, factor: int) -> None:
    for pixels in thumbnails.images[SHOWN]:
        framed = np.pad(pixels, width, constant_values=level)
        np.testing.assert_array_equal(canonicalize(enlarged(framed, factor)).pixels, pixels)
        np.testing.assert_array_equal(canonicalize(enlarged(~framed, factor)).pixels, pixels)


def test_figures_are_answered_as_thumbnails(thumbnails: Pictures) -> None:
    for pixels, label in zip(thumbnails.images[::40], thumbnails.groups[::40], strict=True):
        bare, shown = predict(pixels), predict(plot(pixels, "gray", axes=False))
        assert bare.label == shown.label == label
        assert shown.confidence == pytest.approx(bare.confidence, abs=0.05)


def test_thumbnails_without_a_page_are_no_figures(thumbnails: Pictures) -> None:
    for pixels in thumbnails.images:
        for gray in (pixels, ~pixels, enlarged(pixels, 4), np.stack([pixels] * 3, axis=2)):
            assert find_figure(gray) is None


def test_photos_are_no_figures(example_labels: dict[Path, str]) -> None:
    photos = [path for path in example_labels if path.suffix == ".jpg"]
    assert len(photos) >= 10
    for path in photos:
        photo = load_image(path)
        assert find_figure(photo) is None
        for side in (28, 60, 112):
            small = np.asarray(Image.fromarray(photo).resize((side, side)))
            assert find_figure(small) is None
            page = np.full((200, 200, 3), 255, np.uint8)
            page[20 : 20 + side, 30 : 30 + side] = small
            assert find_figure(page) is None


def test_a_square_with_more_detail_is_no_figure() -> None:
    page = np.full((400, 400), 255, np.uint8)
    page[50:330, 50:330] = 0
    page[80:300:5, 80:300] = 180  # half as far apart as cells
    assert find_figure(page) is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_picture_is_no_figure(level: int) -> None:
    assert find_figure(np.full((60, 60), level, np.uint8)) is None
    assert find_figure(np.full((60, 60, 3), level, np.uint8)) is None


def test_border_values_are_each_pixel_once() -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert sorted(border_values(gray).tolist()) == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
    assert sorted(border_values(gray[:2, :2]).tolist()) == [0, 1, 4, 5]
    assert border_values(np.zeros((5, 6, 3), np.uint8)).shape == (18, 3)
