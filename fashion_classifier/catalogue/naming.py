"""The parts of a plan -> answers, by workers of Ray Data: an actor a core, each with a model of its own.

The workers read and name; what they answer comes back as the content of a finished file, and is written here. Ray hands out
the parts, holds workers back while answers wait, and gives the parts of a worker that died to another.
"""

import logging
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import cv2

from fashion_classifier.bundle import DEFAULT_MODEL, Bundle
from fashion_classifier.catalogue.apart import Apart
from fashion_classifier.catalogue.files import SourceError, absolute, shown
from fashion_classifier.catalogue.parts import Part
from fashion_classifier.catalogue.progress import Progress
from fashion_classifier.catalogue.results import Name, Results, answered, part_name
from fashion_classifier.catalogue.sources import ROWS, Source, plan
from fashion_classifier.catalogue.summary import Summary, contact_sheet, summarised
from fashion_classifier.classifier import MODEL_VARIABLE, FashionClassifier
from fashion_classifier.errors import FashionClassifierError, InvalidBundleError
from fashion_classifier.hub import parse_reference
from fashion_classifier.manifest import Manifest

STORE = 256 * 2**20  # bytes of memory that Ray may share between processes: of a part only its answers are there
RETRIES = 10  # of a part whose worker died: nodes may be lost, but what kills a worker before it names is in no picture
SUMMARY, SHEET = "_summary.json", "_sample.jpg"


class JobError(FashionClassifierError):
    """Ray cannot do what is left of a job."""


def name_catalogue(
    source: Source,
    out: str | Path,
    *,
    model: str | Path | None = None,
    workers: int | None = None,
    address: str | None = None,
    column: str | None = None,
    rows: int = ROWS,
    report: Callable[[Progress], None] | None = None,
) -> Summary:
    """Name every picture of a collection. The same call again goes on where the last one was stopped.

    Args:
        source: As `fashion_classifier.catalogue.sources.plan` takes it: a folder, a list, Parquet or tar files, or addresses.
        out: Folder for the answers, as Parquet files, a row for each picture; a path or an address.
        model: As `FashionClassifier.from_pretrained`; a tag or a branch means the same commit for all workers.
        workers: Of one core each; None for as many as this machine, or the cluster, has cores.
        address: Of a Ray cluster to join; None for this machine alone.
        column: That holds the pictures or their paths; None for the first that is called as such columns are.
        rows: Of a part, which a worker takes at a time.
        report: Is told of progress after each part.

    Returns:
        The summary, which is in the folder too, with a contact sheet: _summary.json and _sample.jpg.

    Raises:
        SourceError: The source or the folder cannot be used.
        OtherCatalogueError: The folder holds the answers of another job.
        JobError: A worker cannot go on: its node has another model, or lacks the source.
        FashionClassifierError: The model cannot be had.
    """
    if isinstance(source, str | Path) and PurePath(shown(absolute(out))).is_relative_to(shown(absolute(source))):
        raise SourceError(f"The answers cannot be in the source: {shown(str(out))!r} is below {shown(str(source))!r}.")
    parts, results = plan(source, rows=rows, column=column), Results(str(out))
    bundle = FashionClassifier.from_pretrained(model).bundle
    results.open(parts, bundle)
    finished = results.finished()
    missing = [number for number in range(len(parts)) if part_name(number) not in finished]
    progress = Progress(len(parts), len(finished), workers=0)
    if missing:
        with _ray(address, workers) as cores:
            progress, begun = Progress(len(parts), len(finished), cores), time.monotonic()
            for answer in _answers(parts, missing, _Model.of(bundle, model), cores):
                results.write(part_name(answer["number"]), answer["content"])
                progress = progress.after(answer["pictures"], answer["seconds"], time.monotonic() - begun)
                if report is not None:
                    report(progress)
    summary = summarised(results, bundle.manifest.version, progress)
    results.write(SUMMARY, summary.to_json().encode())
    results.write(SHEET, contact_sheet(parts, results))
    return summary


@contextmanager
def _ray(address: str | None, workers: int | None) -> Iterator[int]:
    """Ray, joined or started here; gives the number of workers. One that runs already in this process is used as it is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    begun_here = not ray.is_initialized()
    if begun_here and address is not None:
        ray.init(address=address, log_to_driver=False, logging_level="warning")
    elif begun_here:
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=STORE,
            log_to_driver=False,
            logging_level="warning",
        )
    try:
        yield workers or int(ray.cluster_resources()["CPU"])
    finally:
        if begun_here:
            ray.shutdown()


def _answers(parts: Sequence[Part], missing: Sequence[int], model: "_Model", workers: int) -> Iterator[dict[str, Any]]:
    """What `_Worker` gives for each missing part, in any order, as it is finished."""
    from ray import data
    from ray.exceptions import RayError

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of each plan and each progress bar
    data.DataContext.get_current().enable_progress_bars = False
    rows = [{"number": number, "part": pickle.dumps(parts[number])} for number in missing]
    pieces = data.from_items(rows, override_num_blocks=len(rows))  # in memory: who reads files would want a core
    pool = data.ActorPoolStrategy(size=min(workers, len(rows)))
    answers = pieces.map(_Worker, compute=pool, fn_constructor_args=(model,), num_cpus=1, max_task_retries=RETRIES)
    try:  # without prefetching: each as soon as it is there
        for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from batch.to_pylist()
    except RayError as error:
        cause = str(error).partition("\n\nThe above exception was")[0]  # of tracebacks in a row the first one
        reason = cause.strip().splitlines()[-1].rstrip(".")
        raise JobError(f"Ray gave up the job: {reason}. The same command goes on from here.") from error


@dataclass(frozen=True)
class _Model:
    """A model as every node finds it: the one that is in the package there, a name on the Hub with its commit, or a folder.

    Attributes:
        ref: For `FashionClassifier.from_pretrained`; None for the embedded one.
        manifest: That it must have.
    """

    ref: str | None
    manifest: Manifest

    @classmethod
    def of(cls, bundle: Bundle, given: str | Path | None) -> "_Model":
        if bundle.commit is not None:
            repo, _ = parse_reference(str(given or os.environ[MODEL_VARIABLE]))
            return cls(f"{repo}@{bundle.commit}", bundle.manifest)
        return cls(None if bundle.path == DEFAULT_MODEL else str(bundle.path), bundle.manifest)

    def load(self) -> FashionClassifier:
        classifier = FashionClassifier.from_pretrained(self.ref or DEFAULT_MODEL)
        if classifier.bundle.manifest != self.manifest:
            raise InvalidBundleError(
                classifier.bundle.path, f"this node has {classifier.version}, the job {self.manifest.version}."
            )
        return classifier


class _Worker:
    """Names parts, on one core. One that has died and was started again lets a process of its own do it.

    Ray gives a part to the worker that died at it. A picture that kills who names it so kills a worker once, and then is found.
    """

    def __init__(self, model: _Model) -> None:
        import ray

        cv2.setNumThreads(1)
        classifier = model.load()
        again = ray.get_runtime_context().was_current_actor_reconstructed
        self.bundle = classifier.bundle
        self.name: Name = Apart(model.load) if again else lambda picture: classifier.predict(picture).to_dict()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The content of the file with the answers to a part, how many these are, and how long it took."""
        part: Part = pickle.loads(row["part"])  # noqa: S301 - `_answers` made it
        begun = time.perf_counter()
        content, pictures = answered(part, self.name, self.bundle)
        seconds = time.perf_counter() - begun
        return {"number": row["number"], "content": content, "pictures": pictures, "seconds": seconds}
