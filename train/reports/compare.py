"""Put networks for thumbnails side by side on the same test images, and say what these show.

    python -m train.reports.compare runs/ann runs/ann-1 runs/ann-2 runs/cnn runs/resnet --out report
    python -m train.reports.compare fashion_classifier/default_model runs/mine --out runs/mine/report

Each argument is a bundle, or a run folder with its bundle exported to RUN/bundle, the baseline first. Runs whose recipes differ
in nothing but the seed are one network, trained several times: the first is looked at closely, all of them give the spread.
Writes comparison.json, comparison.md, and as figures the confusion matrices, the learning curves of runs, and the pictures that
the baseline confuses and the last network does not. With --networks the networks themselves, but for the last one, which has a
bundle to be found in, lie beside it: the page asks them about its visitors' pictures.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fashion_classifier import LABELS, Bundle, FashionClassifier
from fashion_classifier.bundle import MANIFEST
from fashion_classifier.manifest import Expert
from train.commands import add_data, command_parser, given_data, told

if TYPE_CHECKING:  # they take seconds to load, and --help needs none of them
    from matplotlib.figure import Figure

    from train.pictures.fashion_mnist import Pictures
    from train.reports.thumbnails import Evaluation

WORST_PAIRS = 6
SIGNIFICANT = 0.05  # for all pairs of networks together
AUGMENTED = {True: "yes", False: "no", None: "not recorded"}


@dataclass(frozen=True)
class Entry:
    """One network of the comparison; `accuracies` are of all its runs, the others of its first.

    Attributes:
        name: Its architecture, with the folder's name where several have that one.
        answers: One for each test image.
        recipe: What it was trained by; empty where that is not recorded.
        starts_afresh: Whether its training started from no other network.
        milliseconds: Of single predictions: the least of five, of a hundred images the median.
        history: One entry an epoch; empty where only a bundle was given.
    """

    name: str
    accuracies: list[float]
    evaluation: "Evaluation"
    answers: list[str]
    parameters: int
    bytes_keras: int
    bytes_serving: int
    milliseconds: float
    recipe: dict[str, Any]
    starts_afresh: bool
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Paired:
    """Two networks on the same images.

    Attributes:
        first: How many images the first alone names right.
        second: How many the second alone names right.
        p: Of McNemar's exact test: how probable so uneven a split is where both are equally often right.
    """

    first: int
    second: int
    p: float


@dataclass(frozen=True)
class Kept:
    """A network that lies beside the report, and what its bundle says of it.

    Attributes:
        file: The network for LiteRT.
        sha256: Of that file.
        version: Of the bundle.
        uncertain_below: Typicality under which a picture counts as probably none of the ten.
        expert: Its calibration, and the forms of a picture that it is shown.
    """

    file: str
    sha256: str
    version: str
    uncertain_below: float
    expert: Expert


def paired(truth: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Paired:
    """Compare two networks' answers to the same images (McNemar 1947)."""
    from scipy.stats import binomtest

    right = [(a == label, b == label) for label, a, b in zip(truth, first, second, strict=True)]
    alone = right.count((True, False)), right.count((False, True))
    return Paired(*alone, p=float(binomtest(alone[0], sum(alone)).pvalue) if any(alone) else 1.0)


def bundle_of(source: Path) -> Path:
    """The bundle that an argument names: a bundle's own folder, or a run's RUN/bundle."""
    return source if (source / MANIFEST).is_file() else source / "bundle"


def grouped(sources: Sequence[Path]) -> dict[str, list[Path]]:
    """Bundles and runs by the name of their network, in order.

    Raises:
        ValueError: Two networks of one architecture lie in folders of one name.
    """
    by_recipe: dict[str, list[Path]] = {}
    for source in sources:
        by_recipe.setdefault(_training(source), []).append(source)
    groups = list(by_recipe.values())
    architectures = [Bundle(bundle_of(first)).manifest.experts["thumbnail"].architecture for first, *_ in groups]
    shared = Counter(architectures)
    names = [
        architecture if shared[architecture] == 1 else f"{architecture}-{_folder(first)}"
        for architecture, (first, *_) in zip(architectures, groups, strict=True)
    ]
    if len(set(names)) < len(names):
        raise ValueError(f"Networks of one architecture need folders of different names, received {', '.join(names)}.")
    return dict(zip(names, groups, strict=True))


def _folder(source: Path) -> str:
    return source.parent.resolve().name if source.name == "bundle" else source.resolve().name


def _training(source: Path) -> str:
    """What is the same of runs that differ in their seed alone; of a network without a recipe its own checksum."""
    bundle = Bundle(bundle_of(source))
    member = bundle.manifest.experts["thumbnail"].members[0]
    record = _record(bundle)
    same = {name: value for name, value in record.get("recipe", {}).items() if name != "seed"}
    return json.dumps([same, record.get("data")] if same else bundle.manifest.files[member.file])


def _record(bundle: Bundle) -> dict[str, Any]:
    """That of the run that the network for thumbnails is from; empty where the bundle has none."""
    from train.networks.lineage import history_of

    networks, runs = history_of(bundle)
    return runs.get(networks.get(bundle.manifest.experts["thumbnail"].members[0].file, ""), {})


def load(name: str, sources: Sequence[Path], test: "Pictures") -> Entry:
    """Measure the bundles of one network on the test set."""
    from train.networks.runs import HISTORY, load_history
    from train.reports.thumbnails import score_predictions

    classifiers = [FashionClassifier.from_pretrained(bundle_of(source)) for source in sources]
    bundle = classifiers[0].bundle
    predictions, *others = (classifier.predict(list(test.images)) for classifier in classifiers)
    evaluation = score_predictions(test.groups, predictions)
    thumbnail, record = bundle.manifest.experts["thumbnail"], _record(bundle)
    right = [[found.label == label for found, label in zip(other, test.groups, strict=True)] for other in others]
    return Entry(
        name=name,
        accuracies=[evaluation.accuracy, *(float(np.mean(each)) for each in right)],
        evaluation=evaluation,
        answers=[prediction.label for prediction in predictions],
        parameters=bundle.manifest.metrics["parameters"],
        bytes_keras=_bytes(bundle.path, {member.keras for member in thumbnail.members}),
        bytes_serving=_bytes(bundle.path, {member.file for member in thumbnail.members}),
        milliseconds=_milliseconds(classifiers[0], test),
        recipe=record.get("recipe", {}),
        starts_afresh=not record.get("parents"),
        history=load_history(sources[0]) if (sources[0] / HISTORY).is_file() else [],
    )


def keep(source: Path, name: str, out: Path) -> Kept:
    """Copy the network for thumbnails of a bundle to a folder.

    Raises:
        ValueError: There are several.
    """
    bundle = Bundle(source)
    manifest, expert = bundle.manifest, bundle.manifest.experts["thumbnail"]
    files = {member.file for member in expert.members}
    if len(files) > 1:
        raise ValueError(f"One network for thumbnails can be kept, {source} has {', '.join(sorted(files))}.")
    (file,) = files
    (out / f"{name}.tflite").write_bytes(bundle.read(file))
    members = tuple(replace(member, file=f"{name}.tflite") for member in expert.members)
    return Kept(
        f"{name}.tflite", manifest.files[file], manifest.version, manifest.uncertain_below, replace(expert, members=members)
    )


def _bytes(folder: Path, files: set[str]) -> int:
    return sum((folder / file).stat().st_size for file in files)


def _milliseconds(classifier: FashionClassifier, pictures: "Pictures", images: int = 100, looks: int = 5) -> float:
    def seconds(image: Any) -> float:
        start = time.perf_counter()
        classifier.predict(image)
        return time.perf_counter() - start

    least = [min(seconds(image) for _ in range(looks)) for image in pictures.images[:images]]  # others use the machine, too
    return float(np.median(least) * 1000)


def confused_pairs(evaluation: "Evaluation") -> dict[tuple[str, str], int]:
    """Errors between two classes, either way, the most frequent first."""
    confusion = np.array(evaluation.confusion)
    errors = {(LABELS[i], LABELS[j]): int(confusion[i, j] + confusion[j, i]) for i, j in combinations(range(len(LABELS)), 2)}
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def all_pairs(entries: Sequence[Entry], truth: Sequence[str]) -> dict[tuple[str, str], Paired]:
    """Every two networks by their names."""
    return {(one.name, other.name): paired(truth, one.answers, other.answers) for one, other in combinations(entries, 2)}


def verdicts(pairs: Mapping[tuple[str, str], Paired]) -> list[str]:
    """What the test images say of every two networks, in one sentence each; none is called better that may be luck."""
    sentences = []
    for (one, other), found in pairs.items():
        p = "p < 0.0001" if found.p < 0.0001 else f"p = {found.p:.4f}"
        sentences.append(
            f"The {one} names {found.first:,} images right that the {other} names wrong, the {other} {found.second:,} that the "
            f"{one} names wrong: "
            + (
                f"of these two networks the {one if found.first > found.second else other} is the more often right"
                if _differ(found, pairs)
                else "these images do not tell which of the two is the more often right"
            )
            + f" ({p})."
        )
    return sentences


def _differ(found: Paired, pairs: Mapping[tuple[str, str], Paired]) -> bool:
    """Whether one of two networks is the more often right, as far as these images can tell (Bonferroni)."""
    return found.p < SIGNIFICANT / len(pairs)


def to_markdown(entries: Sequence[Entry], sentences: Sequence[str]) -> str:
    """The comparison in words, which `verdicts` gives, and tables."""
    first, n = entries[0], entries[0].evaluation.n
    head, rule = "| | " + " | ".join(entry.name for entry in entries) + " |", "|---" * (len(entries) + 1) + "|"
    lines = [f"# {', '.join(entry.name for entry in entries)} on the {n:,} test images of Fashion-MNIST", ""]
    if sentences:
        lines += [
            *(f"- {sentence}" for sentence in sentences),
            "",
            f"p is that of McNemar's exact test; one of two is called the more often right where it is below {SIGNIFICANT} "
            f"divided by the number of pairs, {SIGNIFICANT / len(sentences):.4f}. That is said of these very networks: another "
            "seed gives another one.",
            "",
        ]
    lines += [
        "The 95% interval is the test set's sampling error (Wilson); mean and standard deviation are over training runs that "
        "differ in their seed. Everything else is of the first run.",
        "",
        head,
        rule,
    ]
    lines += [
        f"| {name} | " + " | ".join(value(entry) for entry in entries) + " |"
        for name, value in (
            ("accuracy", lambda entry: f"**{entry.evaluation.accuracy:.2%}**"),
            ("95% interval", lambda entry: "{:.2%} to {:.2%}".format(*entry.evaluation.interval)),
            ("over seeds", _spread),
            ("precision (macro)", lambda entry: f"{entry.evaluation.precision:.4f}"),
            ("recall (macro)", lambda entry: f"{entry.evaluation.recall:.4f}"),
            ("F1 (macro)", lambda entry: f"{entry.evaluation.f1:.4f}"),
            ("expected calibration error", lambda entry: f"{entry.evaluation.calibration.error:.4f}"),
            ("parameters", lambda entry: f"{entry.parameters:,}"),
            ("trained for", _training_time),
            ("augmented images", lambda entry: AUGMENTED[entry.recipe.get("augmentation")]),
            ("served file", lambda entry: f"{entry.bytes_serving / 1e6:.2f} MB"),
            ("one image", lambda entry: f"{entry.milliseconds:.2f} ms"),
        )
    ]
    lines += ["", "## F1 of each class", "", head, rule]
    for i, label in enumerate(LABELS):
        lines.append(f"| {label} | " + " | ".join(f"{entry.evaluation.classes[i].f1:.3f}" for entry in entries) + " |")
    counts = [confused_pairs(entry.evaluation) for entry in entries]
    lines += ["", f"## What the {first.name} confuses", "", "Errors between two classes, both ways together.", "", head, rule]
    for a, b in list(counts[0])[:WORST_PAIRS]:
        lines.append(f"| {a} and {b} | " + " | ".join(f"{errors[a, b]}" for errors in counts) + " |")
    return "\n".join(lines) + "\n"


def _spread(entry: Entry) -> str:
    runs = len(entry.accuracies)
    return f"{np.mean(entry.accuracies):.2%} ± {np.std(entry.accuracies, ddof=1):.2%} (n = {runs})" if runs > 1 else "one run"


def _training_time(entry: Entry) -> str:
    epochs = entry.recipe.get("epochs")
    if epochs is None:
        return "not recorded"
    if epochs == 0:
        return "an average of others"
    return f"{epochs} epochs" + ("" if entry.starts_afresh else ", from another network")


def plot_curves(entries: Sequence[Entry]) -> "Figure":
    """Accuracy by epoch: dashed on (augmented) training batches, solid on the validation images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, entry in enumerate(entries):
        epochs = range(1, len(entry.history) + 1)
        axes.plot(epochs, [row["accuracy"] for row in entry.history], "--", color=f"C{i}", alpha=0.6)
        axes.plot(epochs, [row["val_fashion_mnist_accuracy"] for row in entry.history], color=f"C{i}", label=entry.name)
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(None, 1), title="Solid: validation images. Dashed: training batches.")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def plot_rescued(first: Entry, last: Entry, test: "Pictures", *, pairs: int = 4, columns: int = 6) -> "Figure":
    """Test images of the most confused pairs that the first network gets wrong and the last one right; for phones, too."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * 0.8, pairs * 1.1), layout="constrained", dpi=160)
    grid = figure.subplots(pairs, columns, squeeze=False)
    for axes_row, (a, b) in zip(grid, confused_pairs(first.evaluation), strict=False):
        rescued = [
            i
            for i, truth in enumerate(test.groups)
            if {truth, first.answers[i]} == {a, b} and first.answers[i] != truth and last.answers[i] == truth
        ]
        axes_row[0].set_title(f"{a} or {b}: {len(rescued)} rescued", loc="left", fontsize=11)
        for axes in axes_row:
            axes.axis("off")
        for axes, i in zip(axes_row, rescued, strict=False):
            axes.imshow(test.images[i], cmap="gray")
    return figure


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("sources", type=Path, nargs="+", metavar="RUN_OR_BUNDLE", help="the baseline first")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--networks", action="store_true", help="keep all networks but the last there, too")
    arguments = parser.parse_args(options)
    with told(parser):
        for source in arguments.sources:
            if not (bundle_of(source) / MANIFEST).is_file():
                raise ValueError(
                    f"There is no bundle in {source}: export it first, python -m train.export {source} {source}/bundle."
                )
        print(compare(arguments.sources, arguments.data, arguments.out, networks=arguments.networks))
    last = bundle_of(arguments.sources[-1])
    print(f"The comparison is in {arguments.out / 'comparison.md'}. See the last network in the page:")
    print(f"FASHION_CLASSIFIER_MODEL={last} python app.py")
    print("Publish it on the Hugging Face Hub, under your own name there (--dry-run FOLDER to look first):")
    print(f"python -m train.publish {last} owner/name --version v{Bundle(last).manifest.version}{given_data(arguments)}")


def compare(sources: Sequence[Path], data: Path | None, out: Path, *, networks: bool = False) -> str:
    """Write the report on bundles and runs, with the networks but for the last one or without; its text."""
    from train.pictures.fashion_mnist import load_fashion_mnist

    groups, test = grouped(sources), load_fashion_mnist(data).test
    entries = [load(name, each, test) for name, each in groups.items()]
    pairs = all_pairs(entries, test.groups)
    text = to_markdown(entries, verdicts(pairs))
    out.mkdir(parents=True, exist_ok=True)
    kept = {name: keep(bundle_of(first), name, out) for name, (first, *_) in list(groups.items())[:-1]} if networks else {}
    numbers = {
        "networks": [
            {key: value for key, value in asdict(entry).items() if key != "answers"}
            | {"kept": asdict(kept[entry.name]) if entry.name in kept else None}
            for entry in entries
        ],
        "pairs": [{"networks": names, "differ": _differ(found, pairs)} | asdict(found) for names, found in pairs.items()],
    }
    (out / "comparison.json").write_text(json.dumps(numbers, indent=1) + "\n")
    (out / "comparison.md").write_text(text, encoding="utf-8")
    for entry in entries:
        entry.evaluation.plot(entry.name).savefig(out / f"confusion-{entry.name}.png")
    if runs := [entry for entry in entries if entry.history]:
        plot_curves(runs).savefig(out / "curves.png")
    if len(entries) > 1:
        plot_rescued(entries[0], entries[-1], test).savefig(out / "rescued.png")
    return text


if __name__ == "__main__":
    main()
