"""Publish a version on the Hugging Face Hub.

    python -m train.publish runs/resnet owner/name --version v1.2.0 --photos PHOTOS
    python -m train.publish bundles/old owner/name --version v0.1.0 --dry-run preview

Measures the bundle on the Fashion-MNIST test set (and on the photos of the test senders), refuses it where it is worse than
what the repository holds, and makes one commit of bundle, model card and figures, then the tag. What is there already makes no
new commit, so that the command can be repeated after a failure. --dry-run writes the files of the commit to a folder instead.
"""

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    EvalResult,
    HfApi,
    ModelCard,
    ModelCardData,
    get_token,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from fashion_classifier import Bundle, FashionClassifier, FashionClassifierError, HubError, InvalidBundleError, hub
from fashion_classifier.bundle import HDF5_MODEL, MANIFEST, sha256
from train.networks.calibration import BINS, plot_reliability
from train.networks.lineage import history_of
from train.networks.runs import thumbnails_file
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
from train.reports.photos import ask, measure, to_markdown
from train.reports.thumbnails import Evaluation, evaluate

CARD, FIGURES, TEMPLATE = "README.md", "figures", Path(__file__).parent / "model_card.md"
ATTEMPTS = 3  # commits to try while others commit to the same repository
MARGIN = 0.005  # accuracy on the test images that a version may lose against the one that it replaces
PHOTO_MARGIN = 0.02  # the same on photos, of which there are fewer


class PublishError(Exception):
    """A version that is not published; the text says what to do."""


@dataclass(frozen=True)
class Report:
    """What was measured of one bundle.

    Attributes:
        evaluation: On the Fashion-MNIST test images.
        photos: What `train.reports.photos.measure` says of the phone photos, or None where there were no photos.
    """

    evaluation: Evaluation
    photos: dict[str, Any] | None


@dataclass(frozen=True)
class HeldOut:
    """What versions are compared on: thumbnails, and the folder of the photos."""

    thumbnails: Pictures
    photos: Path | None = None

    def report(self, classifier: FashionClassifier) -> Report:
        evaluation = evaluate(classifier, self.thumbnails.images, self.thumbnails.groups)
        return Report(evaluation, None if self.photos is None else measure(ask(classifier, "photos", self.photos, "test")))


@dataclass(frozen=True)
class Published:
    """A repository as it is now; `head` is None where there is none yet."""

    head: str | None
    files: frozenset[str]
    tags: dict[str, str]


def look(repo: str) -> Published:
    """Raises `HubError` where the Hub does not tell."""
    api = HfApi()
    with hub.hub_errors(repo):
        try:
            info = api.model_info(repo, timeout=hub.TIMEOUT)
        except RepositoryNotFoundError:
            return Published(None, frozenset(), {})
        tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags}
    return Published(info.sha, frozenset(file.rfilename for file in info.siblings or ()), tags)


def check_bundle(bundle: Bundle, version: str) -> None:
    """Refuse a bundle whose manifest does not describe it, or describes another version."""
    manifest = bundle.manifest
    if f"v{manifest.version}" != version:
        raise PublishError(
            f"The manifest of {bundle.path} says version {manifest.version!r}, you publish {version}: export it again with "
            f"--version {version.removeprefix('v')}, or publish it as v{manifest.version}."
        )
    try:
        for name in manifest.files:
            bundle.file(name)
    except InvalidBundleError as error:
        raise PublishError(f"{error} A bundle is published as it was exported: export it again.") from error
    known = {MANIFEST, CARD, ".gitattributes", *manifest.files}
    if unknown := sorted(path.name for path in bundle.path.iterdir() if path.is_file() and path.name not in known):
        raise PublishError(f"The manifest of {bundle.path} does not list {', '.join(unknown)}: remove it, or export again.")


def check_tag(published: Published, repo: str, version: str) -> None:
    if version in published.tags:
        raise PublishError(
            f"{repo} has a version {version} already, commit {published.tags[version]}: choose the next number, or, if nobody "
            f"uses it, delete it first with `hf repos tag delete {repo} {version}`."
        )


def check_quality(bundle: Bundle, report: Report, published: Published, repo: str, data: HeldOut) -> None:
    """Refuse a bundle that is worse than the one at the head of the repository by more than the margins."""
    if published.head is None or MANIFEST not in published.files:
        return
    try:
        former = hub.load(repo, published.head)
        if former.manifest == bundle.manifest:
            return
        before = data.report(FashionClassifier(former))
    except InvalidBundleError as error:
        raise PublishError(f"{repo} cannot be compared with: {error} --allow-worse publishes without.") from error
    new = report.evaluation
    compared = [("Fashion-MNIST's test images", MARGIN, before.evaluation.accuracy, new.accuracy, new.n)]
    if before.photos and report.photos:
        photos = report.photos["all"]
        compared.append(("photos", PHOTO_MARGIN, before.photos["all"]["accuracy"], photos["accuracy"], photos["n"]))
    for name, margin, old, accuracy, n in compared:
        if old - accuracy > margin:
            raise PublishError(
                f"It is worse than version {former.manifest.version} at the head of {repo}: {accuracy:.2%} right on {n:,} "
                f"{name}, before {old:.2%}, and no more than {margin:.1%} may be lost. Train it better, or give --allow-worse."
            )


def stage(bundle: Bundle, folder: Path, *, hdf5: bool = False) -> Bundle:
    """Copy a bundle to where its card will be added, with fashion_model.h5 where asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, *bundle.manifest.files):
        shutil.copyfile(bundle.path / name, folder / name)
    staged = Bundle(folder)
    if hdf5 and HDF5_MODEL not in staged.manifest.files:
        import keras  # here: it loads a backend

        keras.models.load_model(staged.file(thumbnails_file(staged)), compile=False, safe_mode=True).save(folder / HDF5_MODEL)
        files = staged.manifest.files | {HDF5_MODEL: sha256(folder / HDF5_MODEL)}
        (folder / MANIFEST).write_text(replace(staged.manifest, files=files).to_json(), encoding="utf-8")
        staged = Bundle(folder)
    return staged


def write_card(staged: Bundle, report: Report, repo: str, version: str) -> None:
    """Add the model card and its figures to a staged bundle."""
    manifest = staged.manifest
    (staged.path / FIGURES).mkdir(exist_ok=True)
    figure = report.evaluation.plot(f"{manifest.experts['thumbnail'].architecture} {manifest.version}")
    same_bytes = {"Software": None}  # for the same numbers
    figure.savefig(staged.path / FIGURES / "confusion.png", metadata=same_bytes)
    figure = plot_reliability({"Fashion-MNIST test images": report.evaluation.calibration})
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
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        repo=repo,
        version=version,
        manifest=manifest,
        runs=runs_of_experts(staged),
        parameters=manifest.metrics.get("parameters"),
        evaluation=report.evaluation,
        photos=report.photos,
        photos_table=to_markdown(report.photos) if report.photos else "",
    )
    card.save(staged.path / CARD)


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
    if report.photos:
        measured = [("accuracy", "Accuracy", "the ten", report.photos["all"]["n"], report.photos["all"]["accuracy"])]
        if rejected := report.photos["not sure"].get("none of the ten"):
            measured.append(("recall", "Recognised as none of the ten", "none of the ten", rejected["n"], rejected["share"]))
        results += [
            EvalResult(
                task_type="image-classification",
                dataset_type="alexeygrigorev/clothing-dataset",
                dataset_name=f"Clothing dataset, senders not trained on, {kind}",
                dataset_config=kind,
                dataset_split="test",
                dataset_args={"n": n},
                metric_type=metric,
                metric_name=name,
                metric_value=round(value, 4),
            )
            for metric, name, kind, n, value in measured
        ]
    return results


def publish(staged: Bundle, report: Report, repo: str, version: str, data: HeldOut, *, allow_worse: bool = False) -> str:
    """Commit a staged folder and tag the commit.

    Returns:
        The commit's id: of a new one, or of the head where that holds the same files already.

    Raises:
        PublishError: The tag exists, the version is worse, or others kept committing.
        HubError: The Hub cannot be reached or refuses.
    """
    api = HfApi()
    additions = {path.relative_to(staged.path).as_posix(): path for path in sorted(staged.path.rglob("*")) if path.is_file()}
    with hub.hub_errors(repo):
        api.create_repo(repo, exist_ok=True)
    for _ in range(ATTEMPTS):
        published = look(repo)
        check_tag(published, repo, version)
        if not allow_worse:
            check_quality(staged, report, published, repo, data)
        with hub.hub_errors(repo):
            stale = {
                name for name in published.files - additions.keys() if name == HDF5_MODEL or name.startswith(f"{FIGURES}/")
            }
            operations: list[CommitOperationAdd | CommitOperationDelete] = [
                *(CommitOperationAdd(name, path) for name, path in additions.items()),
                *(CommitOperationDelete(name) for name in sorted(stale)),
            ]
            try:
                commit = api.create_commit(
                    repo, operations, commit_message=f"Publish {version}", parent_commit=published.head
                ).oid
            except HfHubHTTPError as error:
                if error.response.status_code != 412:
                    raise
                continue  # somebody else committed: look at that first
        if hub.load(repo, commit).manifest != staged.manifest:
            raise PublishError(f"{repo} gives other files at {commit} than were sent; it has no tag. Publish once more.")
        with hub.hub_errors(repo):
            try:
                api.create_tag(repo, tag=version, revision=commit)
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
                check_tag(look(repo), repo, version)
        return commit
    raise PublishError(f"Others committed to {repo} {ATTEMPTS} times meanwhile: nothing was published, try again.")


def find_bundle(source: Path, version: str, arguments: argparse.Namespace) -> Bundle:
    """The bundle in a folder; for a run, the one that was exported from it, now if need be."""
    if (source / MANIFEST).is_file():
        return Bundle(source)
    exported = Bundle(source / "bundle")
    if (exported.path / MANIFEST).is_file():
        return exported  # even of another version: `check_bundle` says so, and to export is to choose its other networks
    if not source.is_dir():
        raise PublishError(f"There is no folder {source}: give a finished run, or a bundle.")
    from train.export import export  # here: it loads TensorFlow

    number = version.removeprefix("v")
    return export(source, exported.path, version=number, data=load_fashion_mnist(arguments.data))


def main(options: list[str] | None = None) -> int:
    """Exit status: 0, or 1 where nothing was published, or 2 for a wrong call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="RUN_OR_BUNDLE", help="a finished run folder, or a bundle")
    parser.add_argument("repo", metavar="owner/name", help="the model's repository; made if there is none")
    parser.add_argument("--version", required=True, help="the new tag, such as v1.2.0")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--photos", type=Path, help="folder of the phone photos, to measure on its test senders as well")
    parser.add_argument("--h5", action="store_true", help=f"add {HDF5_MODEL}")
    parser.add_argument(
        "--allow-worse",
        action="store_true",
        help=f"publish even if accuracy falls by more than {MARGIN:.1%}% on the test images or {PHOTO_MARGIN:.0%}% on photos",
    )
    parser.add_argument("--dry-run", type=Path, metavar="FOLDER", help="write the files there and publish nothing")
    arguments = parser.parse_args(options)
    if not hub.VERSION.fullmatch(arguments.version):
        parser.error(f"--version must look like v1.2.0, received {arguments.version!r}")
    try:
        run(arguments)
    except (PublishError, FashionClassifierError, OSError, ValueError) as error:
        print(f"Not published. {error}", file=sys.stderr)
        return 1
    return 0


def run(arguments: argparse.Namespace) -> None:
    version, target = arguments.version, arguments.dry_run
    repo, revision = hub.parse_reference(arguments.repo)
    if revision is not None:
        raise PublishError(f"Give the name {repo} alone, and the version with --version.")
    if target is None and not get_token():
        raise PublishError("There is no token: sign in with `hf auth login`, or set HF_TOKEN to one with write access.")
    if target is None:
        check_tag(look(repo), repo, version)  # before the minutes of measuring
    elif target.exists() and any(target.iterdir()):
        raise PublishError(f"The folder {target} for --dry-run is not empty: choose another one.")
    bundle = find_bundle(arguments.source, version, arguments)
    check_bundle(bundle, version)
    data = HeldOut(load_fashion_mnist(arguments.data).test, arguments.photos)
    report = data.report(FashionClassifier(bundle))
    print(report.evaluation.to_markdown())
    with tempfile.TemporaryDirectory() as temporary:
        staged = stage(bundle, target or Path(temporary), hdf5=arguments.h5)
        write_card(staged, report, repo, version)
        if target is None:
            commit = publish(staged, report, repo, version, data, allow_worse=arguments.allow_worse)
            print(f"{repo} {version} is commit {commit}. Pin it: {repo}@{version}, or for good {repo}@{commit}.")
            return
    print(f"{target} holds what would be published as {repo} {version}.")
    try:
        published = look(repo)
        check_tag(published, repo, version)
        if not arguments.allow_worse:
            check_quality(staged, report, published, repo, data)
    except HubError as error:
        print(f"Not compared with what is published. {error}")


if __name__ == "__main__":
    sys.exit(main())
