import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import FashionClassifier
from fashion_classifier.bundle import DEFAULT_MODEL
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.outliers import FITTED, TESTED
from train.reports import typicality
from train.reports.thumbnails import wilson
from train.reports.typicality import Asked, ask, keep, main, separate

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


def test_what_is_asked_is_what_predict_says(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    answers = classifier.predict(list(thumbnails.images[:5]))
    asked = ask(classifier, list(thumbnails.images[:5]))
    assert asked.typicality == [answer.typicality for answer in answers]
    assert asked.uncertain == [answer.uncertain for answer in answers]


def test_the_report(
    tmp_path: Path, thumbnails: Pictures, example_labels: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    rows = ["image,sender_id,label,kids"]
    for i, (path, label) in enumerate(example_labels.items()):
        if path.suffix == ".jpg":
            Image.open(path).save(tmp_path / "images" / f"{i}.jpg")
            rows.append(f"{i},95,{'Dress' if label else 'Hat'},False")
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n")
    few = thumbnails.take(np.arange(0, 200, 10))
    monkeypatch.setattr(typicality, "load_fashion_mnist", lambda folder: FashionMNIST(few, few, few))
    monkeypatch.setattr(typicality, "FAR", 2)
    main([str(DEFAULT_MODEL), "--photos", str(tmp_path), "--split", "validation", "--out", str(tmp_path / "report")])
    report = json.loads((tmp_path / "report" / "typicality.json").read_text())
    assert [kept["n"] for kept in report["kept"]] == [len(rows) - 2, 20]
    near, *far = report["separations"]
    assert (near["n"], near["good"]) == ([1, len(rows) - 2], "validation photos")
    assert near["auroc"] == 1  # the hat of the examples
    kinds = [separation["kind"] for separation in far]
    assert len(kinds) == 2 * len(FITTED | TESTED)
    assert {
        "far, not trained on: digits",
        "far, not trained on: digits, 28x28",
        "far, trained on: faces",
        "far, trained on: faces, 28x28",
    } <= set(kinds)
    text = (tmp_path / "report" / "typicality.md").read_text()
    assert f"| validation photos | {len(rows) - 2} | " in text
    assert "| near: shorts, skirts, hats, other | 1 | 1.000 | 100.0% | " in text
