"""What a form shows is worked out by hand from random colours, and the way back from where a form's pixels came from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest

from fashion_classifier import CanonicalImage, canonicalize
from fashion_classifier.forms import FORMS, Float32Array, Form, render_all
from fashion_classifier.manifest import FormName

NAMES: tuple[FormName, ...] = get_args(FormName)
BOX = (50, 70, 167, 100)  # left, top, width, height of the garment: the view is a crop, 1.15 x 167 = 192 px from (37, 24)


@pytest.fixture
def image() -> CanonicalImage:
    """A photo of random colours; every other row of the garment's box is garment."""
    photo = np.random.default_rng(1).integers(0, 256, (280, 320, 3), np.uint8)
    left, top, width, height = BOX
    mask = np.zeros((280, 320), np.bool_)
    mask[top : top + height : 2, left : left + width] = True
    mask[top + height - 1, left] = True
    return canonicalize(photo, segment=lambda photo: mask)


def cropped(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return values[24:216, 37:229].astype(np.float64)


def test_the_forms_are_those_of_a_manifest() -> None:
    assert tuple(FORMS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_rendered_for_a_network(image: CanonicalImage, name: FormName) -> None:
    form = FORMS[name]
    rendered = form.render([image, image])
    assert rendered.dtype == np.float32
    assert rendered.shape == (2, *form.shape)
    np.testing.assert_array_equal(rendered[0], rendered[1])
    assert (0 if name.startswith("canonical") else -1) <= rendered.min() < rendered.max() <= 1
    assert form.draw(image).dtype == np.uint8
    assert form.geometry(image).canvas == form.shape[0]


def test_canonical(image: CanonicalImage) -> None:
    (seen,) = FORMS["canonical"].render([image])
    np.testing.assert_allclose(seen[..., 0], image.pixels / 255, atol=1e-7)


def test_garment_has_the_mask_for_a_fourth_channel(image: CanonicalImage) -> None:
    (seen,) = FORMS["garment"].render([image])
    np.testing.assert_allclose(seen[..., :3], cropped(image.photo) / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(seen[..., 3], cropped(image.mask) * 2 - 1)


def test_the_edge_of_a_mask_is_averaged_where_the_view_shrinks() -> None:
    mask = np.zeros((560, 560), np.bool_)
    mask[180:380, 85:419] = True  # a view of 384 px from (60, 88), each pixel 2 x 2 of the photo: an odd column is half full
    image = canonicalize(np.random.default_rng(1).integers(0, 256, (560, 560, 3), np.uint8), segment=lambda photo: mask)
    channel = FORMS["garment"].draw(image)[..., 3]
    assert channel[62, 11:14].tolist() == [0, 128, 255]  # columns 82-83, 84-85 and 86-87


@pytest.mark.parametrize("name", ["canonical", "garment"])
def test_mirrored_is_the_mirror_image(image: CanonicalImage, name: FormName) -> None:
    upright, mirrored = FORMS[name], FORMS[f"{name} mirrored"]  # type: ignore[index]  # mypy knows no such literals
    np.testing.assert_array_equal(mirrored.draw(image), np.fliplr(upright.draw(image)))
    assert mirrored.geometry(image) == replace(upright.geometry(image), mirrored=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_map_lands_where_its_pixels_came_from(image: CanonicalImage, name: FormName) -> None:
    """A bright patch of the photo, left of the middle: where a form is brightest, the map drawn back is."""
    photo = np.full((280, 320, 3), 255, np.uint8)
    photo[70:170, 50:217] = 200
    photo[100:130, 60:100] = 0  # dark is light in the canonical form
    mask = np.zeros((280, 320), np.bool_)
    mask[70:170, 50:217] = True
    form, image = FORMS[name], canonicalize(photo, segment=lambda photo: mask)
    drawn = form.draw(image)[..., 0]
    found = (drawn > 150) if name.startswith("canonical") else (drawn < 50)
    back = form.geometry(image).project(found.astype(np.float32)) > 0.5
    expected = np.zeros((280, 320), bool)
    expected[100:130, 60:100] = True
    tolerance = 4 if name.startswith("canonical") else 0  # a pixel of the canonical form is 7 of the photo
    wide = np.zeros_like(expected)
    wide[100 - tolerance : 130 + tolerance, 60 - tolerance : 100 + tolerance] = True
    narrow = np.zeros_like(expected)
    narrow[100 + tolerance : 130 - tolerance, 60 + tolerance : 100 - tolerance] = True
    assert not (back & ~wide).any()
    assert back[narrow].all()


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(image: CanonicalImage, name: FormName) -> None:
    geometry = FORMS[name].geometry(image)
    column, row, columns, rows = geometry.placed
    values = np.zeros((geometry.canvas, geometry.canvas), np.float32)
    values[row : row + rows, column : column + columns // 3] = 1
    if geometry.mirrored:
        values = values[:, ::-1]
    np.testing.assert_allclose(geometry.pick(geometry.project(values)), values, atol=0.15)  # edges are smoothed
    left, _, width, _ = geometry.box
    assert geometry.project(values)[:, left + width // 2 :].max() == 0  # the left third of the photo's box, mirrored or not


def test_forms_at_once_are_those_one_by_one(image: CanonicalImage, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {name: FORMS[name].render([image, image]) for name in NAMES}
    rendered: list[Form] = []
    render = Form.render

    def counted(form: Form, images: Sequence[CanonicalImage]) -> Float32Array:
        rendered.append(form)
        return render(form, images)

    monkeypatch.setattr(Form, "render", counted)
    together = render_all(reversed(NAMES), [image, image])
    assert together.keys() == alone.keys()
    for name in NAMES:
        np.testing.assert_array_equal(together[name], alone[name])
    assert rendered == [FORMS["garment"], FORMS["canonical"]]
    assert render_all(["garment mirrored"], [image]).keys() == {"garment mirrored"}


def test_nothing_more_is_kept_of_a_picture(image: CanonicalImage) -> None:
    for form in FORMS.values():
        form.render([image])
        form.geometry(image)
    assert set(vars(image)) == {"pixels", "photo", "mask", "geometry", "isolation", "size"}
