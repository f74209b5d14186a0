from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fashion_classifier import LABELS
from train.pictures.phone import PHOTO_LABELS, rows, shoe_kinds
from train.pictures.targets import SHOES


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Senders 95 (validation) and 181 (training), four photos with labels of each kind."""
    (tmp_path / "images").mkdir()
    rows = [("a", "181", "Shirt"), ("b", "181", "Shoes"), ("c", "95", "T-Shirt"), ("d", "181", "Hat"), ("e", "181", "Not sure")]
    (tmp_path / "photos.csv").write_text(
        "image,sender_id,label,kids\n" + "".join(f"{i},{s},{lab},False\n" for i, s, lab in rows)
    )
    for name, *_ in rows:
        image = Image.new("RGB", (60, 80), (180, 150, 120))
        ImageDraw.Draw(image).rectangle((15, 20, 44, 69), (30, 40, 160))
        image.save(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def test_rows_of_a_split(photos: Path) -> None:
    found = rows(photos, "training")
    assert [(row.name, row.group, row.label, row.accepted) for row in found] == [
        ("a", "181", "Shirt", ("Shirt",)),
        ("b", "181", "Shoes", SHOES),
        ("d", "181", "Hat", ()),
    ]
    with Image.open(photos / "images" / "a.jpg") as image:
        np.testing.assert_array_equal(found[0].load(), image)
    assert rows(photos, "test") == []


def test_a_gray_photo_is_rgb_all_the_same(photos: Path) -> None:
    Image.new("L", (60, 80), 90).save(photos / "images" / "c.jpg")
    (validation,) = rows(photos, "validation")
    np.testing.assert_array_equal(validation.load(), np.full((80, 60, 3), 90))


def test_which_shoe_it_is_where_somebody_has_looked(photos: Path) -> None:
    kinds = shoe_kinds()
    assert set(kinds.values()) == set(SHOES)
    name, kind = next(iter(kinds.items()))
    (photos / "photos.csv").write_text(f"image,sender_id,label,kids\n{name},181,Shoes,False\nx,181,Shoes,False\n")
    assert [row.accepted for row in rows(photos, "training")] == [(kind,), SHOES]


def test_every_label_maps_to_ours() -> None:
    assert {name for names in PHOTO_LABELS.values() for name in names} <= set(LABELS)
