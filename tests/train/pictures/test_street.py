from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from fashion_classifier import LABELS
from train.pictures.splits import Split, split_of
from train.pictures.street import (
    STREET_LABELS,
    StreetGarment,
    street_by_eye,
    street_classes,
    street_garments,
    street_photos,
    street_run,
)
from train.pictures.targets import SHOES


def test_test_garments_named_by_eye_change_no_label() -> None:
    seen = street_by_eye()
    assert set(seen.values()) == {"T-shirt/top", "Pullover", "Dress", "Coat", "Shirt"}
    assert {split_of(street_run(number)) for number, _ in seen} == {"test"}
    photo, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool)
    for number, label in seen:
        garment = StreetGarment(number, label, photo, mask, (0, 0, 8, 8), 1.0)
        assert garment.accepted == STREET_LABELS[label]


def test_what_a_street_garment_is_where_somebody_has_looked() -> None:
    seen = street_classes()
    shoes = {kind for (_, label), kind in seen.items() if set(STREET_LABELS[label]) <= set(SHOES)}
    assert shoes == set(SHOES)
    assert set(seen.values()) - shoes == {"T-shirt/top", "Pullover", "Shirt", "Coat"}
    assert {split_of(street_run(number)) for number, _ in seen} == {"training", "validation"}  # what measures stays as it is
    photo, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool)

    def accepted(number: str, label: str) -> tuple[str, ...]:
        return StreetGarment(number, label, photo, mask, (0, 0, 8, 8), 1.0).accepted

    corrected = next((key, kind) for key, kind in seen.items() if STREET_LABELS[key[1]] != (kind,))
    assert accepted(*corrected[0]) == (corrected[1],)
    assert accepted("9999", "blouse") == ("Shirt",)
    assert accepted(corrected[0][0], "hat") == ()
    assert accepted("0007", "shoes") == SHOES  # of no plain kind


def test_street(tmp_path: Path) -> None:
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "labels.json").write_text('["null", "bag", "skin", "shoes"]')
    mask = np.zeros((100, 100), np.uint8)
    mask[10:50, 20:40] = 1  # a bag: 40 rows, 20 columns, but for 60 of its pixels
    mask[60:90, 60:90] = 2  # skin: nobody's class
    mask[95:97, 0:3] = 3  # a shoe of 6 pixels: too small
    mask[10:20, 20:24] = 2  # skin in the bag's box
    mask[40:50, 38:40] = 3  # a shoe in the bag's box
    photo = np.full((100, 100, 3), 200, np.uint8)
    photo[mask == 1] = 55
    assert street_run("0001") == "street 000"
    split = split_of("street 000")
    Image.fromarray(photo).save(tmp_path / "photos" / "0001.jpg", quality=100)
    Image.fromarray(mask).save(tmp_path / "masks" / "0001.png")
    (street,) = street_photos(tmp_path, split)
    assert (street.number, street.names) == ("0001", ("null", "bag", "skin", "shoes"))
    np.testing.assert_array_equal(street.labels, mask)
    np.testing.assert_array_equal(street.photo, Image.open(tmp_path / "photos" / "0001.jpg"))
    (garment,) = street_garments(tmp_path, split, smallest=0.01)
    assert (garment.number, garment.label, garment.box) == ("0001", "bag", (20, 10, 20, 40))
    np.testing.assert_array_equal(garment.mask, mask == 1)
    assert garment.share == 740 / 760  # nobody wears skin
    assert garment.is_main
    assert not replace(garment, share=0.5).is_main
    np.testing.assert_array_equal(garment.photo, Image.open(tmp_path / "photos" / "0001.jpg"))
    assert list(street_garments(tmp_path, split, smallest=0.09)) == []  # the bag covers 8 %
    other: Split = "test" if split == "training" else "training"
    assert list(street_garments(tmp_path, other, smallest=0)) == []


def test_a_crop_has_its_margin_up_to_the_edge() -> None:
    photo = np.arange(100 * 100 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 100, 3)
    mask = np.zeros((100, 100), bool)
    mask[2:42, 30:50] = True
    pixels, crop = StreetGarment("0001", "bag", photo, mask, (30, 2, 20, 40), 1.0).crop(0.1)
    np.testing.assert_array_equal(pixels, photo[0:46, 26:54])  # 4 pixels on every side, above only the 2 that there are
    np.testing.assert_array_equal(crop, mask[0:46, 26:54])


def test_every_label_maps_to_ours() -> None:
    assert {name for names in STREET_LABELS.values() for name in names} <= set(LABELS)
