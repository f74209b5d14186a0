"""Put bundles side by side: what do convolutions buy?

    python -m train.reports.compare runs/ann runs/ann-1 runs/ann-2 runs/cnn runs/resnet --out report

Each argument is a run folder with its bundle exported to RUN/bundle, the baseline first; of several runs of one architecture
the first is looked at closely, all of them give the spread. Writes comparison.json, comparison.md, and as figures the confusion
matrices, the learning curves, and the pictures that the baseline confuses and the last network does not.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fashion_classifier import LABELS, Bundle, FashionClassifier
from train.networks.runs import load_history
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
from train.reports.thumbnails import Evaluation, score_predictions

WORST_PAIRS = 6
TOPS = ("T-shirt/top", "Pullover", "Coat", "Shirt")  # what a dense network confuses most


@dataclass(frozen=True)
class Entry:
    """One network of the comparison; `accuracies` are of all its runs, the others of its first."""

    name: str
    accuracies: list[float]
    evaluation: Evaluation
    answers: list[str]  # one for each test image
    parameters: int
    bytes_keras: int
    bytes_serving: int
    milliseconds: float  # median of single predictions
    history: list[dict[str, float]]


def load(runs: list[Path], test: Pictures) -> Entry:
    """Measure the bundles of one architecture's run folders on the test set."""
    classifiers = [FashionClassifier.from_pretrained(run / "bundle") for run in runs]
    (classifier, *_), run = classifiers, runs[0]
    predictions, *others = (classifier.predict(list(test.images)) for classifier in classifiers)
    evaluation = score_predictions(test.groups, predictions)
    thumbnail = classifier.bundle.manifest.experts["thumbnail"]
    right = [[found.label == label for found, label in zip(other, test.groups, strict=True)] for other in others]
    return Entry(
        name=thumbnail.architecture,
        accuracies=[evaluation.accuracy, *(float(np.mean(each)) for each in right)],
        evaluation=evaluation,
        answers=[prediction.label for prediction in predictions],
        parameters=classifier.bundle.manifest.metrics["parameters"],
        bytes_keras=_bytes(run / "bundle", {member.keras for member in thumbnail.members}),
        bytes_serving=_bytes(run / "bundle", {member.file for member in thumbnail.members}),
        milliseconds=_milliseconds(classifier, test),
        history=load_history(run),
    )


def _bytes(folder: Path, files: set[str]) -> int:
    return sum((folder / file).stat().st_size for file in files)


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


def errors_among(evaluation: Evaluation, labels: Sequence[str]) -> int:
    """Errors whose truth and answer are both among these classes."""
    indices = [LABELS.index(label) for label in labels]
    part = np.array(evaluation.confusion)[np.ix_(indices, indices)]
    return int(part.sum() - np.trace(part))


def to_markdown(entries: list[Entry]) -> str:
    """The comparison in words and tables."""
    first, n = entries[0], entries[0].evaluation.n
    head, rule = "| | " + " | ".join(entry.name for entry in entries) + " |", "|---" * (len(entries) + 1) + "|"
    lines = [
        f"# {', '.join(entry.name for entry in entries)} on the {n:,} test images of Fashion-MNIST",
        "",
        *_lesson(entries),
        "",
        "The 95 % interval is the test set's sampling error (Wilson); mean and standard deviation are over training runs that "
        "differ in their seed. Everything else is of the first run.",
        "",
        head,
        rule,
    ]
    lines += [
        f"| {name} | " + " | ".join(value(entry) for entry in entries) + " |"
        for name, value in (
            ("accuracy", lambda entry: f"**{entry.evaluation.accuracy:.2%}**"),
            ("95 % interval", lambda entry: "{:.2%} to {:.2%}".format(*entry.evaluation.interval)),
            ("over seeds", _spread),
            ("precision (macro)", lambda entry: f"{entry.evaluation.precision:.4f}"),
            ("recall (macro)", lambda entry: f"{entry.evaluation.recall:.4f}"),
            ("F1 (macro)", lambda entry: f"{entry.evaluation.f1:.4f}"),
            ("expected calibration error", lambda entry: f"{entry.evaluation.calibration.error:.4f}"),
            ("parameters", lambda entry: f"{entry.parameters:,}"),
            ("served file", lambda entry: f"{entry.bytes_serving / 1e6:.2f} MB"),
            ("one image", lambda entry: f"{entry.milliseconds:.2f} ms"),
        )
    ]
    lines += ["", "## F1 of each class", "", head, rule]
    for i, label in enumerate(LABELS):
        lines.append(f"| {label} | " + " | ".join(f"{entry.evaluation.classes[i].f1:.3f}" for entry in entries) + " |")
    pairs = list(confused_pairs(first.evaluation).items())[:WORST_PAIRS]
    others = [confused_pairs(entry.evaluation) for entry in entries[1:]]
    lines += ["", f"## What the {first.name} confuses", "", "Errors between two classes, both ways together.", ""]
    lines += [head, rule]
    for (a, b), errors in pairs:
        cells = [f"{errors}", *(f"{other[a, b]} ({(other[a, b] - errors) / max(errors, 1):+.0%})" for other in others)]
        lines.append(f"| {a} and {b} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(entry: Entry) -> str:
    runs = len(entry.accuracies)
    return f"{np.mean(entry.accuracies):.2%} ± {np.std(entry.accuracies, ddof=1):.2%} (n = {runs})" if runs > 1 else "one run"


def _lesson(entries: list[Entry]) -> list[str]:
    """What the numbers teach, in sentences."""
    first = entries[0]
    wrong, among = round((1 - first.evaluation.accuracy) * first.evaluation.n), errors_among(first.evaluation, TOPS)
    left = [
        f"the {entry.name} makes {errors_among(entry.evaluation, TOPS)} "
        f"({(errors_among(entry.evaluation, TOPS) - among) / max(among, 1):+.0%})"
        for entry in entries[1:]
    ]
    return [
        f"The {first.name} takes the 784 pixels as so many unrelated numbers; {among} of its {wrong:,} errors are between "
        f"{', '.join(TOPS[:-1])} and {TOPS[-1]}, which differ in collars, buttons and sleeves: small things that may sit "
        f"anywhere. A convolution looks for the same small thing everywhere. Of such errors, {' and '.join(left)}. Part of "
        "what the last network gains is its longer training on mirrored, moved and partly erased images."
    ]


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
    by_name: dict[str, list[Path]] = {}
    for run in arguments.runs:
        by_name.setdefault(Bundle(run / "bundle").manifest.experts["thumbnail"].architecture, []).append(run)
    entries = [load(runs, test) for runs in by_name.values()]
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    numbers = [{key: value for key, value in asdict(entry).items() if key != "answers"} for entry in entries]
    (out / "comparison.json").write_text(json.dumps(numbers, indent=1) + "\n")
    (out / "comparison.md").write_text(to_markdown(entries), encoding="utf-8")
    for entry in entries:
        entry.evaluation.plot(entry.name).savefig(out / f"confusion-{entry.name}.png")
    plot_curves(entries).savefig(out / "curves.png")
    plot_rescued(entries[0], entries[-1], test).savefig(out / "rescued.png")
    print(to_markdown(entries))


if __name__ == "__main__":
    main()
