import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import FashionClassifier
from train.pictures.fashion_mnist import Pictures
from train.reports.thumbnails import evaluate, plot_confusion, score, wilson

TRUE = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "c", "c"]
CONFIDENCES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
UNCERTAIN = [False, False, False, False, True, True]


def test_scores_by_hand() -> None:
    evaluation = score(TRUE, PREDICTED, CONFIDENCES, UNCERTAIN, ("a", "b", "c"))
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
    # six pictures are six bins of one
    assert evaluation.calibration.error == pytest.approx((0.1 + 0.2 + 0.7 + 0.4 + 0.5 + 0.6) / 6)
    assert evaluation.uncertain == pytest.approx(2 / 6)


def test_a_class_without_pictures_does_not_count() -> None:
    assert score(["a"], ["a"], [1.0], [False], ("a", "b")).recall == 1


def test_wilson_by_hand() -> None:
    # Wilson's interval of 80 out of 100 with z = 1.959964: centre (0.8 + z^2/200) / (1 + z^2/100)
    z = 1.959964
    centre = (0.8 + z**2 / 200) / (1 + z**2 / 100)
    half = z / (1 + z**2 / 100) * np.sqrt(0.8 * 0.2 / 100 + z**2 / 40_000)
    assert wilson(80, 100) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_report_as_json_and_markdown_and_figure(tmp_path: Path) -> None:
    evaluation = score(TRUE, PREDICTED, CONFIDENCES, UNCERTAIN, ("a", "b", "c"))
    assert json.loads(evaluation.to_json())["confusion"] == evaluation.confusion
    assert "| a | 3 | 1.000 | 0.667 | 0.800 |" in evaluation.to_markdown()
    assert evaluation.to_markdown().startswith("Accuracy **66.67%** (95 % interval 30.00% to 90.32%, n = 6)")
    assert "Expected calibration error, 15 equal-mass bins: 0.4167 (95 % interval 0." in evaluation.to_markdown()
    assert '"Not sure" of 33.3%.' in evaluation.to_markdown()
    evaluation.plot("title").savefig(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 400


@pytest.mark.parametrize("counts", [[[2, 1, 0], [0, 1, 1]], [[2, 1], [0, 1], [5, 0]]])
def test_a_confusion_matrix_need_not_be_square(counts: list[list[int]]) -> None:
    rows, columns = ["truth 0", "truth 1", "truth 2"][: len(counts)], ["answer 0", "answer 1", "answer 2"][: len(counts[0])]
    (axes,) = plot_confusion(counts, rows, columns, "title").axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == rows
    assert [tick.get_text() for tick in axes.get_xticklabels()] == columns
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, len(columns) - 0.5), (len(rows) - 0.5, -0.5))
    written = {text.get_position(): int(text.get_text()) for text in axes.texts}
    assert [[written[column, row] for column in range(len(columns))] for row in range(len(rows))] == counts
    assert all(text.get_clip_on() for text in axes.texts)  # what pads the matrix to a square is outside the axes


def test_evaluate_counts_what_predict_says(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    part = thumbnails.take(np.arange(0, 200, 10))
    right = sum(classifier.predict(image).label == label for image, label in zip(part.images, part.groups, strict=True))
    assert evaluate(classifier, part.images, part.groups).accuracy == right / 20
