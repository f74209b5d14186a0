"""The model card: what a version is and how right it is, from its own bundle and from what was measured of it."""

import importlib.metadata
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, constants

from fashion_classifier import Bundle
from train.networks.calibration import BINS, plot_reliability
from train.networks.lineage import history_of
from train.reports.measurements import Report
from train.reports.photos import ENOUGH, NONE, ONE, SOURCES, STREET, interval, overview, to_markdown
from train.reports.thumbnails import Evaluation

TEMPLATE, PRIVACY = (Path(__file__).parent.parent / name for name in ("model_card.md", "privacy.md"))
FASHION_MNIST = "Fashion-MNIST's test images"
CLOTHING = "alexeygrigorev/clothing-dataset"  # which the phone photos are of
CARD, FIGURES = "README.md", "figures"  # the names in a repository on the Hub
KINDS = (*(SOURCES[name][0].name for name in ("photos", "shop", "people", "things")), STREET.name)  # what can be measured on
WORST = 3  # classes of a source that are named for being named wrong most often


def write_card(staged: Bundle, report: Report, repo: str, version: str, space: str | None = None) -> None:
    """Add the model card and its figures to a staged bundle.

    Args:
        staged: The bundle.
        report: What was measured of it.
        repo: Its name on the Hub.
        version: Its tag.
        space: Where the page is, which has the package's source as well; None where there is no page on the Hub.
    """
    manifest, evaluation = staged.manifest, report.evaluation
    (staged.path / FIGURES).mkdir(exist_ok=True)
    figure = evaluation.plot(f"{manifest.experts['thumbnail'].architecture} {manifest.version}")
    same_bytes = {"Software": None}  # for the same numbers
    figure.savefig(staged.path / FIGURES / "confusion.png", metadata=same_bytes)
    figure = plot_reliability({"Fashion-MNIST test images": evaluation.calibration})
    figure.savefig(staged.path / FIGURES / "reliability.png", metadata=same_bytes)
    data = ModelCardData(
        language="en",
        license="mit",
        library_name="fashion-classifier",
        pipeline_tag="image-classification",
        tags=["fashion-mnist", "keras", "litert", "tflite"],
        datasets=["zalando-datasets/fashion_mnist"],
        metrics=["accuracy", "f1"],
        model_name=repo.partition("/")[2],
        eval_results=eval_results(report),
    )
    summaries = report.photos.values()
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        repo=repo,
        version=version,
        space=space,
        endpoint=constants.ENDPOINT,
        package=importlib.metadata.version("fashion-classifier"),
        manifest=manifest,
        runs=runs_of_experts(staged),
        parameters=manifest.metrics.get("parameters"),
        evaluation=evaluation,
        overview="\n".join(overview(list(summaries), [_overview_row(evaluation)])) + "\n",
        weaknesses=weaknesses(report, has_photo_expert="photo" in manifest.experts),
        photos={summary["source"]["name"]: to_markdown(summary) for summary in summaries},
        privacy=PRIVACY.read_text(encoding="utf-8"),
    )
    card.save(staged.path / CARD)


def _overview_row(evaluation: Evaluation) -> str:
    worst = min(evaluation.classes, key=lambda scores: scores.recall if scores.n else 1)
    everything = {"interval": evaluation.interval}
    return (
        f"| {FASHION_MNIST} | {evaluation.n} | {evaluation.accuracy:.1%} | {interval(everything)} "
        f"| {worst.label} {worst.recall:.1%} of {worst.n} | {evaluation.uncertain:.1%} | {evaluation.calibration.error:.3f} |"
    )


def weaknesses(report: Report, *, has_photo_expert: bool) -> list[str]:
    """What a version does worst on each kind of picture that it was measured on, and on which it was not measured."""
    recalls = {scores.label: (scores.recall, scores.n) for scores in report.evaluation.classes if scores.n}
    lines = [_worst(FASHION_MNIST, recalls)]
    for summary in report.photos.values():
        name, not_sure = summary["source"]["name"].capitalize(), summary["not sure"]
        groups = summary["groups"].items()
        if shares := {group: (share["accuracy"], share["n"]) for group, share in groups if share["n"] >= ENOUGH}:
            lines.append(_worst(name, shares))
        if ten := not_sure.get(ONE):
            lines.append(f"{name}: not sure of {ten['share']:.1%} of {ten['n']} that it should name.")
        if none := not_sure.get(NONE):
            lines.append(f"{name}, none of the ten: names {1 - none['share']:.1%} of {none['n']} as if they were.")
    measured = {summary["source"]["name"] for summary in report.photos.values()}
    if unknown := [name for name in KINDS if name not in measured]:
        lines.append(f"This version was not measured on {', '.join(unknown)}.")
    if not has_photo_expert:
        lines.append("It has no network for photos: the one for thumbnails answers them, reduced to 28x28.")
    return lines


def _worst(name: str, shares: dict[str, tuple[float, int]]) -> str:
    """The classes with the smallest shares of right answers; `shares` are these and the numbers of pictures."""
    worst = sorted(shares.items(), key=lambda item: item[1])[:WORST]
    return f"{name}: worst at " + ", ".join(f"{label} ({share:.1%} right of {n})" for label, (share, n) in worst) + "."


def runs_of_experts(bundle: Bundle) -> list[dict[str, Any]]:
    """The records of the runs that the experts' networks are from, each once, that for thumbnails first."""
    networks, runs = history_of(bundle)
    files = [member.file for expert in bundle.manifest.experts.values() for member in expert.members]
    return [runs[key] for key in dict.fromkeys(networks[file] for file in files if file in networks)]


def eval_results(report: Report) -> list[EvalResult]:
    """The measurements as the Hub's model-index has them, n among the arguments of the data set."""
    evaluation = report.evaluation
    fashion_mnist: dict[str, Any] = {
        "task_type": "image-classification",
        "dataset_type": "zalando-datasets/fashion_mnist",
        "dataset_name": "Fashion-MNIST",
        "dataset_split": "test",
        "dataset_args": {"n": evaluation.n},
    }
    results = [
        EvalResult(**fashion_mnist, metric_type=kind, metric_name=name, metric_value=round(value, 4))
        for kind, name, value in (
            ("accuracy", "Accuracy", evaluation.accuracy),
            ("f1", "Macro F1", evaluation.f1),
            ("expected_calibration_error", f"Expected calibration error, {BINS} equal-mass bins", evaluation.calibration.error),
        )
    ]
    for option, summary in report.photos.items():
        ten, refused = summary["all"], summary["not sure"].get(NONE)
        measured = [("accuracy", "Accuracy", ONE, ten["n"], ten["accuracy"])] if ten else []
        if refused:
            measured.append(("recall", "Recognised as none of the ten", NONE, refused["n"], refused["share"]))
        name = summary["source"]["name"]
        results += [
            EvalResult(
                task_type="image-classification",
                dataset_type=CLOTHING if option == "photos" else name.replace(" ", "-"),
                dataset_name=f"{name.capitalize()}, {kind}",
                dataset_config=kind,
                dataset_split="test",
                dataset_args={"n": n},
                metric_type=metric,
                metric_name=label,
                metric_value=round(value, 4),
            )
            for metric, label, kind, n, value in measured
        ]
    return results
