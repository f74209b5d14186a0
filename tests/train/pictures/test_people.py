from pathlib import Path

import pytest

from train.pictures.people import crop_rows, rows, upper_garment
from train.pictures.splits import split_of
from train.pictures.street import street_run


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("bag boots coat pants sweater", ("Coat",)),
        ("dress jacket", ("Coat",)),
        ("bag dress shoes", ("Dress",)),
        ("blouse skirt", ("Shirt",)),
        ("jeans t-shirt top", ("T-shirt/top",)),
        ("shirt sweater", ("Pullover", "Shirt")),  # the tags do not say which is seen
        ("cardigan t-shirt", ("Coat", "Pullover", "T-shirt/top")),
        ("jumper shirt", ()),  # mostly a jumpsuit
        ("vest", ()),
        ("pants shoes", ()),
    ],
)
def test_the_upper_garment_of_tags(tags: str, expected: tuple[str, ...]) -> None:
    assert upper_garment(tags.split()) == expected


def test_photos_and_crops_of_one_run_share_their_split(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("photo,tags\n1005,bag coat\n1006,pants shoes\n")
    (tmp_path / "crops.csv").write_text("image,original_label,class\n1005_upper.jpg,coat,Coat\n1006_feet.jpg,boots,?\n")
    split = split_of(street_run("1005"))
    (photo,) = rows(tmp_path, split)
    (crop,) = crop_rows(tmp_path, split)
    assert (photo.path, photo.group, photo.label, photo.accepted) == (
        tmp_path / "photos" / "1005.jpg",
        "street 100",
        "bag coat",
        ("Coat",),
    )
    assert (crop.path, crop.group, crop.label, crop.accepted) == (
        tmp_path / "crops" / "1005_upper.jpg",
        "street 100",
        "coat",
        ("Coat",),
    )
    others = {"training", "validation", "test"} - {split}
    assert [rows(tmp_path, other) + crop_rows(tmp_path, other) for other in others] == [[], []]  # type: ignore[arg-type]
