import json
import re
from pathlib import Path
from typing import Any

import pytest

from fashion_classifier import LABELS
from fashion_classifier.bundle import MANIFEST
from fashion_classifier.manifest import MOST_BYTES, parse_manifest
from tests.tiny_bundles import change, changed


@pytest.fixture
def folder(tiny_bundles: dict[str, Path], tmp_path: Path) -> Path:
    return changed(tiny_bundles["two looks"], tmp_path / "bundle")


def parse(folder: Path, **values: Any) -> None:
    change(folder, **values)
    parse_manifest((folder / MANIFEST).read_bytes())


def test_what_a_manifest_says(tiny_bundles: dict[str, Path]) -> None:
    text = (tiny_bundles["two looks"] / MANIFEST).read_text()
    manifest = parse_manifest(text.encode())
    assert manifest.to_json() == text
    assert (manifest.version, manifest.labels, manifest.uncertain_below) == ("1.0.0", LABELS, 0.05)
    assert list(manifest.experts) == ["thumbnail", "photo"]
    photo = manifest.experts["photo"]
    assert (photo.temperature, photo.smoothing, photo.energies) == (1.0, 0.0, (0.0, 1.0))
    assert [member.form for member in photo.members] == ["garment", "garment mirrored"]
    assert [member.file for member in photo.members] == ["photo-garment.tflite", "photo-garment-mirrored.tflite"]
    assert photo.architecture == "tiny"
    assert photo.explained == photo.members[0]


def test_who_answers(tiny_bundles: dict[str, Path]) -> None:
    for kind, of_photos in (("thumbnail", "thumbnail"), ("one look", "photo")):
        manifest = parse_manifest((tiny_bundles[kind] / MANIFEST).read_bytes())
        assert [manifest.expert_for(photo=photo) for photo in (False, True)] == ["thumbnail", of_photos]


def test_the_first_member_with_a_layer_explains(folder: Path) -> None:
    change(folder, experts__photo__members__0__explanation_layer=None, experts__thumbnail__members__0__explanation_layer=None)
    manifest = parse_manifest((folder / MANIFEST).read_bytes())
    assert manifest.experts["photo"].explained == manifest.experts["photo"].members[1]
    assert manifest.experts["thumbnail"].explained is None


NUMBER = "allowed is a number from"
PLACE = "experts.photo.temperature"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"version": ""}, "has '' for version; allowed is up to 40 letters, digits and . + -, such as 1.2.0."),
        ({"version": "<b>1</b>"}, "has '<b>1</b>' for version; allowed is up to 40 letters"),
        ({"version": "1.0\n"}, r"has '1.0\n' for version; allowed is up to 40 letters"),
        ({"version": "1" * 5000}, "has '111111111111...1111111111111' for version; allowed is up to 40 letters"),
        ({"version": 1}, "has 1 for version; allowed is up to 40 letters"),
        ({"labels": None}, "has None for labels; allowed is ['T-shirt/top', 'Trouser',"),
        ({"labels": ["Hat"]}, "has ['Hat'] for labels; allowed is ['T-shirt/top', 'Trouser',"),
        ({"preprocessing": 3}, "has 3 for preprocessing; allowed is text."),
        (
            {"preprocessing": "0"},
            "was made for preprocessing version '0', this package has '4'. Use the version of the package that",
        ),
        ({"uncertain_below": 1.5}, f"has 1.5 for uncertain_below; {NUMBER} 0 to 1."),
        ({"uncertain_below": "x"}, f"has 'x' for uncertain_below; {NUMBER} 0 to 1."),
        ({"uncertain_below": True}, f"has True for uncertain_below; {NUMBER} 0 to 1."),
        ({"metrics": [1]}, "has [1] for metrics; allowed is an object."),
        (
            {"files": None},
            "has None for files; allowed is for each name, a file name of up to 100 letters, digits and . _ -, its",
        ),
        ({"files": {"../x": "0" * 64}}, "for files; allowed is for each name"),
        ({"files": {"..": "0" * 64}}, "for files; allowed is for each name"),
        ({"files": {"a/b": "0" * 64}}, "for files; allowed is for each name"),
        ({"files": {"x": "0"}}, "has {'x': '0'} for files; allowed is for each name"),
        ({"files": {"x": 0}}, "has {'x': 0} for files; allowed is for each name"),
        ({"experts": {}}, "has {} for experts; allowed is 'thumbnail' and perhaps 'photo'."),
        ({"experts": {"photo": {}}}, "has {'photo': {}} for experts; allowed is 'thumbnail' and perhaps 'photo'."),
        ({"experts": []}, "has [] for experts; allowed is 'thumbnail' and perhaps 'photo'."),
        ({"experts__street": {}}, "for experts; allowed is 'thumbnail' and perhaps 'photo'."),
        ({"experts__photo": None}, "has None for experts.photo; allowed is an object."),
        (
            {"experts__photo": {}},
            "lacks ['energies', 'members', 'smoothing', 'temperature'] and has unknown [] in experts.photo.",
        ),
        ({"experts__photo__flip": True}, "lacks [] and has unknown ['flip'] in experts.photo."),
        ({"experts__photo__temperature": 0}, f"has 0 for {PLACE}; {NUMBER} 0.01 to 100."),
        ({"experts__photo__temperature": True}, f"has True for {PLACE}; {NUMBER} 0.01 to 100."),
        ({"experts__photo__temperature": 5e-324}, f"has 5e-324 for {PLACE}; {NUMBER} 0.01 to 100."),
        ({"experts__photo__temperature": 10**400}, f"has 100000000000000000...0000000000000000000 for {PLACE}; {NUMBER} 0.01"),
        ({"experts__photo__temperature": float("nan")}, f"has nan for {PLACE}; {NUMBER} 0.01 to 100."),
        ({"experts__photo__temperature": float("inf")}, f"has inf for {PLACE}; {NUMBER} 0.01 to 100."),
        ({"experts__photo__temperature": "1"}, f"has '1' for {PLACE}; {NUMBER} 0.01 to 100."),
        ({"experts__photo__smoothing": 1}, f"has 1 for experts.photo.smoothing; {NUMBER} 0 to 0.9."),
        ({"experts__photo__smoothing": -0.1}, f"has -0.1 for experts.photo.smoothing; {NUMBER} 0 to 0.9."),
        ({"experts__photo__smoothing": None}, f"has None for experts.photo.smoothing; {NUMBER} 0 to 0.9."),
        ({"experts__photo__energies": []}, "has [] for experts.photo.energies; allowed is 2 to 10000 ascending numbers"),
        ({"experts__photo__energies": [2.0]}, "has [2.0] for experts.photo.energies; allowed is 2 to 10000 ascending"),
        ({"experts__photo__energies": [2.0, 1.0]}, "has [2.0, 1.0] for experts.photo.energies; allowed is 2 to 10000"),
        ({"experts__photo__energies": [1.0, "x"]}, "has [1.0, 'x'] for experts.photo.energies; allowed is 2 to 10000"),
        ({"experts__photo__energies": [False, True]}, "has [False, True] for experts.photo.energies; allowed is 2 to"),
        ({"experts__photo__energies": [0.0, float("nan")]}, "has [0.0, nan] for experts.photo.energies; allowed is 2 to"),
        ({"experts__photo__energies": [-1e308, 1e308]}, "has [-1e+308, 1e+308] for experts.photo.energies; allowed is 2"),
        ({"experts__photo__members": []}, "has [] for experts.photo.members; allowed is a list of 1 to 10 members."),
        ({"experts__photo__members": {}}, "has {} for experts.photo.members; allowed is a list of 1 to 10 members."),
        ({"experts__photo__members__1": "x"}, "has 'x' for experts.photo.members[1]; allowed is an object."),
        (
            {"experts__photo__members__1": {"form": "plain"}},
            "lacks ['architecture', 'evidence', 'explanation_layer', 'file', 'keras'] and has unknown [] in experts.photo.",
        ),
        (
            {"experts__photo__members__1__form": "sketch"},
            "has 'sketch' for experts.photo.members[1].form; allowed is one of canonical, canonical mirrored, garment, "
            "garment mirrored.",
        ),
        (
            {"experts__photo__members__1__form": ["garment"]},
            "has ['garment'] for experts.photo.members[1].form; allowed is one of",
        ),
        (
            {"experts__photo__members__1__file": "../photo.tflite"},
            "has '../photo.tflite' for experts.photo.members[1].file; allowed is a file name of up to 100 letters",
        ),
        (
            {"experts__photo__members__1__file": "other.tflite"},
            "has 'other.tflite' for experts.photo.members[1].file; allowed are the names in files.",
        ),
        (
            {"experts__photo__members__1__keras": "other.keras"},
            "has 'other.keras' for experts.photo.members[1].keras; allowed are the names in files.",
        ),
        (
            {"experts__photo__members__1__architecture": "<i>"},
            "has '<i>' for experts.photo.members[1].architecture; allowed is",
        ),
        (
            {"experts__photo__members__1__explanation_layer": "\0"},
            r"has '\x00' for experts.photo.members[1].explanation_layer; allowed is null or a name of up to 200 printable char",
        ),
        ({"experts__photo__members__1__explanation_layer": ""}, "has '' for experts.photo.members[1].explanation_layer; all"),
        ({"experts__photo__members__1__evidence": 1}, "has 1 for experts.photo.members[1].evidence; allowed is true or false."),
        ({"surprise": 1}, "lacks [] and has unknown ['surprise']."),
        (
            {"format": 5},
            "has format 5, this package reads 8. It was made for an older version of this package: use that one, or another",
        ),
        ({"format": 9}, "has format 9, this package reads 8. It was made for a newer version of this package: update fashion-"),
        ({"format": 6.0}, "has format 6.0, this package reads 8."),
        ({"format": None}, "has format None, this package reads 8."),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_a_manifest_must_not_say(folder: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse(folder, **values)
    assert len(str(caught.value)) < 500
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"version: 1", r"is not JSON: Expecting value: line 1 column 1 (char 0)."),
        (b"\xff{}", "is not JSON: "),
        (b"[]", "has format 'list', this package reads 8."),
        (b'{"format": ' + b"[" * 200_000, "nests lists and objects too deeply; three or four levels are enough."),
        (b'{"format": ' + b"1" * 5_000 + b"}", "is not JSON: Exceeds the limit (4300 digits) for integer string conversion"),
        (b" " * (MOST_BYTES + 1), "has more than 1,000,000 bytes, the most that is allowed."),
    ],
    ids=["no JSON", "no UTF-8", "a list", "nested", "a long number", "a long text"],
)
def test_what_is_no_manifest(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as caught:
        parse_manifest(text)
    assert len(str(caught.value)) < 200


def test_a_value_that_nests_deeply_is_shortened(folder: Path) -> None:
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    with pytest.raises(ValueError, match=re.escape("has [[...]] for experts; allowed is 'thumbnail'")):
        parse(folder, experts=nested)


def test_every_sentence_is_for_a_manifest_that_was_good(folder: Path) -> None:
    parse_manifest(json.dumps(json.loads((folder / MANIFEST).read_text())).encode())
