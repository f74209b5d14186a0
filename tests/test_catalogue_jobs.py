"""Catalogues that are named by workers of Ray, which are stopped, and whose nodes die."""

import dataclasses
import io
import json
import random
import signal
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from fashion_classifier import FashionClassifier, InvalidBundleError
from fashion_classifier.bundle import DEFAULT_MODEL
from tests.loopback_hub import LoopbackHub, Repository
from tests.mortal import DEADLY, Mortal
from tests.patience import PATIENCE, eventually
from tests.test_processes import in_a_process_of_its_own
from train.pictures.fashion_mnist import Pictures

pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("ray")

from fashion_classifier.catalogue import SourceError, name_catalogue
from fashion_classifier.catalogue.__main__ import main
from fashion_classifier.catalogue.naming import _Model
from fashion_classifier.catalogue.parts import Batch
from fashion_classifier.catalogue.results import Name, answered, part_name
from fashion_classifier.catalogue.sources import plan

ROWS = 20  # of a part
PARTS = 60

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, thumbnails: Pictures) -> Path:
    """A CSV file of 1,200 thumbnails, one in a hundred of them none."""
    folder = tmp_path_factory.mktemp("source")
    for number, image in enumerate(thumbnails.images):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    lines = [f"{sku:05},{'bad' if sku % 100 == 7 else sku % 200}.png" for sku in range(ROWS * PARTS)]
    (folder / "list.csv").write_text("\n".join(["sku,path", *lines]))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def undisturbed(source: Path) -> Rows:
    """The rows as they are without workers."""
    classifier = FashionClassifier.from_pretrained()
    contents = (answered(part, named_by(classifier), classifier.bundle)[0] for part in plan(source, rows=ROWS))
    return [row for content in contents for row in timeless(pq.read_table(io.BytesIO(content)))]


def named_by(classifier: FashionClassifier) -> Name:
    return lambda picture: classifier.predict(picture).to_dict()


def timeless(table: Any) -> Rows:
    rows: Rows = table.drop_columns(["milliseconds"]).to_pylist()
    return rows


def start(source: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "fashion_classifier.catalogue", str(source), "--out", str(out), "--rows", str(ROWS)]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(job: "subprocess.Popen[str]") -> str:
    """What a job prints."""
    said, errors = job.communicate(timeout=PATIENCE)
    assert job.returncode == 0, errors
    return said


def parts(out: Path) -> dict[str, int]:
    """The files that are finished, with the time when they were."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}


@pytest.mark.slow
def test_one_command_names_a_collection(source: Path, undisturbed: Rows, tmp_path: Path) -> None:
    said = ended(start(source, tmp_path / "out", "--workers", "1"))
    assert said.startswith("1,200 pictures, model ")
    assert ", 12 could not be read\n" in said
    assert timeless(pq.read_table(tmp_path / "out")) == undisturbed
    summary = json.loads((tmp_path / "out" / "_summary.json").read_text())
    assert (summary["pictures"], summary["now"], summary["workers"]) == (1200, 1200, 1)
    with Image.open(tmp_path / "out" / "_sample.jpg") as sheet:
        assert sheet.format == "JPEG"


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Ray tells nobody of its use, and its workers wait for no other program: by itself it makes them nice."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        monkeypatch.setenv("RAY_worker_niceness", "0")
        yield


@dataclass(frozen=True)
class Gone:
    """A part that is not where a worker is."""

    rows = 1

    def read(self) -> Iterator[Batch]:
        raise OSError("The disk is not here")


GONE = """
from fashion_classifier import FashionClassifier
from fashion_classifier.catalogue import naming
from tests.test_catalogue_jobs import Gone

model = naming._Model.of(FashionClassifier.from_pretrained().bundle, None)
with naming._ray(None, 1) as workers:
    try:
        print(list(naming._answers([Gone()], [0], model, workers)))
    except naming.JobError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_part_that_a_worker_cannot_read_ends_the_job_with_a_sentence() -> None:
    *_, sentence = in_a_process_of_its_own(GONE).splitlines()
    assert sentence.startswith("Ray gave up the job: ")
    assert sentence.endswith("OSError: The disk is not here. The same command goes on from here.")


class MortalModel(_Model):
    def load(self) -> FashionClassifier:
        return Mortal(super().load().bundle)


@pytest.fixture
def deadly(thumbnails: Pictures, tmp_path: Path) -> list[str]:
    """Paths of 40 thumbnails, three of them deadly."""
    names = [f"{number:02}" for number in range(40)]
    names[8:10], names[25] = [*DEADLY][:2], [*DEADLY][2]
    for name, image in zip(names, thumbnails.images[:40], strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    return [str(tmp_path / f"{name}.png") for name in names]


def error_row(row: dict[str, Any], error: str) -> dict[str, Any]:
    kept = ("source", "model_version", "model_commit")
    return {name: value if name in kept else None for name, value in row.items()} | {"error": error}


KILLED = """
import sys
from fashion_classifier.catalogue import name_catalogue, naming
from tests.test_catalogue_jobs import MortalModel

naming._Model = MortalModel
_, out, workers, *source = sys.argv
print(f"\\n{name_catalogue(source, out, workers=int(workers), rows=10).now}")  # Ray tells of the dead before
"""


@pytest.mark.slow
def test_pictures_that_kill_workers_are_rows_with_errors(deadly: list[str], tmp_path: Path) -> None:
    out, classifier = tmp_path / "out", FashionClassifier.from_pretrained()
    (part,) = plan(deadly)
    rows = timeless(pq.read_table(io.BytesIO(answered(part, named_by(classifier), classifier.bundle)[0])))
    for row in rows:
        if (end := Path(row["source"]).stem) in DEADLY:
            row |= error_row(row, f"The picture ended the process that named it, {end}.")
    assert in_a_process_of_its_own(KILLED, str(out), "2", *deadly).endswith("\n40\n")
    assert timeless(pq.read_table(out)) == rows
    (out / part_name(0)).unlink()
    (out / part_name(2)).unlink()
    assert in_a_process_of_its_own(KILLED, str(out), "1", *deadly).endswith("\n20\n")
    assert timeless(pq.read_table(out)) == rows


@pytest.fixture(scope="module")
def cluster(environment: None) -> Iterator[Any]:
    """A Ray cluster of a node without cores and one of one core, all on this machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 2**27}
        started = Cluster(initialize_head=True, head_node_args=head)
        started.add_node(num_cpus=1, object_store_memory=2**27)
        yield started
        started.shutdown()


@pytest.mark.slow
def test_a_job_that_is_killed_goes_on_where_it_was(source: Path, undisturbed: Rows, cluster: Any, tmp_path: Path) -> None:
    out, before = tmp_path / "out", dict[str, int]()
    for _ in range(3):
        job = start(source, out, "--address", cluster.address)
        moment = len(before) + random.randint(1, PARTS // 4)
        eventually(lambda: len(parts(out)) >= moment or job.poll() is not None)  # noqa: B023 - is called at once
        job.send_signal(signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
        assert before.items() <= parts(out).items()  # what was there was not named again
        before = parts(out)
    said = ended(start(source, out, "--address", cluster.address))
    assert f"{ROWS * (PARTS - len(before)):,} of them now" in said
    assert before.items() <= parts(out).items()
    assert timeless(pq.read_table(out)) == undisturbed


@pytest.mark.slow
def test_a_job_outlives_a_node(source: Path, undisturbed: Rows, cluster: Any, tmp_path: Path) -> None:
    out, dying = tmp_path / "out", cluster.add_node(num_cpus=1, object_store_memory=2**27)
    cluster.wait_for_nodes()
    job = start(source, out, "--address", cluster.address)
    eventually(lambda: len(parts(out)) >= PARTS // 4 or job.poll() is not None)
    assert len(parts(out)) < PARTS
    cluster.remove_node(dying, allow_graceful=False)
    assert ", 12 could not be read\n" in ended(job)
    assert timeless(pq.read_table(out)) == undisturbed


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_the_cluster_of_the_documentation_is_one_that_ray_launches() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config  # what `ray up` calls first

    config = prepare_config(yaml.safe_load(Path("docs/cluster.yaml").read_text()))
    validate_config(config)
    assert config["max_workers"] == config["available_node_types"]["worker"]["max_workers"]


def test_kuberay_does_the_same_with_the_same_package() -> None:
    from packaging.requirements import Requirement
    from ray.runtime_env import RuntimeEnv

    job = yaml.safe_load(Path("docs/rayjob.yaml").read_text())["spec"]
    assert f"'{job['entrypoint']}'" in Path("docs/catalogue.md").read_text()  # as `ray exec` has it
    (package,) = RuntimeEnv(**yaml.safe_load(job["runtimeEnvYAML"])).pip_config()["packages"]
    cluster = yaml.safe_load(Path("docs/cluster.yaml").read_text())
    assert cluster["setup_commands"] == [f"pip install '{package}'"]
    (workers,) = job["rayClusterSpec"]["workerGroupSpecs"]
    assert workers["replicas"] == cluster["max_workers"]
    version, python = job["rayClusterSpec"]["rayVersion"], "py311"
    groups = (job["rayClusterSpec"]["headGroupSpec"], workers)
    images = {container["image"] for group in groups for container in group["template"]["spec"]["containers"]}
    assert images == {f"rayproject/ray:{version}-{python}"}
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    (wanted,) = (text for text in extras["catalogue"] if text.startswith("ray["))
    assert version in Requirement(wanted).specifier


def test_all_workers_load_one_commit_or_none(loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loopback.repositories["owner/name"] = repository = Repository()
    repository.commit({path.name: path.read_bytes() for path in DEFAULT_MODEL.iterdir()}, "A model")
    monkeypatch.setenv("FASHION_CLASSIFIER_MODEL", "owner/name@main")
    published = FashionClassifier.from_pretrained().bundle
    model = _Model.of(published, None)
    assert model == _Model.of(published, "owner/name")
    assert model.ref == f"owner/name@{repository.head.id}"
    assert model.load().bundle == published
    embedded = FashionClassifier.from_pretrained(DEFAULT_MODEL).bundle
    assert _Model.of(embedded, None).load().bundle == embedded
    (tmp_path / "model").symlink_to(DEFAULT_MODEL)
    folder = FashionClassifier.from_pretrained(tmp_path / "model").bundle
    assert _Model.of(folder, tmp_path / "model").ref == str(tmp_path / "model")
    with pytest.raises(InvalidBundleError, match=rf"this node has {embedded.manifest.version}, the job 0\.9\.0\.$"):
        dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, version="0.9.0")).load()


def test_what_cannot_be_named_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"'{tmp_path}/none' is not there.\n"
    with pytest.raises(SourceError, match=r"^The answers cannot be in the source: "):
        name_catalogue(tmp_path, tmp_path / "out")
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--out", str(tmp_path / "out"), "--workers", "none"])
    assert "argument --workers: takes a whole number of 1 or more, received 'none'" in capsys.readouterr().err
