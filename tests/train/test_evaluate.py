import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fashion_classifier import FashionClassifier
from train.data import Pictures
from train.evaluate import evaluate, score, wilson
from train.evaluate_photos import measure, to_markdown

TRUE = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "c", "c"]


def test_scores_by_hand() -> None:
    evaluation = score(TRUE, PREDICTED, labels=("a", "b", "c"))
    assert evaluation.n == 6
    assert evaluation.accuracy == pytest.approx(4 / 6)
    assert evaluation.confusion == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    a, b, c = evaluation.classes
    assert (a.n, b.n, c.n) == (3, 2, 1)
    assert [a.precision, a.recall, a.f1] == pytest.approx([1, 2 / 3, 0.8])
    assert [b.precision, b.recall, b.f1] == pytest.approx([0.5, 0.5, 0.5])
    assert [c.precision, c.recall, c.f1] == pytest.approx([0.5, 1, 2 / 3])
    assert evaluation.precision == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert evaluation.recall == pytest.approx((2 / 3 + 0.5 + 1) / 3)
    assert evaluation.f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_a_class_without_pictures_does_not_count() -> None:
    assert score(["a"], ["a"], labels=("a", "b")).recall == 1


def test_wilson_by_hand() -> None:
    # Wilson's interval of 80 out of 100 with z = 1.959964: centre (0.8 + z^2/200) / (1 + z^2/100)
    z = 1.959964
    centre = (0.8 + z**2 / 200) / (1 + z**2 / 100)
    half = z / (1 + z**2 / 100) * np.sqrt(0.8 * 0.2 / 100 + z**2 / 40_000)
    assert wilson(80, 100) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_report_as_json_and_markdown_and_figure(tmp_path: Path) -> None:
    evaluation = score(TRUE, PREDICTED, labels=("a", "b", "c"))
    assert json.loads(evaluation.to_json())["confusion"] == evaluation.confusion
    assert "| a | 3 | 1.000 | 0.667 | 0.800 |" in evaluation.to_markdown()
    assert evaluation.to_markdown().startswith("Accuracy **66.67%** (95 % interval 30.00% to 90.32%, n = 6)")
    evaluation.plot("title").savefig(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 400


def test_evaluate_counts_what_predict_says(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    part = thumbnails.take(np.arange(0, 200, 10))
    right = sum(classifier.predict(image).label == label for image, label in zip(part.images, part.groups, strict=True))
    assert evaluate(classifier, part.images, part.groups).accuracy == right / 20


def test_photos_by_group_and_sender(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rows = [(f"s{i}", "232", "Shoes") for i in range(9)] + [("p", "232", "Pants"), ("h", "232", "Hat"), ("n", "181", "Pants")]
    (tmp_path / "photos.csv").write_text(
        "image,sender_id,label,kids\n" + "".join(f"{i},{s},{lab},False\n" for i, s, lab in rows)
    )
    for name, _, label in rows:
        image = Image.new("RGB", (120, 160), "white")
        draw = ImageDraw.Draw(image)
        if label == "Pants":
            draw.rectangle((40, 10, 80, 30), "navy")
            draw.rectangle((40, 30, 57, 150), "navy")
            draw.rectangle((63, 30, 80, 150), "navy")
        else:
            draw.ellipse((10, 70, 110, 110), "maroon")
        image.save(tmp_path / "images" / f"{name}.jpg")
    classifier = FashionClassifier.from_pretrained()
    answers = {name: classifier.predict(tmp_path / "images" / f"{name}.jpg") for name, *_ in rows}
    shoes_right = sum(answers[f"s{i}"].label in ("Sandal", "Sneaker", "Ankle boot") for i in range(9))
    trouser_right = answers["p"].label == "Trouser"

    result = measure(classifier, tmp_path, "validation")
    assert result["groups"]["Shoes"]["n"] == 9
    assert result["groups"]["Shoes"]["accuracy"] == shoes_right / 9
    assert result["groups"]["Trouser"] == {"n": 1, "accuracy": float(trouser_right), "interval": wilson(trouser_right, 1)}
    assert result["all"]["n"] == 10
    assert result["senders"] == 1
    assert result["worst sender of ten photos or more"]["sender"] == "232"
    assert result["not sure"]["none of the ten"] == {"n": 1, "share": float(answers["h"].uncertain)}
    assert len(result["wrong"]) == 10 - shoes_right - trouser_right
    assert f"| Shoes | 9 | {shoes_right / 9:.1%} |" in to_markdown(result)
    with pytest.raises(ValueError, match="holds no labelled photo of one of the ten in the test split"):
        measure(classifier, tmp_path, "test")
