"""Model versions on the Hugging Face Hub: "owner/name" and a revision -> a verified bundle in the local cache.

All that the package downloads; what goes to the Hub is in mirror.py. huggingface_hub is imported on first use. The Hub vouches
for the manifest, by the content address that it gives each file of a commit, and the manifest vouches for every other file.
"""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar, cast

from fashion_classifier.bundle import MANIFEST, Bundle, sha256
from fashion_classifier.errors import FashionClassifierError, HubError, InvalidReferenceError, ModelIntegrityError

T = TypeVar("T")

TIMEOUT = 4.0  # seconds that the Hub has to begin an answer
LONGEST = 600.0  # seconds to wait for another process that downloads
SLOWEST = 100_000  # bytes a second, under which a download counts as timed out
COMMIT = re.compile(r"[0-9a-f]{40}")
VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")

_log = logging.getLogger(__name__)


def parse_reference(ref: str, revision: str | None = None) -> tuple[str, str | None]:
    """Split "owner/name" or "owner/name@revision" into repository and revision.

    Args:
        ref: What a user gave.
        revision: Given apart; then `ref` must not hold one too.

    Raises:
        InvalidReferenceError: It names no repository or no revision.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # not listed in an __all__

    repo, at, inline = ref.partition("@")
    if at and revision is not None:
        raise InvalidReferenceError(ref, f"its revision is given twice, {inline!r} and {revision!r}")
    revision = inline if at else revision
    if repo.count("/") != 1:
        raise InvalidReferenceError(ref, "no such folder exists, and a name on the Hub has one slash")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InvalidReferenceError(ref, f"no such folder exists, and the Hub allows no such name ({error})") from error
    if revision is not None and (not re.fullmatch(r"[\w./+-]+", revision) or ".." in revision):
        raise InvalidReferenceError(ref, f"{revision!r} is no tag, branch or commit id")
    return repo, revision


def load(repo: str, revision: str | None = None) -> Bundle:
    """A verified bundle from the Hub, through huggingface_hub's cache.

    A commit id whose files are in the cache makes no request. A tag or a branch asks the Hub for its commit, and means the
    commit that it meant last while the Hub cannot be reached.

    Args:
        repo: "owner/name".
        revision: Tag, branch or commit id; None for the head of the branch main.

    Raises:
        HubError: The Hub cannot be reached, refuses, or lacks the repository, the revision or a file.
        ModelIntegrityError: A file is not what the commit holds.
        InvalidBundleError: The bundle was made for another version of this package.
    """
    with hub_errors(repo, revision):
        commit = _commit(repo, revision)
        manifest = _download(repo, MANIFEST, commit)
    _check_content_address(manifest)
    bundle = Bundle(manifest.parent, commit)
    for name in bundle.networks:
        if name in bundle.manifest.files:
            with hub_errors(repo, revision):
                _download(repo, name, commit)
        bundle.file(name)
    return bundle


def list_versions(repo: str) -> list[str]:
    """The versions of a model on the Hub: its tags of the form v1.2.0, newest first.

    Args:
        repo: "owner/name".

    Raises:
        HubError: The Hub cannot be reached, refuses, or lacks the repository.
        InvalidReferenceError: `repo` is no name on the Hub.
    """
    from huggingface_hub import HfApi

    repo, revision = parse_reference(repo)
    if revision is not None:
        raise InvalidReferenceError(f"{repo}@{revision}", "the versions of a name without revision can be listed")
    with hub_errors(repo):
        refs = _bounded(lambda: HfApi().list_repo_refs(repo))
    numbers = {tag.name: tuple(map(int, match.groups())) for tag in refs.tags if (match := VERSION.fullmatch(tag.name))}
    return sorted(numbers, key=numbers.__getitem__, reverse=True)


@contextmanager
def hub_errors(repo: str, revision: str | None = None) -> Iterator[None]:
    """Turn what huggingface_hub raises into `HubError`."""
    import httpx2
    from huggingface_hub.errors import EntryNotFoundError, RevisionResolutionError

    try:
        yield
    except FashionClassifierError:
        raise
    except (OSError, EntryNotFoundError, RevisionResolutionError, httpx2.HTTPError, RuntimeError, ValueError) as error:
        # hf_xet knows no errors but these two; around what stops an upload huggingface_hub puts a RuntimeError as well
        cause = error.__cause__ if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception) else error
        raise HubError(repo, revision, _reason(cause, repo)) from cause


def _reason(error: BaseException, repo: str) -> str:
    import httpx2
    from huggingface_hub import constants, errors

    if isinstance(error, errors.RevisionResolutionError | errors.LocalEntryNotFoundError) and error.__cause__:
        return _reason(error.__cause__, repo)
    hub = f"the Hub ({constants.ENDPOINT})"
    if isinstance(error, errors.GatedRepoError):
        return f"{hub} gives it only to those who asked for access; ask at {constants.ENDPOINT}/{repo}."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{hub} has no such revision of it{_known_versions(repo)}."
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"it is no complete bundle: {hub} has no {error.response.url.path.rpartition('/')[2]} in it."
    if isinstance(error, errors.HfHubHTTPError):
        status, said = error.response.status_code, error.response.headers.get("X-Error-Message")
        if status == 401 and said == "Invalid credentials in Authorization header":
            return f"{hub} refuses your token (HTTP 401); sign in with `hf auth login`, or set HF_TOKEN anew or not at all."
        if status == 401 or isinstance(error, errors.RepositoryNotFoundError):
            return f"{hub} has no such repository, or not for you; check the name, and for a private one set HF_TOKEN."
        if status == 403:
            answer = f"HTTP 403{f': {said}' if said else ''}"
            return f"{hub} refuses it ({answer}); use a token with access to {repo}."
        if status == 429:
            return f"{hub} limits the number of requests (HTTP 429); wait a few minutes, or set HF_TOKEN for a higher limit."
        return f"{hub} answers HTTP {status}{f' ({said})' if said else ''}; try again later."
    if constants.is_offline_mode():
        return "it is not in the cache, and HF_HUB_OFFLINE forbids to ask the Hub."
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return f"{hub} did not answer in time."
    if isinstance(error, JSONDecodeError):
        return f"{hub} does not answer as a Hub does; check HF_ENDPOINT, your proxy, or the network's sign-in page."
    detail = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, httpx2.HTTPError | ConnectionError):
        return f"{hub} cannot be reached ({detail})."
    return f"its files cannot be had ({detail})."


def _known_versions(repo: str) -> str:
    try:
        versions = list_versions(repo)
    except HubError:
        return ""
    return f"; its versions are {', '.join(versions)}" if versions else "; it has no versions"


def _commit(repo: str, revision: str | None) -> str:
    """The 40-hex id of the commit that a revision means."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    api = HfApi()
    if revision is not None and COMMIT.fullmatch(revision):
        if not isinstance(try_to_load_from_cache(repo, MANIFEST, revision=revision), str):
            api.model_info(repo, revision=revision, timeout=TIMEOUT)  # fails at once where a download would retry for long
        return revision
    try:
        return _bounded(lambda: api.resolve_revision(repo, revision=revision)).resolved
    except TimeoutError as error:
        from huggingface_hub.errors import RevisionResolutionError

        try:
            commit = api.resolve_revision(repo, revision=revision, local_files_only=True).resolved
        except RevisionResolutionError:
            raise error from None
        _log.warning("The Hub did not answer within %s s: %s@%s is taken from the cache, %s.", TIMEOUT, repo, revision, commit)
        return commit


def _download(repo: str, name: str, commit: str) -> Path:
    """Path of a file in the cache, downloaded where it is not there; one download at a time of one repository."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import WeakFileLock, tqdm  # type: ignore[attr-defined]  # not listed in an __all__

    if isinstance(cached := try_to_load_from_cache(repo, name, revision=commit), str):
        return Path(cached)
    deadline = time.monotonic() + TIMEOUT

    def begin(**options: Any) -> Any:
        """Called with the first bytes, for a progress bar."""
        nonlocal deadline
        deadline = max(deadline, time.monotonic() + TIMEOUT + (options.get("total") or 0) / SLOWEST)
        return tqdm(disable=None, **options)  # type: ignore[no-untyped-call]

    def download() -> str:
        return hf_hub_download(repo, name, revision=commit, etag_timeout=TIMEOUT, tqdm_class=cast(Any, begin))

    # who waits for another one's download hears nothing of its progress, and would give up
    folder = repo_folder_name(repo_id=repo, repo_type="model")
    lock = Path(constants.HF_HUB_CACHE, ".locks", folder, "fashion-classifier.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock, timeout=LONGEST):
        deadline = time.monotonic() + TIMEOUT
        return Path(_bounded(download, lambda: deadline))


def _bounded(call: Callable[[], T], deadline: Callable[[], float] | None = None) -> T:
    """The result of a call that may wait or retry for long, or `TimeoutError`.

    Args:
        call: Goes on in the background after a time-out: huggingface_hub has no way to stop it.
        deadline: On `time.monotonic`'s clock, may move; None for `TIMEOUT` from now.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised by result()
            future.set_exception(error)

    limit = time.monotonic() + TIMEOUT
    Thread(target=run, daemon=True).start()
    while not future.done():
        left = (limit if deadline is None else deadline()) - time.monotonic()
        if left <= 0:
            raise TimeoutError
        wait([future], timeout=left)
    return future.result()


def _check_content_address(path: Path) -> None:
    """Compare a cached file with its name: the cache calls the file behind a link by its Git blob id, or SHA-256 for LFS.

    Where the file system has no links, there is no such name and nothing to compare.
    """
    stored = path.resolve()
    if COMMIT.fullmatch(stored.name):
        content = stored.read_bytes()
        found = hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
    elif re.fullmatch(r"[0-9a-f]{64}", stored.name):
        found = sha256(stored)
    else:
        return
    if found != stored.name:
        raise ModelIntegrityError(path, found, stored.name)
