import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import LABELS
from fashion_classifier.bundle import DEFAULT_MODEL
from tests.boxed_garments import STILL, UNCHANGED, filled
from tests.stand_ins import Finding, dark
from train.networks import photo_training
from train.networks.photo_training import Batches, Folders
from train.networks.recipes import PhotoRecipe, Views
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.garments import Garment
from train.pictures.targets import SHOES, target
from train.reports import shortcuts
from train.reports.shortcuts import FEWEST, guess, main, surroundings

RECIPE = PhotoRecipe(side=32, changes=UNCHANGED, sources={name: Views(1.0, 1.0, STILL) for name in ("phone", "shop")})


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "TREES", 20)


def sized(side: int, label: str, n: int = FEWEST) -> list[Garment]:
    """Plain pictures of one size and any gray."""
    mask = filled((side, side), (side // 4, side // 4, side // 2, side // 2), 255, 0)
    rng = np.random.default_rng(side)
    return [Garment(np.full((side, side, 3), rng.integers(256), np.uint8), mask, None, target([label])) for _ in range(n)]


def test_surroundings_by_hand() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[0], picture[:, -1] = (30, 60, 90), (10, 20, 30)
    height, width, detail, *colours = surroundings(picture)
    assert (height, width) == (4, 6)
    assert detail > 0
    sides = np.reshape(np.array(colours), (4, 4))  # top, bottom, left, right: red, green, blue and their spread
    np.testing.assert_allclose(sides[0, :3], np.array([30, 60, 90]) * 5 / 6 + np.array([10, 20, 30]) / 6)
    np.testing.assert_allclose(sides[1, :3], np.array([10, 20, 30]) / 6)
    np.testing.assert_allclose(sides[2, :3], np.array([30, 60, 90]) / 4)
    np.testing.assert_allclose(sides[3], [10, 20, 30, float(np.std([10, 20, 30]))])
    inside = picture.copy()
    inside[1:3, 2:4] = 200
    np.testing.assert_array_equal(surroundings(inside)[3:], surroundings(picture)[3:])
    assert surroundings(np.full((5, 5, 3), 9, np.uint8))[2] == 0


def test_a_size_that_gives_a_class_away_does_not_in_the_views() -> None:
    garments = [*sized(40, "Coat", 30), *sized(80, "Bag", 30)]
    found = guess("shop", garments, Batches({"shop": garments}, RECIPE))
    assert found is not None
    assert (found.source, found.n, found.chance) == ("shop", 60, 0.5)
    assert found.pictures == 1
    assert found.views < 0.75


def test_a_colour_that_gives_a_class_away_does_in_the_views_too() -> None:
    garments = [
        Garment(
            np.full((40, 40, 3), gray + i % 10, np.uint8), filled((40, 40), (10, 10, 20, 20), 255, 0), None, target([label])
        )
        for gray, label in ((20, "Coat"), (120, "Bag"), (220, "Shirt"))
        for i in range(FEWEST)
    ]
    found = guess("shop", garments, Batches({"shop": garments}, RECIPE))
    assert found is not None
    assert (found.chance, found.pictures, found.views) == (1 / 3, 1, 1)


def test_what_is_of_several_classes_or_of_none_is_not_guessed() -> None:
    garments = [*sized(40, "Coat"), *sized(80, "Bag"), *sized(60, "Shirt", FEWEST - 1)]
    uncertain = [replace(one, target=target(labels)) for one in sized(20, "Bag") for labels in (SHOES, ())]
    batches = Batches({"shop": garments}, RECIPE)
    found = guess("shop", [*garments, *uncertain], batches)
    assert found is not None
    assert found.n == 2 * FEWEST
    assert guess("shop", [*sized(40, "Coat"), *uncertain], batches) is None


def test_the_report(
    tmp_path: Path, thumbnails: Pictures, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    garments = {"phone": sized(40, "Coat"), "shop": [*sized(40, "Coat"), *sized(80, "Bag")]}
    segmenter, asked = Finding(dark), []

    def garments_of(*arguments: object) -> dict[str, list[Garment]]:
        asked.append(arguments)
        return garments

    monkeypatch.setattr(photo_training, "garments_of", garments_of)
    monkeypatch.setattr(shortcuts, "PhotoRecipe", lambda: RECIPE)
    monkeypatch.setattr(shortcuts, "Segmenter", {DEFAULT_MODEL / "segmentation.tflite": segmenter}.__getitem__)
    monkeypatch.setattr(shortcuts, "load_fashion_mnist", lambda folder: FashionMNIST(thumbnails, thumbnails, thumbnails))
    main([f"--segmentation={DEFAULT_MODEL}", "--photos=P", "--street=S", "--shop=H", f"--out={tmp_path / 'out'}"])
    assert asked == [(Folders(Path("P"), Path("S"), Path("H")), thumbnails, segmenter, RECIPE)]
    report = json.loads((tmp_path / "out" / "shortcuts.json").read_text())
    assert report["classes"] == list(LABELS)
    (shop,) = report["sources"]
    assert (shop["source"], shop["n"], shop["chance"], shop["pictures"]) == ("shop", 40, 0.5, 1)
    assert capsys.readouterr().out.startswith("shop: chance 0.50, pictures 1.00, views 0.")
