import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fashion_classifier import LABELS
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
from train.pictures.phone import PHOTO_LABELS, PhonePhoto, phone_photos, photo_rows, shoe_kinds
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
from train.pictures.targets import SHOES, balanced, target


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(">4B", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """12,000 training and 20 test images; the first two pixels of a training image tell its number."""
    images = np.zeros((12_000, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(12_000), 256)
    labels = (np.arange(12_000) % 10).astype(np.uint8)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((20, 28, 28), np.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels[:20])
    return tmp_path


def test_fashion_mnist_plain_and_gzipped(idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_fashion_mnist(idx_folder)
    assert (len(data.training), len(data.validation), len(data.test)) == (7_000, 5_000, 20)
    np.testing.assert_array_equal(data.validation.targets.sum(axis=0), np.full(10, 500))
    numbers = {}
    for name, pictures in (("training", data.training), ("validation", data.validation)):
        numbers[name] = pictures.images[:, 0, 0].astype(int) * 256 + pictures.images[:, 0, 1]
        assert [LABELS.index(group) for group in pictures.groups] == (numbers[name] % 10).tolist()
    assert set(numbers["training"]).isdisjoint(numbers["validation"])
    assert len({*numbers["training"], *numbers["validation"]}) == 12_000
    # the split is the same for ever: later runs start from earlier ones, which must not have seen these
    assert sorted(numbers["validation"])[:6] == [0, 2, 4, 5, 7, 13]
    monkeypatch.setenv("FASHION_MNIST_DIR", str(idx_folder))
    np.testing.assert_array_equal(load_fashion_mnist().validation.images, data.validation.images)


def test_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No train-images-idx3-ubyte or train-images-idx3-ubyte\.gz in"):
        load_fashion_mnist(tmp_path)


def test_a_file_that_is_not_idx(idx_folder: Path) -> None:
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(b"PNG.")
    with pytest.raises(
        ValueError, match=r"train-labels-idx1-ubyte is not an IDX file of unsigned bytes; it starts with b'PNG\.'"
    ):
        load_fashion_mnist(idx_folder)


def test_target() -> None:
    np.testing.assert_array_equal(target(["Sandal", "Sneaker", "Ankle boot"]), [0, 0, 0, 0, 0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(target([]), np.zeros(10))


def test_every_label_maps_to_ours() -> None:
    assert {name for names in (*PHOTO_LABELS.values(), *STREET_LABELS.values()) for name in names} <= set(LABELS)


def test_splits_are_by_sender_and_stable() -> None:
    assert [split_of(str(sender)) for sender in (181, 95, 344, 48)] == ["training", "validation", "validation", "training"]
    counts = {split: sum(split_of(str(i)) == split for i in range(2_000)) for split in ("training", "validation", "test")}
    assert counts["training"] == pytest.approx(1_200, abs=100)
    assert counts["validation"] == pytest.approx(400, abs=70)


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
    assert [row["image"] for row in photo_rows(photos, "training")] == ["a", "b", "d"]


def test_a_split_without_photos(photos: Path) -> None:
    assert list(phone_photos(photos, "test")) == []


def test_phone_photos(photos: Path) -> None:
    found = list(phone_photos(photos, "training"))
    assert [(phone.name, phone.sender, phone.label) for phone in found] == [
        ("a", "181", "Shirt"),
        ("b", "181", "Shoes"),
        ("d", "181", "Hat"),
    ]
    with Image.open(photos / "images" / "a.jpg") as image:
        np.testing.assert_array_equal(found[0].photo, image)
    Image.new("L", (60, 80), 90).save(photos / "images" / "c.jpg")  # a gray photo is RGB all the same
    (validation,) = phone_photos(photos, "validation")
    np.testing.assert_array_equal(validation.photo, np.full((80, 60, 3), 90))


def test_which_shoe_it_is_where_somebody_has_looked() -> None:
    kinds = shoe_kinds()
    assert set(kinds.values()) == set(SHOES)
    name, kind = next(iter(kinds.items()))
    photo = np.zeros((8, 8, 3), np.uint8)
    assert PhonePhoto(name, "1", "Shoes", photo).accepted == (kind,)
    assert PhonePhoto("another", "1", "Shoes", photo).accepted == SHOES
    assert PhonePhoto("another", "1", "Blouse", photo).accepted == ("Shirt",)
    assert PhonePhoto("another", "1", "Hat", photo).accepted == ()


@pytest.mark.parametrize(
    ("share", "shirt", "shoes", "none"),
    [
        (1.0, 1 / 26, 1 / 26, 1 / 26),  # as frequent as they are
        (0.0, 1 / 48, 1 / 27, 1 / 3),  # all alike
        (0.5, 4 / 8 / 16, 3 / 8 / 9, 1 / 8),  # 16, 9 and 1 count as 4, 3 and 1
    ],
)
def test_balanced_by_hand(share: float, shirt: float, shoes: float, none: float) -> None:
    targets = np.stack([target(["Shirt"])] * 16 + [target(SHOES)] * 9 + [target([])])
    order = np.random.default_rng(0).permutation(26)
    expected = np.array([shirt] * 16 + [shoes] * 9 + [none])
    np.testing.assert_allclose(balanced(targets[order], share), expected[order])


def test_test_garments_named_by_eye_change_no_label() -> None:
    seen = street_by_eye()
    assert set(seen.values()) == {"T-shirt/top", "Pullover", "Dress", "Coat", "Shirt"}
    assert {split_of(street_run(number)) for number, _ in seen} == {"test"}
    photo, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool)
    for number, label in seen:
        garment = StreetGarment(number, label, photo, mask, mask, mask, (0, 0, 8, 8), 1.0)
        assert garment.accepted == STREET_LABELS[label]


def test_what_a_street_garment_is_where_somebody_has_looked() -> None:
    seen = street_classes()
    shoes = {kind for (_, label), kind in seen.items() if set(STREET_LABELS[label]) <= set(SHOES)}
    assert shoes == set(SHOES)
    assert set(seen.values()) - shoes == {"T-shirt/top", "Pullover", "Shirt", "Coat"}
    assert {split_of(street_run(number)) for number, _ in seen} == {"training", "validation"}  # what measures stays as it is
    photo, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool)

    def accepted(number: str, label: str) -> tuple[str, ...]:
        return StreetGarment(number, label, photo, mask, mask, mask, (0, 0, 8, 8), 1.0).accepted

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
    np.testing.assert_array_equal(garment.figure, mask > 0)
    np.testing.assert_array_equal(garment.skin, mask == 2)
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
    pixels, crop = StreetGarment("0001", "bag", photo, mask, mask, mask, (30, 2, 20, 40), 1.0).crop(0.1)
    np.testing.assert_array_equal(pixels, photo[0:46, 26:54])  # 4 pixels on every side, above only the 2 that there are
    np.testing.assert_array_equal(crop, mask[0:46, 26:54])


def test_joined() -> None:
    one = Pictures(np.zeros((2, 28, 28), np.uint8), np.eye(10, dtype=np.float32)[[0, 0]], ("a", "a"))
    two = Pictures(np.ones((2, 28, 28), np.uint8), np.eye(10, dtype=np.float32)[1:3], ("b", "c"))
    joined = Pictures.joined([one, two])
    assert joined.images[:, 0, 0].tolist() == [0, 0, 1, 1]
    assert joined.targets.argmax(axis=1).tolist() == [0, 0, 1, 2]
    assert joined.groups == ("a", "a", "b", "c")
