"""Publish a version on the Hugging Face Hub.

    python -m train.publish runs/resnet owner/name --version v1.2.0 --photos PHOTOS
    python -m train.publish bundles/old owner/name --version v0.1.0 --dry-run preview

Measures the bundle on the Fashion-MNIST test set, and on the test split of every source of photos that is given, refuses it
where it is worse than what the repository holds, and makes one commit of bundle, model card and figures, then the tag. What was
measured is kept in the user's cache and not measured again. What is there already makes no new commit, so that the command can
be repeated after a failure. --dry-run writes the files of the commit to a folder instead.
"""

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from fashion_classifier import Bundle, FashionClassifier, FashionClassifierError, HubError, InvalidBundleError, hub
from fashion_classifier.bundle import HDF5_MODEL, MANIFEST, sha256
from train.commands import add_data, add_folders, command_parser, quiet

if TYPE_CHECKING:  # they take seconds to load, and --help needs none of them
    from train.reports.measurements import HeldOut, Report

PHOTOS = ("photos", "street", "shop", "people", "things")  # the options that name folders of photos
ATTEMPTS = 3  # commits to try while others commit to the same repository
MARGIN = 0.005  # accuracy on the test images that a version may lose against the one that it replaces
PHOTO_MARGIN = 0.02  # the same on photos, of which there are fewer


class PublishError(Exception):
    """A version that is not published; the text says what to do."""


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
    from train.reports.model_card import CARD

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


def check_claim(bundle: Bundle, report: "Report") -> None:
    """Refuse a bundle whose manifest claims more of Fashion-MNIST's test images than it was found to be right on."""
    claimed, measured = bundle.manifest.metrics.get("fashion-mnist test", {}), report.evaluation
    if claimed.get("n") == measured.n and claimed["accuracy"] - measured.accuracy > MARGIN:
        raise PublishError(
            f"The manifest of {bundle.path} claims {claimed['accuracy']:.2%} on {measured.n:,} test images of Fashion-MNIST, "
            f"{measured.accuracy:.2%} were found: export it again."
        )


def check_quality(bundle: Bundle, report: "Report", published: Published, repo: str, data: "HeldOut") -> None:
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
    compared += [
        (summary["source"]["name"], PHOTO_MARGIN, before.photos[name]["all"]["accuracy"], ten["accuracy"], ten["n"])
        for name, summary in report.photos.items()
        if (ten := summary["all"])
    ]
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

        from train.networks.runs import keras_file

        keras.models.load_model(staged.file(keras_file(staged)), compile=False, safe_mode=True).save(folder / HDF5_MODEL)
        files = staged.manifest.files | {HDF5_MODEL: sha256(folder / HDF5_MODEL)}
        (folder / MANIFEST).write_text(replace(staged.manifest, files=files).to_json(), encoding="utf-8")
        staged = Bundle(folder)
    return staged


def publish(staged: Bundle, report: "Report", repo: str, version: str, data: "HeldOut", *, allow_worse: bool = False) -> str:
    """Commit a staged folder and tag the commit.

    Returns:
        The commit's id: of a new one, or of the head where that holds the same files already.

    Raises:
        PublishError: The tag exists, the version is worse, or others kept committing.
        HubError: The Hub cannot be reached or refuses.
    """
    from train.reports.model_card import FIGURES

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
    print(f"Exporting {source} to {exported.path}; this takes a minute or two.", flush=True)
    with quiet():
        from train.networks.exporting import export  # here: it loads TensorFlow
        from train.pictures.fashion_mnist import load_fashion_mnist

        number = version.removeprefix("v")
        return export(source, exported.path, version=number, data=load_fashion_mnist(arguments.data))


def main(options: list[str] | None = None) -> int:
    """Exit status: 0, or 1 where nothing was published, or 2 for a wrong call."""
    parser = command_parser(__doc__)
    parser.add_argument("source", type=Path, metavar="RUN_OR_BUNDLE", help="a finished run folder, or a bundle")
    parser.add_argument("repo", metavar="owner/name", help="the model's repository; made if there is none")
    parser.add_argument("--version", required=True, help="the new tag, such as v1.2.0")
    add_data(parser)
    add_folders(parser, "photos", "street", "shop", "people", "things")
    parser.add_argument("--space", metavar="OWNER/SPACE", help="where train.deploy_space puts the page, for the model card")
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
    from train.pictures.fashion_mnist import load_fashion_mnist
    from train.reports.measurements import HeldOut
    from train.reports.model_card import write_card

    folders = {name: folder for name in PHOTOS if (folder := getattr(arguments, name))}
    if missing := [f"--{name} {folder}" for name, folder in folders.items() if not folder.is_dir()]:
        raise PublishError(f"There is no folder for {', '.join(missing)}.")
    data = HeldOut(load_fashion_mnist(arguments.data).test, folders)
    print("Measuring; this takes minutes where these networks were not measured on these pictures before.", flush=True)
    report = data.report(FashionClassifier(bundle))
    check_claim(bundle, report)
    print(report.evaluation.to_markdown())
    with tempfile.TemporaryDirectory() as temporary:
        staged = stage(bundle, target or Path(temporary), hdf5=arguments.h5)
        write_card(staged, report, repo, version, arguments.space)
        if target is None:
            commit = publish(staged, report, repo, version, data, allow_worse=arguments.allow_worse)
            print(f"{repo} {version} is commit {commit}. Pin it: {repo}@{version}, or for good {repo}@{commit}.")
            print(
                f"The page on it, as a Space: python -m train.deploy_space {arguments.space or repo} --model {repo}@{version}"
            )
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
