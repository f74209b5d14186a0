"""Put bundles side by side: what do convolutions buy?

    python -m train.compare runs/ann runs/cnn runs/resnet --out train/report

Each argument is a run folder with its bundle exported to RUN/bundle. Writes comparison.json, comparison.md, and as
figures the confusion matrices, the learning curves, and the pictures that the first network confuses and the last one does
not.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fashion_classifier import LABELS, FashionClassifier
from fashion_classifier.bundle import KERAS_MODEL, SERVING_MODEL
from train.data import Pictures, load_fashion_mnist
from train.evaluate import Evaluation, score
from train.runs import load_history

WORST_PAIRS = 6


@dataclass(frozen=True)
class Entry:
    """One network of the comparison."""

    name: str
    evaluation: Evaluation
    answers: list[str]  # one for each test image
    parameters: int
    bytes_keras: int
    bytes_serving: int
    milliseconds: float  # median of single predictions
    history: list[dict[str, float]]


def load(run: Path, test: Pictures) -> Entry:
    """Measure the bundle of a run folder on the test set."""
    classifier = FashionClassifier.from_pretrained(run / "bundle")
    answers = [LABELS[i] for i in _answers(classifier, test)]
    return Entry(
        name=classifier.bundle.manifest.architecture,
        evaluation=score(test.groups, answers),
        answers=answers,
        parameters=classifier.bundle.manifest.metrics["parameters"],
        bytes_keras=(run / "bundle" / KERAS_MODEL).stat().st_size,
        bytes_serving=(run / "bundle" / SERVING_MODEL).stat().st_size,
        milliseconds=_milliseconds(classifier, test),
        history=load_history(run),
    )


def _answers(classifier: FashionClassifier, pictures: Pictures) -> np.ndarray[Any, np.dtype[np.intp]]:
    blocks = np.array_split(pictures.images, max(1, len(pictures) // 500))
    return np.concatenate([classifier.probabilities(block).argmax(axis=1) for block in blocks])


def _milliseconds(classifier: FashionClassifier, pictures: Pictures, runs: int = 200) -> float:
    durations = []
    for image in pictures.images[:runs]:
        start = time.perf_counter()
        classifier.predict(image)
        durations.append(time.perf_counter() - start)
    return float(np.median(durations) * 1000)


def confused_pairs(evaluation: Evaluation) -> dict[tuple[str, str], int]:
    """Errors between two classes, either way, the most frequent first."""
    confusion = np.array(evaluation.confusion)
    errors = {(LABELS[i], LABELS[j]): int(confusion[i, j] + confusion[j, i]) for i, j in combinations(range(len(LABELS)), 2)}
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def to_markdown(entries: list[Entry]) -> str:
    """The comparison in words and tables."""
    n = entries[0].evaluation.n
    lines = [
        f"# {', '.join(entry.name for entry in entries)} on the {n:,} test images of Fashion-MNIST",
        "",
        "One training run each; the 95 % interval is the test set's sampling error (Wilson), not the spread over seeds.",
        "",
        "| network | accuracy | 95 % interval | precision | recall | F1 (macro) | parameters | served file | one image |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in entries:
        e = entry.evaluation
        lines.append(
            f"| {entry.name} | {e.accuracy:.2%} | {e.interval[0]:.2%} to {e.interval[1]:.2%} | {e.precision:.4f} | "
            f"{e.recall:.4f} | {e.f1:.4f} | {entry.parameters:,} | {entry.bytes_serving / 1e6:.2f} MB | "
            f"{entry.milliseconds:.2f} ms |"
        )
    lines += ["", "## F1 of each class", "", "| class | " + " | ".join(entry.name for entry in entries) + " |"]
    lines.append("|---" * (len(entries) + 1) + "|")
    for i, label in enumerate(LABELS):
        lines.append(f"| {label} | " + " | ".join(f"{entry.evaluation.classes[i].f1:.3f}" for entry in entries) + " |")
    first = entries[0]
    pairs = list(confused_pairs(first.evaluation).items())[:WORST_PAIRS]
    others = [confused_pairs(entry.evaluation) for entry in entries[1:]]
    lines += ["", f"## What the {first.name} confuses", "", "Errors between two classes, both ways together.", ""]
    lines += ["| pair | " + " | ".join(entry.name for entry in entries) + " |", "|---" * (len(entries) + 1) + "|"]
    for (a, b), errors in pairs:
        cells = [f"{errors}", *(f"{other[a, b]} ({(other[a, b] - errors) / max(errors, 1):+.0%})" for other in others)]
        lines.append(f"| {a} and {b} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot_curves(entries: list[Entry]) -> Figure:
    """Accuracy by epoch: dashed on (augmented) training batches, solid on the validation images."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, entry in enumerate(entries):
        epochs = range(1, len(entry.history) + 1)
        axes.plot(epochs, [row["accuracy"] for row in entry.history], "--", color=f"C{i}", alpha=0.6)
        axes.plot(epochs, [row["val_fashion_mnist_accuracy"] for row in entry.history], color=f"C{i}", label=entry.name)
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0.7, 1), title="Solid: validation images. Dashed: training batches.")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def plot_rescued(first: Entry, last: Entry, test: Pictures, *, pairs: int = 4, columns: int = 12) -> Figure:
    """Test images of the most confused pairs that the first network gets wrong and the last one right."""
    figure = Figure(figsize=(columns * 0.8, pairs * 1.1), layout="constrained")
    grid = figure.subplots(pairs, columns, squeeze=False)
    for axes_row, (a, b) in zip(grid, confused_pairs(first.evaluation), strict=False):
        rescued = [
            i
            for i, truth in enumerate(test.groups)
            if {truth, first.answers[i]} == {a, b} and first.answers[i] != truth and last.answers[i] == truth
        ]
        axes_row[0].set_title(f"{a} or {b}: {len(rescued)} rescued", loc="left", fontsize=8)
        for axes in axes_row:
            axes.axis("off")
        for axes, i in zip(axes_row, rescued, strict=False):
            axes.imshow(test.images[i], cmap="gray")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, the baseline first")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args()
    test = load_fashion_mnist(arguments.data).test
    entries = [load(run, test) for run in arguments.runs]
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    numbers = [{key: value for key, value in asdict(entry).items() if key != "answers"} for entry in entries]
    (out / "comparison.json").write_text(json.dumps(numbers, indent=1) + "\n")
    (out / "comparison.md").write_text(to_markdown(entries))
    for entry in entries:
        entry.evaluation.plot(entry.name).savefig(out / f"confusion-{entry.name}.png")
    plot_curves(entries).savefig(out / "curves.png")
    plot_rescued(entries[0], entries[-1], test).savefig(out / "rescued.png")
    print(to_markdown(entries))


if __name__ == "__main__":
    main()
