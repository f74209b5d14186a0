"""The report on outfits, of drawn people: a segmenter finds what is dark, and colours are names (tests/stand_ins.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import FashionClassifier
from tests.boxed_garments import grid
from tests.stand_ins import FindingParts, Naming, dark
from train.pictures.street import StreetPhoto
from train.reports import outfits
from train.reports.outfits import Listed, Pointed, Tagged, compare, evaluate, point_at, tagged_classes

NAMES = ("null", "skin", "boots", "coat", "skirt", "jeans", "shoes")
RED, GREEN, BLUE = (120, 0, 0), (0, 120, 0), (0, 0, 120)  # an ankle boot, a coat, a pair of trousers


def street(*garments: tuple[int, tuple[int, int, int], tuple[int, int, int, int]]) -> StreetPhoto:
    """A gray photo of 80x80 with garments of (value of the label, colour, box)."""
    photo, labels = np.full((80, 80, 3), 190, np.uint8), np.zeros((80, 80), np.uint8)
    for value, colour, box in garments:
        photo[grid(box)], labels[grid(box)] = colour, value
    return StreetPhoto("0", photo, labels, NAMES)


@pytest.fixture
def classifier() -> FashionClassifier:
    return Naming(FindingParts(dark))


PERSON = street(
    (3, GREEN, (20, 10, 40, 20)),  # a coat
    (5, RED, (20, 40, 40, 10)),  # trousers that are called boots
    (6, RED, (5, 60, 20, 10)),  # shoes: boots are among them
    (4, BLUE, (40, 60, 20, 10)),  # a skirt that is called trousers
    (2, RED, (70, 70, 9, 9)),  # boots, 1.3 % of the photo
)


def test_every_garment_is_pointed_at(classifier: FashionClassifier) -> None:
    shoes = ("Sandal", "Sneaker", "Ankle boot")
    assert point_at(classifier, PERSON) == [
        Pointed("boots", ("Ankle boot",), "Ankle boot", 1.0),
        Pointed("coat", ("Coat",), "Coat", 1.0),
        Pointed("jeans", ("Trouser",), "Ankle boot", 1.0),
        Pointed("shoes", shoes, "Ankle boot", 1.0),
    ]


def test_a_list_is_compared_by_hand(classifier: FashionClassifier) -> None:
    found = classifier.find_garments(PERSON.photo)
    assert len(found) == 5
    garments = list(PERSON.garments(0))
    # of coat, jeans and shoes two are named rightly; the skirt is named; the boots are too small to be missed, and right
    assert compare(found, garments, PERSON.labels > 1) == Listed(garments=3, found=4, right=2, invented=0)
    assert compare([], garments, PERSON.labels > 1) == Listed(3, 0, 0, 0)
    assert compare(found, [], np.zeros((80, 80), np.bool_)) == Listed(0, 5, 0, 5)


def test_a_garment_is_found_once(classifier: FashionClassifier) -> None:
    """The halves of a coat are two in the list; neither is more than half of it."""
    halves = street((3, GREEN, (20, 10, 40, 20)), (1, (190, 190, 190), (39, 10, 2, 20)))
    whole = street((3, GREEN, (20, 10, 40, 20)))
    found = classifier.find_garments(halves.photo)
    assert len(found) == 2
    assert compare(found, list(whole.garments(0)), whole.labels > 1) == Listed(1, 2, 0, 0)


def test_the_report(classifier: FashionClassifier, tmp_path: Path) -> None:
    Image.fromarray(PERSON.photo).save(tmp_path / "person.png")
    people: list[Tagged] = [(tmp_path / "person.png", [("Coat",), ("Bag",)])]
    report, pictures = evaluate(classifier, [PERSON, street((3, GREEN, (20, 10, 40, 20)))], people, "validation")
    assert [caption for _, caption in pictures][1] == "Coat"
    assert (report.pointed["n"], report.pointed["right"], report.pointed["IoU"]) == (5, 4 / 5, 1)
    assert list(report.pointed["classes"]) == ["Trouser", "Coat", "Ankle boot", "Shoes"]
    assert report.pointed["classes"]["Coat"]["n"] == 2
    listed = report.listed
    assert [listed[name] for name in ("photos", "garments", "found", "invented")] == [2, 4, 5, 0]
    assert (listed["precision"], listed["recall"], listed["F1"]) == (3 / 5, 3 / 4, 2 * 3 / (4 + 5))
    # coat, ankle boot and trousers are named: one of three is tagged, and one of two tags is named
    assert report.tagged == {"photos": 1, "names": 3, "tags": 2, "named": pytest.approx(1 / 3), "tagged": 0.5}
    assert report.confusion["jeans"] == {"Ankle boot": 1}
    text = report.to_markdown()
    for part in (
        "# Version ",
        "Pointed at, 5 garments of 1% of their photo or more: mean intersection over union 1.000, named rightly 80.0% (",
        "| Coat | 2 | 1.000 | 100.0% |",
        "All garments of 2 photos: F1 0.667 (precision 0.600, recall 0.750)",
        "of the 5 listed ones 0.0% show no garment.",
        "Of the 3 names for 1 people 33.3% are among their tags; of the 2 tagged classes",
    ):
        assert part in text


def test_nothing_to_point_at(classifier: FashionClassifier) -> None:
    with pytest.raises(ValueError, match=r"The test split has no garment of one of the ten that covers 1% of its photo\."):
        evaluate(classifier, [street((4, BLUE, (40, 60, 20, 10)))], [], "test")


def test_tags(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("photo,tags\n0011,coat shoes hair skirt jacket\n0012,belt\n")
    listed = [one for split in ("training", "validation", "test") for one in tagged_classes(tmp_path, split)]
    photos = tmp_path / "photos"
    assert listed == [
        (photos / "0011.jpg", [("Coat",), ("Sandal", "Sneaker", "Ankle boot")]),
        (photos / "0012.jpg", []),
    ]


def test_command_line(classifier: FashionClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FashionClassifier, "from_pretrained", lambda path: classifier)
    monkeypatch.setattr(outfits, "street_photos", lambda folder, split: iter([PERSON]))
    sheet = tmp_path / "sheet.png"
    outfits.main(["bundle", "--street", "there", "--out", f"{tmp_path / 'report'}", "--sheet", f"{sheet}"])
    written = json.loads((tmp_path / "report" / "outfits.json").read_text())
    assert (written["split"], written["tagged"], written["listed"]["garments"]) == ("test", None, 3)
    assert "# Version" in (tmp_path / "report" / "outfits.md").read_text()
    with Image.open(sheet) as written_sheet:
        assert written_sheet.width > 1000
