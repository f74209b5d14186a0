"""Measure a bundle on the Fashion-MNIST test set, through the public `FashionClassifier.predict`.

    python -m train.reports.thumbnails BUNDLE --out FOLDER

Writes evaluation.json, evaluation.md, confusion.png and reliability.png to the folder.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier import LABELS, FashionClassifier, Prediction
from train.commands import add_data, command_parser
from train.networks.calibration import BINS, Reliability, plot_reliability, reliability
from train.pictures.fashion_mnist import load_fashion_mnist

if TYPE_CHECKING:  # it takes a second to load, and --help does without
    from matplotlib.figure import Figure

Matrix = list[list[int]]


@dataclass(frozen=True)
class ClassScores:
    """One class against all others; `n` is the number of its pictures."""

    label: str
    n: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """How right a classifier is on n labelled pictures.

    Attributes:
        accuracy: Share of right answers.
        interval: Its 95 % confidence interval (Wilson).
        confusion: Row: the true class, column: the answer, both in the order of `classes`.
        calibration: How far the confidences are from the accuracy.
        uncertain: Share of the answers that were "not sure".
    """

    n: int
    accuracy: float
    interval: tuple[float, float]
    precision: float  # macro average, as recall and f1
    recall: float
    f1: float
    classes: list[ClassScores]
    confusion: Matrix
    calibration: Reliability
    uncertain: float

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def to_markdown(self) -> str:
        low, high = self.interval
        lines = [
            f"Accuracy **{self.accuracy:.2%}** (95 % interval {low:.2%} to {high:.2%}, n = {self.n:,}); macro precision "
            f"{self.precision:.4f}, recall {self.recall:.4f}, F1 {self.f1:.4f}.",
            "",
            f"Expected calibration error, {BINS} equal-mass bins: {self.calibration.error:.4f} (95 % interval "
            f"{self.calibration.interval[0]:.4f} to {self.calibration.interval[1]:.4f}, resampled, which lies somewhat high). "
            f'"Not sure" of {self.uncertain:.1%}.',
            "",
            "| class | n | precision | recall | F1 |",
            "|---|---|---|---|---|",
        ]
        lines += [f"| {c.label} | {c.n} | {c.precision:.3f} | {c.recall:.3f} | {c.f1:.3f} |" for c in self.classes]
        return "\n".join(lines) + "\n"

    def plot(self, title: str) -> "Figure":
        """The confusion matrix as a figure."""
        labels = [scores.label for scores in self.classes]
        return plot_confusion(self.confusion, labels, labels, f"{title}: {self.accuracy:.2%} of {self.n:,}")


def score(
    true: Sequence[str],
    predicted: Sequence[str],
    confidences: Sequence[float],
    uncertain: Sequence[bool],
    labels: Sequence[str] = LABELS,
) -> Evaluation:
    """Compare the answers to n pictures with their true names, both out of `labels`."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    precision, recall, f1, counts = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    right = [t == p for t, p in zip(true, predicted, strict=True)]
    present = counts > 0  # a class without pictures has no recall
    return Evaluation(
        n=len(true),
        accuracy=sum(right) / len(true),
        interval=wilson(sum(right), len(true)),
        precision=float(precision[present].mean()),
        recall=float(recall[present].mean()),
        f1=float(f1[present].mean()),
        classes=[
            ClassScores(label, int(n), float(p), float(r), float(f))
            for label, n, p, r, f in zip(labels, counts, precision, recall, f1, strict=True)
        ],
        confusion=confusion_matrix(true, predicted, labels=labels).tolist(),
        calibration=reliability(confidences, right),
        uncertain=float(np.mean(uncertain)),
    )


def score_predictions(true: Sequence[str], predictions: Sequence[Prediction]) -> Evaluation:
    """As `score`, of a classifier's predictions."""
    return score(
        true,
        [prediction.label for prediction in predictions],
        [prediction.confidence for prediction in predictions],
        [prediction.uncertain for prediction in predictions],
    )


def plot_confusion(counts: Matrix, rows: Sequence[str], columns: Sequence[str], title: str) -> "Figure":
    """Counts as a figure; row: the true class, column: the answer."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    square = np.zeros((max(len(rows), len(columns)),) * 2, int)  # scikit-learn draws no other matrices
    square[: len(rows), : len(columns)] = counts
    figure = Figure(figsize=(7, 6.2), layout="constrained")
    axes = figure.subplots()
    display = ConfusionMatrixDisplay(square)
    display.plot(ax=axes, cmap="Blues", colorbar=False, xticks_rotation=45, text_kw={"clip_on": True})
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5), title=title)
    return figure


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share (Wilson 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def evaluate(classifier: FashionClassifier, images: npt.NDArray[np.uint8], labels: Sequence[str]) -> Evaluation:
    """Measure a classifier on (n, 28, 28) uint8 thumbnails, handed over as PIL images as a user would."""
    return score_predictions(labels, classifier.predict(Image.fromarray(image) for image in images))


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("bundle", type=Path)
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args()
    classifier = FashionClassifier.from_pretrained(arguments.bundle)
    test = load_fashion_mnist(arguments.data).test
    evaluation = evaluate(classifier, test.images, test.groups)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "evaluation.json").write_text(evaluation.to_json())
    (arguments.out / "evaluation.md").write_text(evaluation.to_markdown(), encoding="utf-8")
    name = classifier.bundle.manifest.experts["thumbnail"].architecture
    evaluation.plot(f"{name} {classifier.version}").savefig(arguments.out / "confusion.png")
    plot_reliability({"Fashion-MNIST test images": evaluation.calibration}).savefig(arguments.out / "reliability.png")
    print(evaluation.to_markdown())


if __name__ == "__main__":
    main()
