import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from huggingface_hub import ModelCard, constants
from PIL import Image

from fashion_classifier import LABELS, Bundle, FashionClassifier, list_versions, predict
from fashion_classifier.bundle import HDF5_MODEL, MANIFEST
from fashion_classifier.manifest import FORMAT
from tests.loopback_hub import READ_TOKEN, WRITE_TOKEN, Handler, LoopbackHub
from tests.tiny_bundles import changed, put
from train import publish
from train.pictures.fashion_mnist import load_fashion_mnist
from train.pictures.splits import split_of
from train.reports.thumbnails import evaluate

REPO = "zalando/fashion"
ROOT = Path(__file__).parent.parent.parent
UInt8Array = npt.NDArray[np.uint8]

# huggingface_hub 2.4 hands LFS uploads to httpx2 in a way that httpx2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")


@pytest.fixture(scope="module")
def thumbnails() -> list[UInt8Array]:
    """40 images of a few rectangles each."""
    rng = np.random.default_rng(0)
    images = np.zeros((40, 28, 28), np.uint8)
    for image in images:
        for _ in range(4):
            (top, bottom), (left, right) = np.sort(rng.integers(0, 29, (2, 2)), axis=1)
            image[top:bottom, left:right] = rng.integers(60, 256)
    return list(images)


@pytest.fixture(scope="module")
def bundle(tiny_bundles: dict[str, Path]) -> Path:
    return tiny_bundles["two looks"]


@pytest.fixture(scope="module")
def other_bundle(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As right as `bundle` and less confident."""
    out = tmp_path_factory.mktemp("bundles") / "second"
    return changed(bundle, out, version="1.1.0", experts__thumbnail__temperature=3.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, thumbnails: list[UInt8Array], bundle: Path) -> Path:
    """Fashion-MNIST's four files, the 40 thumbnails for test images: `bundle` is wrong on the last four of them."""
    answers = FashionClassifier(Bundle(bundle)).predict(thumbnails)
    labels = np.array([LABELS.index(answer.label) for answer in answers], np.uint8)
    labels[-4:] = (labels[-4:] + 1) % 10
    folder = tmp_path_factory.mktemp("fashion-mnist")
    training = np.arange(5100, dtype=np.uint8) % 10
    arrays = {
        "train-images-idx3-ubyte": np.zeros((5100, 28, 28), np.uint8),
        "train-labels-idx1-ubyte": training,
        "t10k-images-idx3-ubyte": np.stack(thumbnails),
        "t10k-labels-idx1-ubyte": labels,
    }
    for name, array in arrays.items():
        header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes(), 1))
    return folder


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval of the calibration error, which no test here looks at, takes most of a measurement of 40 pictures."""
    monkeypatch.setattr("train.networks.calibration.RESAMPLES", 20)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)


Run = Callable[..., int]


@pytest.fixture
def run(loopback: LoopbackHub, token: None, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, as it is typed; what it measures is kept for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def command(source: Path, version: str, *options: object) -> int:
        return publish.main([str(source), REPO, "--version", version, "--data", str(data), *map(str, options)])

    return command


def head(loopback: LoopbackHub) -> dict[str, bytes]:
    return loopback.repositories[REPO].head.files


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_published_versions_load_pinned_roll_back_and_need_no_hub(
    loopback: LoopbackHub,
    run: Run,
    bundle: Path,
    other_bundle: Path,
    thumbnails: list[UInt8Array],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    local = {"v1.0.0": bundle, "v1.1.0": other_bundle}
    for version, folder in local.items():
        assert run(folder, version) == 0
    tags = loopback.repositories[REPO].tags
    monkeypatch.setenv("HF_TOKEN", "")
    assert list_versions(REPO) == ["v1.1.0", "v1.0.0"]
    assert f"{REPO} v1.1.0 is commit {tags['v1.1.0']}." in capsys.readouterr().out

    def answers(classifier: FashionClassifier) -> list[dict[str, float]]:
        return [prediction.probabilities for prediction in classifier.predict(thumbnails)]

    expected = {version: answers(FashionClassifier.from_pretrained(folder)) for version, folder in local.items()}
    assert expected["v1.0.0"] != expected["v1.1.0"]
    for switched_off in (False, True):
        if switched_off:
            loopback.stop()
        for version, commit in tags.items():
            for revision in (version, commit):
                loaded = FashionClassifier.from_pretrained(REPO, revision=revision)
                assert (loaded.bundle.commit, answers(loaded)) == (commit, expected[version])
        for version in ("v1.1.0", "v1.0.0"):  # the second is the rollback
            monkeypatch.setenv("FASHION_CLASSIFIER_MODEL", f"{REPO}@{version}")
            answered = predict(thumbnails[0]).to_dict()
            assert (f"v{answered['model_version']}", answered["model_commit"]) == (version, tags[version])


def test_a_version_is_one_commit(loopback: LoopbackHub, run: Run, bundle: Path, other_bundle: Path) -> None:
    assert run(bundle, "v1.0.0") == run(other_bundle, "v1.1.0") == 0
    first, second, third = loopback.repositories[REPO].commits
    assert [commit.message for commit in (first, second, third)] == ["initial commit", "Publish v1.0.0", "Publish v1.1.0"]
    assert (second.parent, third.parent) == (first.id, second.id)
    assert loopback.repositories[REPO].tags == {"v1.0.0": second.id, "v1.1.0": third.id}
    assert set(second.files) == {
        ".gitattributes",
        *contents(bundle),
        "README.md",
        "figures/confusion.png",
        "figures/reliability.png",
    }
    assert contents(bundle).items() <= second.files.items()


def test_the_same_content_makes_no_new_commit(loopback: LoopbackHub, run: Run, bundle: Path) -> None:
    assert run(bundle, "v1.0.0") == 0
    repository = loopback.repositories[REPO]
    commit = repository.tags.pop("v1.0.0")  # as after a failure between commit and tag
    assert run(bundle, "v1.0.0") == 0
    assert repository.tags == {"v1.0.0": commit}
    assert len(repository.commits) == 2


def test_what_a_version_no_longer_has_is_deleted(loopback: LoopbackHub, run: Run, bundle: Path, other_bundle: Path) -> None:
    assert run(bundle, "v1.0.0") == 0
    ours = {HDF5_MODEL: b"h5", "figures/old.png": b"png", "NOTES.md": b"by hand"}
    loopback.repositories[REPO].commit(head(loopback) | ours, "Add files")
    assert run(other_bundle, "v1.1.0") == 0
    assert head(loopback).keys() & ours.keys() == {"NOTES.md"}


@pytest.fixture
def refused(loopback: LoopbackHub, run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command again, which must fail and change nothing; its message."""

    def command(*arguments: object) -> str:
        before = {name: (list(it.commits), dict(it.tags)) for name, it in loopback.repositories.items()}
        capsys.readouterr()
        assert run(*arguments) == 1
        assert {name: (it.commits, it.tags) for name, it in loopback.repositories.items()} == before
        message = capsys.readouterr().err
        assert message.startswith("Not published. ")
        return message.removeprefix("Not published. ").strip()

    return command


def test_an_existing_tag_is_refused(loopback: LoopbackHub, run: Run, refused: Callable[..., str], bundle: Path) -> None:
    assert run(bundle, "v1.0.0") == 0
    commit = loopback.repositories[REPO].tags["v1.0.0"]
    assert refused(bundle, "v1.0.0") == (
        f"{REPO} has a version v1.0.0 already, commit {commit}: choose the next number, or, if nobody uses it, "
        f"delete it first with `hf repos tag delete {REPO} v1.0.0`."
    )


def test_a_missing_token_is_refused(
    loopback: LoopbackHub, refused: Callable[..., str], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    message = refused(bundle, "v1.0.0")
    assert message == "There is no token: sign in with `hf auth login`, or set HF_TOKEN to one with write access."
    assert loopback.requests == []


def test_a_token_without_the_right_is_explained(
    loopback: LoopbackHub, refused: Callable[..., str], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    assert refused(bundle, "v1.0.0") == (
        f"{REPO}: the Hub ({loopback.endpoint}) refuses it (HTTP 403: Forbidden: you must use a "
        f"write token to upload to a repository.); use a token with access to {REPO}."
    )


def test_a_dead_hub_is_explained(loopback: LoopbackHub, run: Run, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loopback.stop()
    assert run(bundle, "v1.0.0") == 1
    assert f"{REPO}: the Hub ({loopback.endpoint}) cannot be reached" in capsys.readouterr().err


def test_an_upload_that_stops_is_explained_and_can_be_repeated(
    loopback: LoopbackHub, run: Run, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse_uploads(request: Handler) -> bool:
        if request.command == "PUT":
            request.fail(403, "", "Storage limit reached")
        return request.command == "PUT"

    loopback.before = refuse_uploads
    assert run(bundle, "v1.0.0") == 1
    assert "HTTP 403: Storage limit reached" in capsys.readouterr().err
    assert len(loopback.repositories[REPO].commits) == 1
    loopback.before = lambda request: False
    assert run(bundle, "v1.0.0") == 0
    assert len(loopback.repositories[REPO].commits) == 2


@pytest.mark.parametrize("version", ["1.0.0", "v1.0", "latest", "v1.0.0-rc1"])
def test_a_version_has_three_numbers(run: Run, bundle: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(bundle, version)
    assert caught.value.code == 2
    assert f"--version must look like v1.2.0, received '{version}'" in capsys.readouterr().err


def test_a_manifest_of_another_version_is_refused(refused: Callable[..., str], bundle: Path) -> None:
    assert refused(bundle, "v1.2.0") == (
        f"The manifest of {bundle} says version '1.0.0', you publish v1.2.0: export it again with --version 1.2.0, "
        "or publish it as v1.0.0."
    )


def test_a_bundle_that_was_changed_is_refused(refused: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    folder = changed(bundle, tmp_path / "bundle")
    (folder / "fashion_model.h5").write_bytes(b"")
    assert refused(folder, "v1.0.0") == (
        f"The manifest of {folder} does not list fashion_model.h5: remove it, or export again."
    )
    (folder / "fashion_model.h5").unlink()
    (folder / "thumbnail.keras").write_bytes(b"other")
    message = refused(folder, "v1.0.0")
    assert "thumbnail.keras has the checksum" in message
    assert message.endswith("A bundle is published as it was exported: export it again.")
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]["thumbnail.keras"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert refused(folder, "v1.0.0") == (
        f"{folder} is not a usable model bundle: manifest.json has 'thumbnail.keras' for experts.thumbnail.members[0].keras; "
        "allowed are the names in files."
    )


def test_a_folder_that_is_neither_run_nor_bundle_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused(tmp_path / "none", "v1.0.0") == f"There is no folder {tmp_path / 'none'}: give a finished run, or a bundle."


def test_the_exported_bundle_of_a_run_is_published(loopback: LoopbackHub, run: Run, bundle: Path, tmp_path: Path) -> None:
    changed(bundle, tmp_path / "run" / "bundle")
    assert run(tmp_path / "run", "v1.0.0") == 0
    assert head(loopback)[MANIFEST] == (tmp_path / "run" / "bundle" / MANIFEST).read_bytes()


@pytest.fixture(scope="module")
def worse_bundle(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers for the mirror image, where the labels are `bundle`'s answers for the image."""
    out = tmp_path_factory.mktemp("bundles") / "worse"
    return changed(bundle, out, version="1.1.0", experts__thumbnail__members__0__form="canonical mirrored")


def test_a_worse_version_is_refused_unless_allowed(
    loopback: LoopbackHub, run: Run, refused: Callable[..., str], bundle: Path, worse_bundle: Path, data: Path
) -> None:
    assert run(bundle, "v1.0.0") == 0
    test = load_fashion_mnist(data).test
    worse = evaluate(FashionClassifier.from_pretrained(worse_bundle), test.images, test.groups).accuracy
    assert worse < 0.9 - publish.MARGIN
    assert refused(worse_bundle, "v1.1.0") == (
        f"It is worse than version 1.0.0 at the head of {REPO}: {worse:.2%} right on 40 Fashion-MNIST's test images, before "
        "90.00%, and no more than 0.5% may be lost. Train it better, or give --allow-worse."
    )
    assert run(worse_bundle, "v1.1.0", "--allow-worse") == 0
    assert set(loopback.repositories[REPO].tags) == {"v1.0.0", "v1.1.0"}


def test_a_version_that_cannot_be_compared_is_refused_unless_allowed(
    loopback: LoopbackHub, run: Run, refused: Callable[..., str], bundle: Path, other_bundle: Path
) -> None:
    assert run(bundle, "v1.0.0") == 0
    newer = json.loads(head(loopback)[MANIFEST]) | {"format": FORMAT + 1}
    loopback.repositories[REPO].commit(head(loopback) | {MANIFEST: json.dumps(newer).encode()}, "Use a newer package")
    message = refused(other_bundle, "v1.1.0")
    assert message.startswith(f"{REPO} cannot be compared with: ")
    assert message.endswith("update fashion-classifier. --allow-worse publishes without.")
    assert run(other_bundle, "v1.1.0", "--allow-worse") == 0


class Rival:
    """Commits to the repository just before the first requests to commit are answered."""

    def __init__(self, hub: LoopbackHub, times: int) -> None:
        self.hub, self.left = hub, times

    def __call__(self, request: Handler) -> bool:
        if self.left and request.command == "POST" and f"/{REPO}/commit/" in request.path:
            self.left -= 1
            self.hub.repositories[REPO].commit(head(self.hub) | {"NOTES.md": str(self.left).encode()}, "Add notes")
        return False


def test_a_race_is_won_against_the_new_head(loopback: LoopbackHub, run: Run, bundle: Path) -> None:
    loopback.before = Rival(loopback, times=1)
    assert run(bundle, "v1.0.0") == 0
    _, rival, ours = loopback.repositories[REPO].commits
    assert (ours.parent, ours.message) == (rival.id, "Publish v1.0.0")
    assert ours.files["NOTES.md"] == b"0"
    assert [request for request in loopback.requests if "/commit/" in request[1]] == [
        ("POST", f"/api/models/{REPO}/commit/main")
    ] * 2


def test_a_race_that_goes_on_is_explained(
    loopback: LoopbackHub, run: Run, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loopback.before = Rival(loopback, times=99)
    assert run(bundle, "v1.0.0") == 1
    assert f"Others committed to {REPO} 3 times meanwhile: nothing was published, try again." in capsys.readouterr().err
    assert loopback.repositories[REPO].tags == {}


def test_a_rival_with_the_same_tag_is_explained(
    loopback: LoopbackHub, run: Run, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tag_first(request: Handler) -> bool:
        if f"/{REPO}/tag/" in request.path:
            repository = loopback.repositories[REPO]
            repository.tags["v1.0.0"] = repository.commits[0].id
        return False

    loopback.before = tag_first
    assert run(bundle, "v1.0.0") == 1
    assert f"{REPO} has a version v1.0.0 already, commit {loopback.repositories[REPO].commits[0].id}" in capsys.readouterr().err


def test_a_dry_run_writes_what_would_be_published(
    loopback: LoopbackHub, run: Run, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bundle, "v1.0.0", "--dry-run", tmp_path / "preview") == 0
    assert f"{tmp_path / 'preview'} holds what would be published as {REPO} v1.0.0." in capsys.readouterr().out
    assert {method for method, _ in loopback.requests} == {"GET"}
    assert run(bundle, "v1.0.0") == 0
    assert contents(tmp_path / "preview") | {".gitattributes": head(loopback)[".gitattributes"]} == head(loopback)


def test_a_dry_run_needs_neither_token_nor_hub(
    loopback: LoopbackHub,
    run: Run,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    loopback.stop()
    assert run(bundle, "v1.0.0", "--dry-run", tmp_path / "preview") == 0
    assert f"Not compared with what is published. {REPO}: the Hub" in capsys.readouterr().out
    assert FashionClassifier.from_pretrained(tmp_path / "preview").version == "1.0.0"
    assert run(bundle, "v1.0.0", "--dry-run", tmp_path / "preview") == 1
    assert "preview for --dry-run is not empty: choose another one." in capsys.readouterr().err


def test_a_dry_run_says_that_a_version_would_be_refused(
    run: Run, refused: Callable[..., str], bundle: Path, worse_bundle: Path, tmp_path: Path
) -> None:
    assert run(bundle, "v1.0.0") == 0
    assert "It is worse than version 1.0.0" in refused(worse_bundle, "v1.1.0", "--dry-run", tmp_path / "preview")


def test_the_card_says_what_was_measured(run: Run, bundle: Path, tmp_path: Path) -> None:
    assert run(bundle, "v1.0.0", "--dry-run", tmp_path) == 0
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.license, card.data.pipeline_tag) == ("mit", "image-classification")
    results = {result.metric_type: result for result in card.data.eval_results or []}
    assert (results["accuracy"].metric_value, results["accuracy"].dataset_args) == (0.9, {"n": 40})
    assert results["accuracy"].dataset_type == "zalando-datasets/fashion_mnist"
    assert set(results) == {"accuracy", "f1", "expected_calibration_error"}
    for part in (
        f"# {REPO} v1.0.0",
        "- epochs 1. Pictures: training 7.",
        "The network is\ntiny, 1,234 parameters",
        "fashion-classifier",
        f"FASHION_CLASSIFIER_MODEL={REPO}@v1.0.0 python app.py",
        "| Fashion-MNIST's test images | 40 | 90.0% | 76.9% to 96.0% |",
        "\n- Fashion-MNIST's test images: worst at ",
        "\n- Fashion-MNIST's own images, of a single garment, shoe or bag.",
        "\n- This version was not measured on phone photos, shop products, people in the street, things, street garments.\n",
        "## Privacy\n\nThe package sends no picture anywhere",
        "divided by the temperature 1.000, of photos by 1.000; of the probabilities, averaged over the forms of a picture (of "
        "thumbnails canonical; of photos garment, garment mirrored)",
        "Versions: keras 3.",
        f'from_pretrained("{REPO}", revision="v1.0.0")',
        "Accuracy **90.00%** (95 % interval 76.95% to 96.04%, n = 40)",  # Wilson's formula by hand: centre 0.8649, half 0.0954
        "![Confusion matrix: row true class, column answer](figures/confusion.png)",
        "Expected calibration error, 15 equal-mass bins: 0.",
        "![Reliability diagram](figures/reliability.png)",
        *LABELS,
    ):
        assert part in card.content
    for part in ("Undefined", "None", "LICENCES.md", "Photos and product images", "PHOTOS", "BUNDLE", "spaces/"):
        assert part not in card.content
    for name in ("confusion.png", "reliability.png"):
        with Image.open(tmp_path / "figures" / name) as figure:
            assert figure.format == "PNG"


def test_photos_are_measured_where_given(run: Run, bundle: Path, tmp_path: Path) -> None:
    sender = next(name for name in map(str, range(100)) if split_of(name) == "test")
    (tmp_path / "photos" / "images").mkdir(parents=True)
    rows = ["image,sender_id,label,kids", f"a,{sender},T-Shirt,False", f"b,{sender},Hat,False", f"c,{sender},Pants,False"]
    (tmp_path / "photos" / "photos.csv").write_text("\n".join(rows) + "\n")
    for name, width in (("a", 120), ("b", 90), ("c", 50)):
        photo = np.full((160, 160, 3), 230, np.uint8)
        photo[20:140, 80 - width // 2 : 80 + width // 2] = (150, 40, 60)
        Image.fromarray(photo).save(tmp_path / "photos" / "images" / f"{name}.jpg")
    assert run(bundle, "v1.0.0", "--photos", tmp_path / "photos", "--dry-run", tmp_path / "preview") == 0
    card = ModelCard.load(tmp_path / "preview" / "README.md")
    photos = {r.dataset_config: r for r in card.data.eval_results or [] if r.dataset_type == "alexeygrigorev/clothing-dataset"}
    assert {kind: result.dataset_args for kind, result in photos.items()} == {
        "one of the ten": {"n": 2},
        "none of the ten": {"n": 1},
    }
    answers = FashionClassifier.from_pretrained(bundle).predict(sorted((tmp_path / "photos" / "images").iterdir()))
    right = [answers[0].label == "T-shirt/top", answers[2].label == "Trouser"]
    assert photos["one of the ten"].metric_value == np.mean(right)
    assert photos["none of the ten"].metric_value == float(answers[1].uncertain)
    assert '"Not sure" on none of the ten: ' in card.content
    assert f"| phone photos | 2 | {np.mean(right):.1%} |" in card.content
    assert (
        f"Phone photos: not sure of {np.mean([answers[0].uncertain, answers[2].uncertain]):.1%} of 2 that it should"
        in card.content
    )
    named = 0 if answers[1].uncertain else 1
    assert f"Phone photos, none of the ten: names {named:.1%} of 1 as if they were." in card.content
    assert "not measured on shop products, people in the street, things, street garments." in card.content
    assert "- Pictures as those that it was measured on, of a single garment" in card.content


def test_the_card_tells_where_page_and_source_are(run: Run, bundle: Path, tmp_path: Path) -> None:
    assert run(bundle, "v1.0.0", "--space", "zalando/wardrobe", "--dry-run", tmp_path / "preview") == 0
    text = (tmp_path / "preview" / "README.md").read_text()
    assert f"\npip install git+{constants.ENDPOINT}/spaces/zalando/wardrobe\n" in text
    assert f"page: {constants.ENDPOINT}/spaces/zalando/wardrobe\n" in text
    assert "app.py" not in text


def test_the_card_of_a_network_for_thumbnails_promises_no_photos(
    run: Run, tiny_bundles: dict[str, Path], tmp_path: Path
) -> None:
    assert run(tiny_bundles["thumbnail"], "v1.0.0", "--dry-run", tmp_path / "preview") == 0
    text = (tmp_path / "preview" / "README.md").read_text()
    assert "None of its networks was trained to name photos." in text
    assert "- It has no network for photos: the one for thumbnails answers them, reduced to 28x28.\n" in text
    assert "In photos, " not in text


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that were measured on the thumbnails."""
    versions: list[str] = []

    def evaluate_and_note(classifier: FashionClassifier, *arguments: Any) -> Any:
        versions.append(classifier.version)
        return evaluate(classifier, *arguments)

    monkeypatch.setattr("train.reports.measurements.evaluate", evaluate_and_note)
    return versions


def test_the_same_networks_are_measured_once(
    loopback: LoopbackHub, run: Run, bundle: Path, other_bundle: Path, tmp_path: Path, measured: list[str]
) -> None:
    assert run(bundle, "v1.0.0", "--dry-run", tmp_path / "first") == 0
    assert run(changed(bundle, tmp_path / "renamed", version="1.0.1"), "v1.0.1", "--dry-run", tmp_path / "second") == 0
    assert measured == ["1.0.0"]  # the networks are the same, whatever the version is called
    first, second = ((tmp_path / name / "README.md").read_text() for name in ("first", "second"))
    assert first.replace("v1.0.0", "v1.0.1") == second
    assert run(bundle, "v1.0.0") == 0
    assert run(other_bundle, "v1.1.0") == 0  # compared with the one before, which was measured already
    assert measured == ["1.0.0", "1.1.0"]


def test_what_is_measured_depends_on_networks_pictures_and_code(
    run: Run, bundle: Path, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish_dry(folder: Path, name: str, *options: object) -> int:
        assert run(folder, "v1.0.0", "--dry-run", tmp_path / name, *options) == 0
        return len(measured)

    assert publish_dry(bundle, "first") == 1
    other = changed(bundle, tmp_path / "other", uncertain_below=0.06)
    assert publish_dry(other, "second") == 2
    put(other, "thumbnail.tflite", (bundle / "thumbnail.tflite").read_bytes() + b"\0")
    assert publish_dry(other, "third") == 3
    things = tmp_path / "things"
    (things / "images").mkdir(parents=True)
    kind = next(name for name in map("kind {}".format, range(100)) if split_of(name) == "test")
    (things / "things.csv").write_text(f"image,kind\na,{kind}\n")
    for shade, expected in ((90, 4), (91, 5), (91, 5)):
        Image.new("RGB", (60, 80), (shade, shade, shade)).save(things / "images" / "a.jpg")
        assert publish_dry(bundle, f"things-{shade}-{len(list(tmp_path.iterdir()))}", "--things", things) == expected
    monkeypatch.setattr("train.reports.measurements.CODE", ("train",))
    assert publish_dry(bundle, "fourth") == 6


def test_a_measurement_that_was_damaged_is_made_again(run: Run, bundle: Path, tmp_path: Path, measured: list[str]) -> None:
    assert run(bundle, "v1.0.0", "--dry-run", tmp_path / "first") == 0
    (kept,) = (tmp_path / "cache" / "fashion-classifier" / "measurements").iterdir()
    whole = kept.read_text()
    for damaged in (whole[:100], "{}", '{"evaluation": {"classes": 3}}'):
        kept.write_text(damaged)
        assert run(bundle, "v1.0.0", "--dry-run", tmp_path / f"again-{len(measured)}") == 0
        assert kept.read_text() == whole
    assert len(measured) == 4


def test_a_claim_that_does_not_hold_is_refused(refused: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    claim = {"fashion-mnist test": {"n": 40, "accuracy": 0.95}}
    folder = changed(bundle, tmp_path / "bundle", metrics=claim)
    assert refused(folder, "v1.0.0") == (
        f"The manifest of {folder} claims 95.00% on 40 test images of Fashion-MNIST, 90.00% were found: export it again."
    )


def test_a_folder_of_photos_that_is_not_there_is_refused(refused: Callable[..., str], bundle: Path, tmp_path: Path) -> None:
    assert refused(bundle, "v1.0.0", "--shop", tmp_path / "shop") == f"There is no folder for --shop {tmp_path / 'shop'}."


def test_hdf5_is_added_on_request(loopback: LoopbackHub, run: Run, bundle: Path) -> None:
    keras = pytest.importorskip("keras", reason="pip install tensorflow to test --h5")
    assert run(bundle, "v1.0.0", "--h5") == 0
    loaded = FashionClassifier.from_pretrained(REPO, revision="v1.0.0").bundle
    assert loaded.manifest.files[HDF5_MODEL] == hashlib.sha256(head(loopback)[HDF5_MODEL]).hexdigest()
    path = loaded.path.parent / HDF5_MODEL
    path.write_bytes(head(loopback)[HDF5_MODEL])
    networks = [keras.models.load_model(file, compile=False) for file in (path, bundle / "thumbnail.keras")]
    for ours, theirs in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_command_line_client_downloads_what_evaluates_the_same(
    run: Run, loopback: LoopbackHub, bundle: Path, data: Path, tmp_path: Path
) -> None:
    assert run(bundle, "v1.0.0") == 0
    client = Path(sys.executable).with_name("hf")
    environment = os.environ | {"HF_TOKEN": ""}
    options = ["download", REPO, "--revision", "v1.0.0", "--local-dir", str(tmp_path / "copy")]
    subprocess.run([str(client), *options], check=True, capture_output=True, env=environment)
    copy = {name: file for name, file in contents(tmp_path / "copy").items() if not name.startswith(".cache/")}
    assert copy == head(loopback)
    options = [str(tmp_path / "copy"), "--data", str(data), "--out", str(tmp_path / "report")]
    subprocess.run([sys.executable, "-m", "train.reports.thumbnails", *options], check=True, capture_output=True, cwd=ROOT)
    evaluation = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert (evaluation["n"], evaluation["accuracy"]) == (40, 0.9)
    card = ModelCard.load(tmp_path / "copy" / "README.md")
    assert round(evaluation["f1"], 4) in [result.metric_value for result in card.data.eval_results or []]
