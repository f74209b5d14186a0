import hashlib
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # not listed in an __all__

from fashion_classifier import (
    Bundle,
    FashionClassifier,
    HubError,
    InvalidBundleError,
    InvalidReferenceError,
    ModelIntegrityError,
    hub,
    list_versions,
    predict,
)
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST, sha256
from fashion_classifier.manifest import FORMAT
from tests.loopback_hub import READ_TOKEN, Handler, LoopbackHub, Repository, hang
from tests.patience import eventually
from tests.tiny_bundles import changed

REPO = "zalando/fashion"
FIXTURES = Path(__file__).parent / "fixtures"
GARMENT = np.pad(np.full((20, 12), 200, np.uint8), ((4, 4), (8, 8)))


@pytest.fixture(scope="module")
def bundle(tiny_bundles: dict[str, Path]) -> Path:
    return tiny_bundles["two looks"]


@pytest.fixture
def versions(loopback: LoopbackHub, bundle: Path, tmp_path: Path) -> dict[str, str]:
    """Two versions on the Hub with different answers, and their commit ids."""
    repository = loopback.repositories[REPO] = Repository()
    commits = {}
    for version, temperature in (("1.0.0", 1.0), ("1.1.0", 2.0)):
        folder = changed(bundle, tmp_path / version, version=version, experts__thumbnail__temperature=temperature)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        commit = repository.commit(files, f"Publish {version}")
        repository.tags[f"v{version}"] = commits[f"v{version}"] = commit.id
    return commits


def answers(classifier: FashionClassifier) -> dict[str, float]:
    return classifier.predict(GARMENT).probabilities


def change_head(loopback: LoopbackHub, files: dict[str, bytes], without: str = "") -> None:
    head = loopback.repositories[REPO].head
    loopback.repositories[REPO].commit({k: v for k, v in (head.files | files).items() if k != without}, "Change")


def test_a_tag_and_its_commit_give_the_same_model(versions: dict[str, str]) -> None:
    for version, commit in versions.items():
        by_tag = FashionClassifier.from_pretrained(REPO, revision=version)
        by_commit = FashionClassifier.from_pretrained(f"{REPO}@{commit}")
        assert by_tag.bundle == by_commit.bundle
        assert (by_tag.version, by_tag.bundle.commit) == (version[1:], commit)
        assert answers(by_tag) == answers(by_commit)
    assert answers(FashionClassifier.from_pretrained(REPO)) == answers(FashionClassifier.from_pretrained(f"{REPO}@v1.1.0"))


def test_a_prediction_says_which_commit_answered(versions: dict[str, str]) -> None:
    prediction = FashionClassifier.from_pretrained(f"{REPO}@v1.0.0").predict(GARMENT)
    assert prediction.to_dict()["model_version"] == "1.0.0"
    assert prediction.to_dict()["model_commit"] == prediction.model_commit == versions["v1.0.0"]
    assert FashionClassifier(Bundle(DEFAULT_MODEL)).predict(GARMENT).to_dict()["model_commit"] is None


def test_the_newest_version_is_listed_first(loopback: LoopbackHub, versions: dict[str, str]) -> None:
    loopback.repositories[REPO].tags |= {"v1.10.0": versions["v1.1.0"], "v1.9.0": versions["v1.1.0"], "best": "0" * 40}
    assert list_versions(REPO) == ["v1.10.0", "v1.9.0", "v1.1.0", "v1.0.0"]


def test_the_variable_switches_and_rolls_back(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = predict(GARMENT)
    seen = []
    for version in ("v1.1.0", "v1.0.0"):
        monkeypatch.setenv("FASHION_CLASSIFIER_MODEL", f"{REPO}@{version}")
        seen.append(predict(GARMENT))
        assert FashionClassifier.from_pretrained().bundle.commit == versions[version]
    assert [prediction.model_commit for prediction in seen] == [versions["v1.1.0"], versions["v1.0.0"]]
    monkeypatch.setenv("FASHION_CLASSIFIER_MODEL", "")
    assert predict(GARMENT).bundle == embedded.bundle == Bundle(DEFAULT_MODEL)


def test_a_cached_commit_makes_no_request(loopback: LoopbackHub, versions: dict[str, str]) -> None:
    before = answers(FashionClassifier.from_pretrained(REPO, revision=versions["v1.0.0"]))
    loopback.requests.clear()
    assert answers(FashionClassifier.from_pretrained(REPO, revision=versions["v1.0.0"])) == before
    assert loopback.requests == []


def test_cached_versions_answer_with_the_hub_switched_off(loopback: LoopbackHub, versions: dict[str, str]) -> None:
    before = {version: answers(FashionClassifier.from_pretrained(REPO, revision=version)) for version in versions}
    loopback.stop()
    for version, commit in versions.items():
        for revision in (version, commit):
            classifier = FashionClassifier.from_pretrained(REPO, revision=revision)
            assert (classifier.bundle.commit, answers(classifier)) == (commit, before[version])


def test_a_cached_tag_answers_when_the_hub_is_silent(
    loopback: LoopbackHub, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    FashionClassifier.from_pretrained(REPO, revision="v1.0.0")
    monkeypatch.setattr(hub, "TIMEOUT", 0.3)
    loopback.before = hang
    with caplog.at_level(logging.WARNING, "fashion_classifier"):
        assert FashionClassifier.from_pretrained(REPO, revision="v1.0.0").bundle.commit == versions["v1.0.0"]
    assert caplog.messages == [
        f"The Hub did not answer within 0.3 s: {REPO}@v1.0.0 is taken from the cache, {versions['v1.0.0']}."
    ]


def test_a_moved_tag_is_followed_and_a_commit_is_not(loopback: LoopbackHub, versions: dict[str, str]) -> None:
    FashionClassifier.from_pretrained(REPO, revision="v1.0.0")
    loopback.repositories[REPO].tags["v1.0.0"] = versions["v1.1.0"]
    assert FashionClassifier.from_pretrained(REPO, revision="v1.0.0").version == "1.1.0"
    assert FashionClassifier.from_pretrained(REPO, revision=versions["v1.0.0"]).version == "1.0.0"


def test_a_folder_wins_over_a_name(versions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / REPO).parent.mkdir()
    (tmp_path / REPO).symlink_to(DEFAULT_MODEL)
    monkeypatch.chdir(tmp_path)
    assert FashionClassifier.from_pretrained(REPO).bundle == Bundle(tmp_path / REPO)
    assert FashionClassifier.from_pretrained(f"{REPO}@v1.0.0").bundle.commit == versions["v1.0.0"]
    with pytest.raises(InvalidReferenceError, match=f"has no revision 'v1.0.0'; for the name on the Hub write '{REPO}@v1.0.0'"):
        FashionClassifier.from_pretrained(REPO, revision="v1.0.0")


@pytest.mark.parametrize(
    ("ref", "revision", "problem"),
    [
        ("no-such-folder", None, "no such folder exists, and a name on the Hub has one slash"),
        ("a/b/c", None, "no such folder exists, and a name on the Hub has one slash"),
        ("owner/na--me", None, "the Hub allows no such name"),
        ("own er/name", None, "the Hub allows no such name"),
        ("owner/name@", None, "'' is no tag, branch or commit id"),
        ("owner/name@v1 0", None, "'v1 0' is no tag, branch or commit id"),
        ("owner/name@../main", None, "'../main' is no tag, branch or commit id"),
        ("owner/name@v1.0.0", "v1.1.0", "its revision is given twice, 'v1.0.0' and 'v1.1.0'"),
        (None, "v1.0.0", "the revision 'v1.0.0' needs a name on the Hub"),
    ],
)
def test_what_names_no_model(loopback: LoopbackHub, ref: str | None, revision: str | None, problem: str) -> None:
    with pytest.raises(InvalidReferenceError, match=re.escape(problem)) as caught:
        FashionClassifier.from_pretrained(ref, revision=revision)
    assert str(caught.value).endswith("Accepted: a bundle's folder, or owner/name[@revision].")
    assert loopback.requests == []


def test_versions_belong_to_a_name_without_revision(loopback: LoopbackHub) -> None:
    with pytest.raises(InvalidReferenceError, match="without revision"):
        list_versions(f"{REPO}@v1.0.0")


def refuse_connections(loopback: LoopbackHub) -> None:
    loopback.stop()


def stay_silent(loopback: LoopbackHub) -> None:
    loopback.before = hang


def stay_silent_on_files(loopback: LoopbackHub) -> None:
    loopback.before = lambda request: "/resolve/" in request.path and hang_on(request)


def stay_silent_within_a_file(loopback: LoopbackHub) -> None:
    def begin(request: Handler) -> bool:
        if request.command != "GET" or "/resolve/" not in request.path:
            return False
        request.send(200, b"{", {"Content-Length": "2000"})
        return hang_on(request)

    loopback.before = begin


def hang_on(request: Handler) -> bool:
    request.hub.before = hang
    return hang(request)


def forbidden(*args: object) -> None:
    raise AssertionError("nothing of this is to be tried again")


def answering(status: int, code: str, message: str) -> Callable[[LoopbackHub], None]:
    def refuse(request: Handler) -> bool:
        request.fail(status, code, message)
        return True

    def fault(loopback: LoopbackHub) -> None:
        loopback.before = refuse

    return fault


def intercept(loopback: LoopbackHub) -> None:
    def answer(request: Handler) -> bool:
        request.send(200, b"<html>Sign in to this network</html>", {"Content-Type": "text/html"})
        return True

    loopback.before = answer


def truncate(loopback: LoopbackHub) -> None:
    loopback.alter = lambda path, content: content[:-1] if path == "thumbnail.tflite" else content


def remove_repository(loopback: LoopbackHub) -> None:
    del loopback.repositories[REPO]


def remove_network(loopback: LoopbackHub) -> None:
    change_head(loopback, {}, without="thumbnail.tflite")


def remove_manifest(loopback: LoopbackHub) -> None:
    change_head(loopback, {}, without=MANIFEST)


AT = r"the Hub \(http://127\.0\.0\.1:\d+\)"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (refuse_connections, rf"{AT} cannot be reached \(\[Errno \d+\] Connection refused\)\."),
        (answering(503, "", "Service Unavailable"), rf"{AT} answers HTTP 503 \(Service Unavailable\); try again later\."),
        (answering(429, "", "Too many requests"), rf"{AT} limits the number of requests \(HTTP 429\); wait .*"),
        (
            answering(401, "", "Invalid username or password."),
            rf"{AT} has no such repository, or not for you; check the name, and for a private one set HF_TOKEN\.",
        ),
        (
            answering(403, "GatedRepo", "Access to model is restricted."),
            rf"{AT} gives it only to those who asked for access; ask at http://127\.0\.0\.1:\d+/{REPO}\.",
        ),
        (intercept, rf"{AT} does not answer as a Hub does; check HF_ENDPOINT, your proxy, or the network's sign-in page\."),
        (truncate, r"its files cannot be had \(Consistency check failed: file should be of size \d+ but has size \d+ .*\)\."),
        (remove_repository, rf"{AT} has no such repository, or not for you; .*"),
        (remove_network, rf"it is no complete bundle: {AT} has no thumbnail\.tflite in it\."),
        (remove_manifest, rf"it is no complete bundle: {AT} has no manifest\.json in it\."),
    ],
)
@pytest.mark.parametrize("by", ["branch", "commit"])
def test_a_failure_is_one_sentence_at_once(
    loopback: LoopbackHub,
    versions: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[LoopbackHub], None],
    sentence: str,
    by: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=forbidden))  # to try again for long
    fault(loopback)
    revision = "main"
    if by == "commit":
        revision = loopback.repositories[REPO].head.id if REPO in loopback.repositories else versions["v1.0.0"]
    with pytest.raises(HubError) as caught:
        FashionClassifier.from_pretrained(REPO, revision=revision)
    assert re.fullmatch(rf"{REPO}@{revision}: {sentence}", str(caught.value))
    assert (caught.value.repo, caught.value.revision) == (REPO, revision)


@pytest.mark.parametrize("fault", [stay_silent, stay_silent_on_files, stay_silent_within_a_file])
@pytest.mark.parametrize("revision", ["main", "v1.0.0"])
def test_silence_is_noticed_while_it_lasts(
    loopback: LoopbackHub,
    versions: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[LoopbackHub], None],
    revision: str,
) -> None:
    monkeypatch.setattr(hub, "TIMEOUT", 0.4)
    fault(loopback)
    with pytest.raises(HubError, match=rf"^{REPO}@{versions.get(revision, revision)}: {AT} did not answer in time\.$"):
        FashionClassifier.from_pretrained(REPO, revision=versions.get(revision, revision))


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_what_hf_xet_raises_is_one_sentence_as_well(kind: type[Exception]) -> None:
    with pytest.raises(HubError) as caught, hub.hub_errors(REPO, "v1.0.0"):
        raise kind("Task error: CAS Client Error: 403\nand a backtrace")
    assert str(caught.value) == f"{REPO}@v1.0.0: its files cannot be had (Task error: CAS Client Error: 403)."


def test_two_that_load_at_once_wait_for_each_other(
    loopback: LoopbackHub, bundle: Path, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that stands still but for the ten seconds that the one network takes, whose 6 kB may take twelve."""
    clock, downloading = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(hub, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(hub, "TIMEOUT", 4)
    monkeypatch.setattr(hub, "SLOWEST", 500)

    @contextmanager
    def counted(*arguments: Any, **options: Any) -> Iterator[None]:
        downloading.append(arguments)
        with WeakFileLock(*arguments, **options):
            yield
        downloading.pop()

    monkeypatch.setattr("huggingface_hub.utils.WeakFileLock", counted)

    def slowly(request: Handler) -> bool:
        if request.command != "GET" or not request.path.endswith("/thumbnail.tflite") or "/cdn/" not in request.path:
            return False
        content = (bundle / "thumbnail.tflite").read_bytes()
        request.send(200, content[:1000], {"Content-Length": str(len(content))})
        eventually(lambda: len(downloading) == 2)  # the other has come
        clock.now += 10
        request.wfile.write(content[1000:])
        return True

    loopback.before = slowly
    with ThreadPoolExecutor(2) as pool:
        loaded = list(pool.map(lambda _: FashionClassifier.from_pretrained(f"{REPO}@v1.0.0").bundle.commit, range(2)))
    assert loaded == [versions["v1.0.0"]] * 2


def test_offline_mode_is_named(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    FashionClassifier.from_pretrained(REPO, revision="v1.0.0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert FashionClassifier.from_pretrained(REPO, revision="v1.0.0").bundle.commit == versions["v1.0.0"]
    for revision in ("v1.1.0", versions["v1.1.0"]):
        with pytest.raises(
            HubError, match=f"^{REPO}@{revision}: it is not in the cache, and HF_HUB_OFFLINE forbids to ask the Hub.$"
        ):
            FashionClassifier.from_pretrained(REPO, revision=revision)


def test_a_cache_that_cannot_be_written_is_named(
    versions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(HubError, match=rf"^{REPO}@v1.0.0: its files cannot be had \(\[Errno \d+\] .*{tmp_path}.*\)\.$"):
        FashionClassifier.from_pretrained(REPO, revision="v1.0.0")


def test_silence_is_noticed_when_versions_are_listed(loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TIMEOUT", 0.4)
    loopback.before = hang
    with pytest.raises(HubError, match="did not answer in time"):
        list_versions(REPO)


@pytest.mark.parametrize("revision", ["v9.9.9", "0" * 40])
def test_a_missing_revision_names_those_that_exist(versions: dict[str, str], revision: str) -> None:
    with pytest.raises(
        HubError, match=f"^{REPO}@{revision}: {AT} has no such revision of it; its versions are v1.1.0, v1.0.0.$"
    ):
        FashionClassifier.from_pretrained(REPO, revision=revision)


def test_a_wrong_token_is_named(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with pytest.raises(HubError, match=r"refuses your token \(HTTP 401\); sign in with `hf auth login`"):
        FashionClassifier.from_pretrained(REPO)
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    assert FashionClassifier.from_pretrained(REPO).version == "1.1.0"


def positions(size: int, step: int) -> list[int]:
    return sorted({1, *range(0, size, step), size - 1})


def flip(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 0x01
    return bytes(changed)


@pytest.mark.parametrize("name", [MANIFEST, "thumbnail.tflite", "segmentation.tflite", "photo-garment.tflite"])
def test_a_byte_changed_in_the_cache_is_detected(loopback: LoopbackHub, versions: dict[str, str], name: str) -> None:
    good = FashionClassifier.from_pretrained(f"{REPO}@v1.0.0")
    file = good.bundle.path / name
    content = file.read_bytes()
    for position in positions(len(content), step=5 if name == MANIFEST else len(content) // 3):
        file.write_bytes(flip(content, position))
        with pytest.raises(ModelIntegrityError) as caught:
            FashionClassifier.from_pretrained(REPO, revision=versions["v1.0.0"])
        assert caught.value.file.name == name
        advice = f"it was changed. Delete {file.resolve()} and get it again."
        assert re.search(rf"{name} has the checksum \w+, it should have \w+: {re.escape(advice)}", str(caught.value))
    file.resolve().unlink()
    assert answers(FashionClassifier.from_pretrained(f"{REPO}@v1.0.0")) == answers(good)


@pytest.mark.parametrize("name", [MANIFEST, "thumbnail.tflite", "segmentation.tflite", "photo-garment.tflite"])
def test_a_byte_changed_on_the_way_is_detected(loopback: LoopbackHub, versions: dict[str, str], name: str) -> None:
    loopback.alter = lambda path, content: flip(content, len(content) // 2) if path == name else content
    with pytest.raises(ModelIntegrityError) as caught:
        FashionClassifier.from_pretrained(f"{REPO}@v1.0.0")
    assert caught.value.file.name == name


def test_a_file_that_does_not_fit_its_manifest_is_refused(
    loopback: LoopbackHub, bundle: Path, versions: dict[str, str]
) -> None:
    network = (bundle / "thumbnail.tflite").read_bytes()
    change_head(loopback, {"thumbnail.tflite": flip(network, 1000)})
    with pytest.raises(ModelIntegrityError, match=r"thumbnail\.tflite has the checksum") as caught:
        FashionClassifier.from_pretrained(REPO)
    assert caught.value.expected == sha256(bundle / "thumbnail.tflite")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"format": FORMAT + 1},
            f"has format {FORMAT + 1}, this package reads {FORMAT}. It was made for a newer version of this package: update",
        ),
        (
            {"format": FORMAT - 1},
            f"has format {FORMAT - 1}, this package reads {FORMAT}. It was made for an older version of this package: use that",
        ),
        ({"preprocessing": "99"}, "was made for preprocessing version '99', this package has"),
        ({"labels": ["Hat"]}, "has ['Hat'] for labels; allowed is ['T-shirt/top'"),
    ],
)
def test_a_bundle_for_another_package_version_says_so(
    loopback: LoopbackHub, versions: dict[str, str], change: dict[str, object], problem: str
) -> None:
    manifest = json.loads(loopback.repositories[REPO].head.files[MANIFEST])
    change_head(loopback, {MANIFEST: json.dumps(manifest | change).encode()})
    with pytest.raises(InvalidBundleError, match=re.escape(problem)):
        FashionClassifier.from_pretrained(REPO)


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (b"no network at all", "thumbnail.tflite is no network for LiteRT: "),
        (
            FIXTURES / "four-to-three.tflite",
            "thumbnail.tflite has the shapes [(1, 4), (1, 3)], needed are [(1, 28, 28, 1), (1, 10)].",
        ),
    ],
)
def test_a_published_network_of_another_kind_is_refused(
    loopback: LoopbackHub, versions: dict[str, str], network: bytes | Path, problem: str
) -> None:
    content = network if isinstance(network, bytes) else network.read_bytes()
    manifest = json.loads(loopback.repositories[REPO].head.files[MANIFEST])
    manifest["files"]["thumbnail.tflite"] = hashlib.sha256(content).hexdigest()
    change_head(loopback, {"thumbnail.tflite": content, MANIFEST: json.dumps(manifest).encode()})
    with pytest.raises(InvalidBundleError, match=re.escape(problem)):
        FashionClassifier.from_pretrained(REPO)


def test_the_embedded_model_answers_where_it_may_and_says_why(loopback: LoopbackHub, versions: dict[str, str]) -> None:
    classifier, reason = FashionClassifier.from_pretrained_or_default(f"{REPO}@v1.0.0")
    assert (classifier.bundle.commit, reason) == (versions["v1.0.0"], None)
    classifier, reason = FashionClassifier.from_pretrained_or_default(f"{REPO}@v2.0.0")
    assert classifier.bundle == Bundle(DEFAULT_MODEL)
    assert reason is not None
    assert re.fullmatch(rf"{REPO}@v2.0.0: {AT} has no such revision of it; its versions are v1.1.0, v1.0.0\.", reason)


def test_the_embedded_model_needs_no_hub_client(tmp_path: Path) -> None:
    code = (
        "import sys, numpy, fashion_classifier\n"
        "fashion_classifier.predict(numpy.zeros((28, 28), numpy.uint8))\n"
        "print([name for name in sys.modules if name.startswith(('huggingface_hub', 'httpx'))])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "FASHION_CLASSIFIER_MODEL"}
    root = Path(__file__).parent.parent
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
