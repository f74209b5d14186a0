import json
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import FashionClassifier
from tests.stand_ins import Naming
from tests.tiny_folders import write_folders
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.outliers import FITTED, TESTED
from train.pictures.rows import Row
from train.reports import typicality
from train.reports.thumbnails import wilson
from train.reports.typicality import Asked, ask, evaluate_typicality, keep, main, separate

GOOD = Asked([0.9, 0.5, 0.04, 0.3], [False, False, True, False])


def test_separation_by_hand() -> None:
    # of 2 x 4 pairs the good one is more typical in 4 (against 0.01) and 3 (against 0.2: not 0.04), a half counts for a tie
    found = separate("hats", Asked([0.01, 0.2], [True, False]), "photos", GOOD)
    assert (found.kind, found.good, found.n) == ("hats", "photos", (2, 4))
    assert found.auroc == pytest.approx(7 / 8)
    assert separate("hats", Asked([0.3, 0.01], [False, True]), "photos", GOOD).auroc == pytest.approx((2.5 + 4) / 8)
    assert (found.refused, found.interval) == (0.5, wilson(1, 2))


def test_kept_by_hand() -> None:
    found = keep("photos", GOOD)
    assert (found.good, found.n, found.kept, found.interval) == ("photos", 4, 0.75, wilson(3, 4))


def test_what_is_asked_is_what_predict_says() -> None:
    pictures = [np.full((40, 30, 3), colour, np.uint8) for colour in ((90, 20, 20), (5, 5, 9))]
    assert ask(Naming(), pictures) == Asked([90 / 255, 9 / 255], [False, True])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, thumbnails: Pictures) -> str:
    """A bundle for the command line, few images and few far pictures."""
    few, fewer = thumbnails.take(np.arange(0, 200, 10)), thumbnails.take(np.arange(0, 200, 20))
    monkeypatch.setattr(FashionClassifier, "from_pretrained", {Path("bundle"): Naming()}.__getitem__)
    monkeypatch.setattr(typicality, "load_fashion_mnist", lambda folder: FashionMNIST(thumbnails, few, fewer))
    monkeypatch.setattr(typicality, "FAR", 2)
    return "bundle"


def test_the_report(bundle: str, folders: dict[str, Path], tmp_path: Path) -> None:
    options = [f"--{name}={folders[name]}" for name in ("photos", "shop", "things")]
    main([bundle, *options, "--split", "validation", "--out", str(tmp_path / "report")])
    report = json.loads((tmp_path / "report" / "typicality.json").read_text())
    assert [(kept["good"], kept["n"]) for kept in report["kept"]] == [
        ("phone photos", 1),
        ("shop products", 1),
        ("Fashion-MNIST images", 20),
    ]
    hats, watches, things, *far = report["separations"]
    assert [(near["kind"], near["good"], near["n"]) for near in (hats, watches, things)] == [
        ("phone photos of none of the ten", "phone photos", [1, 1]),
        ("shop products of none of the ten", "shop products", [1, 1]),
        ("things", "phone photos", [1, 1]),
    ]
    assert all((near["auroc"], near["refused"]) == (1, 1) for near in (hats, watches, things))  # what is black is not sure
    kinds = {separation["kind"]: separation for separation in far}
    assert len(kinds) == 2 * len(FITTED | TESTED)
    assert kinds["far, not trained on: digits"]["good"] == kinds["far, trained on: faces"]["good"] == "phone photos"
    assert kinds["far, not trained on: digits, 28x28"]["good"] == "Fashion-MNIST images"
    assert kinds["far, trained on: faces, 28x28"]["n"] == [2, 20]
    text = (tmp_path / "report" / "typicality.md").read_text()
    assert "| phone photos | 1 | 100.0% | " in text
    assert "| things | 1 | 1.000 | 100.0% | " in text


def test_shop_and_things_need_not_be_there(bundle: str, folders: dict[str, Path], tmp_path: Path) -> None:
    main([bundle, f"--photos={folders['photos']}", "--out", str(tmp_path)])  # of the test split
    report = json.loads((tmp_path / "typicality.json").read_text())
    assert [(kept["good"], kept["n"]) for kept in report["kept"]] == [("phone photos", 1), ("Fashion-MNIST images", 10)]
    near = [one["kind"] for one in report["separations"] if not one["kind"].startswith("far")]
    assert near == ["phone photos of none of the ten"]


def test_a_source_without_a_garment(thumbnails: Pictures, tmp_path: Path) -> None:
    hat = Row(tmp_path / "a.jpg", "me", "Hat", ())
    with pytest.raises(ValueError, match=r"^There is no picture of one of the ten among the phone photos\.$"):
        evaluate_typicality(Naming(), thumbnails, {"phone photos": [hat]}, [], 1)
