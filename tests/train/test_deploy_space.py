import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from huggingface_hub import HfApi, RepoCard, constants

from fashion_classifier import FashionClassifier
from fashion_classifier.bundle import MANIFEST, Bundle
from tests.loopback_hub import READ_TOKEN, WRITE_TOKEN, Handler, LoopbackHub
from tests.patience import eventually
from tests.tiny_bundles import change, changed
from train import deploy_space

MODEL, SPACE = "zalando/fashion", "zalando/wardrobe"

# huggingface_hub 2.4 hands LFS uploads to httpx2 in a way that httpx2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")


@pytest.fixture
def bundle(tiny_bundles: dict[str, Path]) -> Path:
    return tiny_bundles["two looks"]


@pytest.fixture
def published(loopback: LoopbackHub, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The commit id of version v1.0.0 of the model on the Hub."""
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    api = HfApi()
    api.create_repo(MODEL)
    commit = str(api.upload_folder(repo_id=MODEL, folder_path=bundle).oid)
    api.create_tag(MODEL, tag="v1.0.0", revision=commit)
    return commit


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["deploy_space", *arguments])
    return deploy_space.main()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_contact_sheets_of_errors_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They show people of the street photos."""
    (tmp_path / "root" / "report").mkdir(parents=True)
    for name in ("errors-street.png", "errors-photos.png", "comparison.md"):
        (tmp_path / "root" / "report" / name).touch()
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(deploy_space.ROOT / name, tmp_path / "root")
    monkeypatch.setattr(deploy_space, "ROOT", tmp_path / "root")
    monkeypatch.setattr(deploy_space, "CONTENT", ("report",))
    deploy_space.stage(tmp_path / "space", SPACE)
    assert files(tmp_path / "space") == {"README.md", "requirements.txt", "report/comparison.md"}


def test_dry_run_writes_what_a_space_needs(
    published: str, loopback: LoopbackHub, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, SPACE, "--model", f"{MODEL}@v1.0.0", "--dry-run", str(tmp_path / "space")) == 0
    staged = files(tmp_path / "space")
    assert {
        "app.py",
        "page/service.py",
        "requirements.txt",
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "fashion_classifier/__init__.py",
        "examples/coat.jpg",
        "report/ann.tflite",
        "report/cnn.tflite",
        "report/comparison.json",
        "report/comparison.md",
        "report/rescued.png",
    } <= staged
    assert not any(name.startswith(("tests/", "train/", "docs/", ".")) or "__pycache__" in name for name in staged)
    card = RepoCard.load(tmp_path / "space" / "README.md")
    assert card.data["sdk"] == "gradio"
    names = ",".join([MANIFEST, *Bundle(bundle).networks])
    assert card.data["preload_from_hub"] == [f"{MODEL} {names} {published}"]
    assert card.text.strip().startswith("# Fashion classifier")
    assert "docs/" not in card.text
    for part in (
        f"answers with version 1.0.0 of [{MODEL}]({constants.ENDPOINT}/{MODEL}).",
        f'client = Client("{SPACE}")',
        f"pip install git+{constants.ENDPOINT}/spaces/{SPACE}`",
        f'FashionClassifier.from_pretrained("{MODEL}", revision="{published}")',
        "## Limits\n",
        "## Privacy\n\nThe package sends no picture anywhere",
    ):
        assert part in card.text
    assert "no network for photos" not in card.text
    assert "test images" not in card.text  # nothing was measured of this bundle
    lines = (tmp_path / "space" / "requirements.txt").read_text().splitlines()
    assert "gradio==6.31.0" in lines
    without = {"pytest", "scikit-learn", "tensorflow", "tf-keras-vis", "tf_keras", "torch", "ruff"}
    assert not without & {re.split("[=<>]", line)[0] for line in lines}
    assert not any(name.endswith(".keras") for name in staged)
    assert list(loopback.repositories) == [MODEL]  # nothing was made


def test_a_space_may_keep_tensorflow(published: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--with-tensorflow", "--dry-run", str(tmp_path / "space"))
    assert run(monkeypatch, SPACE, "--model", f"{MODEL}@v1.0.0", *options) == 0
    lines = (tmp_path / "space" / "requirements.txt").read_text().splitlines()
    assert {"tensorflow", "tf-keras-vis"} <= {re.split("[=<>]", line)[0] for line in lines}
    names = ",".join([MANIFEST, *Bundle(bundle).manifest.files])
    assert RepoCard.load(tmp_path / "space" / "README.md").data["preload_from_hub"] == [f"{MODEL} {names} {published}"]
    assert "fashion_classifier/default_model/photo.keras" in files(tmp_path / "space")


def test_deploy_pins_the_commit_and_a_rollback_is_another_deploy(
    published: str, loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, SPACE, "--with-tensorflow", "--model", f"{MODEL}@v1.0.0") == 0
    assert f"/spaces/{SPACE}" in capsys.readouterr().out
    space = loopback.repositories[f"spaces/{SPACE}"]
    assert space.variables == {"FASHION_CLASSIFIER_MODEL": f"{MODEL}@{published}", "FASHION_CLASSIFIER_TENSORFLOW": "1"}
    assert {"app.py", "requirements.txt", "fashion_classifier/default_model/manifest.json"} <= space.head.files.keys()
    assert published.encode() in space.head.files["README.md"]
    assert space.head.message == "Deploy model 1.0.0"

    space.commit(space.head.files | {"stale.py": b""}, "by hand")
    assert run(monkeypatch, SPACE) == 0
    assert space.variables == {}
    assert "stale.py" not in space.head.files
    assert b"preload_from_hub" not in space.head.files["README.md"]
    assert space.head.message == "Deploy the embedded model"


def test_a_folder_that_holds_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").touch()
    assert run(monkeypatch, SPACE, "--dry-run", str(tmp_path)) == 1
    assert f"{tmp_path} is not empty; give a new or an empty folder." in capsys.readouterr().err
    assert files(tmp_path) == {"mine.txt"}


def test_a_version_that_is_not_there(
    published: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, SPACE, "--model", f"{MODEL}@v9.9.9") == 1
    assert "no such revision of it; its versions are v1.0.0" in capsys.readouterr().err


def test_a_paid_plan_is_explained(
    loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask_for_money(request: Handler) -> bool:
        if request.path == "/api/repos/create":
            request.fail(402, "", "Payment required")
            return True
        return False

    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    loopback.before = ask_for_money
    assert run(monkeypatch, SPACE) == 1
    assert "The Hub asks for a paid plan before it makes this Space (HTTP 402)." in capsys.readouterr().err


@pytest.mark.parametrize(("token", "status"), [(READ_TOKEN, 403), ("", 401)])
def test_missing_rights_are_explained(
    loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str, status: int
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert run(monkeypatch, SPACE) == 1
    assert f"Your token may not write to {SPACE} (HTTP {status}). Sign in with `hf auth login`" in capsys.readouterr().err


def test_a_dead_hub(loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    loopback.stop()
    assert run(monkeypatch, SPACE, "--model", f"{MODEL}@v1.0.0") == 1
    assert f"the Hub ({loopback.endpoint}) cannot be reached" in capsys.readouterr().err


def test_a_space_says_what_its_model_cannot_do(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    dense = changed(tiny_bundles["thumbnail"], tmp_path / "bundle", experts__thumbnail__members__0__explanation_layer=None)
    change(dense, metrics={"fashion-mnist test": {"n": 10_000, "accuracy": 0.8895, "interval": [0.8832, 0.8955]}})
    text = deploy_space.readme(SPACE, (MODEL, Bundle(dense, "a" * 40)))
    assert "It has no network for photos" in text
    assert "88.95 % of 10,000 test images of Fashion-MNIST were named right" in text
    assert "the reason drawn on the picture" not in text
    assert 'handle_file("examples/fashion-mnist-bag.png")' in text
    deploy_space.stage(tmp_path / "space", SPACE, (MODEL, Bundle(dense, "a" * 40)))
    front_matter = RepoCard.load(tmp_path / "space" / "README.md").data
    assert front_matter["short_description"] == "Names the garment in an image of Fashion-MNIST's kind"
    assert "the reason drawn on the picture" in deploy_space.readme(SPACE, None)
    assert "classifier = FashionClassifier.from_pretrained()\n" in deploy_space.readme(SPACE, None)


def test_a_space_installs_what_its_code_imports(published: str, tmp_path: Path) -> None:
    """Every import of the page and the library is Python's own, the library's, or of a package in the Space's list."""
    deploy_space.stage(tmp_path / "space", SPACE, with_tensorflow=True)
    imported = set()
    for path in (tmp_path / "space").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.split(".")[0] for name in names}
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    lines = (tmp_path / "space" / "requirements.txt").read_text().splitlines()
    listed = {re.split("[=<>]", line)[0].replace("_", "-") for line in lines}
    packages = {name: [one.lower().replace("_", "-") for one in brings] for name, brings in packages_distributions().items()}
    brought = {
        "keras": "tensorflow",
        **dict.fromkeys(("gradio_client", "fastapi", "starlette", "pydantic"), "gradio"),
    }  # by what is listed
    foreign = imported - set(sys.stdlib_module_names) - {"fashion_classifier", "page"}
    for name in foreign:
        assert {brought.get(name), *packages.get(name, [name])} & listed, name


@pytest.mark.slow
def test_the_space_builds_and_answers(
    published: str, loopback: LoopbackHub, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the Spaces builder does: requirements.txt alone, one pip call, then the rest and the preloaded model."""
    folder, python = tmp_path / "space", tmp_path / "environment" / "bin" / "python"
    assert run(monkeypatch, SPACE, "--model", f"{MODEL}@v1.0.0", "--dry-run", str(folder)) == 0
    data: Any = RepoCard.load(folder / "README.md").data
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    packages = [f"gradio[oauth,mcp]=={data['sdk_version']}", "uvicorn>=0.14.0", "websockets>=10.4", "spaces"]
    requirements = tmp_path / "requirements.txt"
    requirements.write_text((folder / "requirements.txt").read_text())
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements, *packages], check=True)

    repo, names, commit = data["preload_from_hub"][0].split()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FASHION_", "HF_", "PYTEST"))}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": loopback.endpoint, "HF_HUB_DISABLE_XET": "1"}
    environment |= {"GRADIO_SERVER_PORT": "7899", "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}
    hf = python.parent / "hf"
    subprocess.run([hf, "download", repo, *names.split(","), "--revision", commit], check=True, env=environment)
    loopback.stop()  # the Space must start without the Hub

    environment["FASHION_CLASSIFIER_MODEL"] = f"{repo}@{commit}"
    with subprocess.Popen([python, data["app_file"]], cwd=folder, env=environment) as process:

        def started() -> bool:
            assert process.poll() is None
            try:
                return httpx.get("http://127.0.0.1:7899/config").is_success
            except httpx.HTTPError:
                return False

        try:
            eventually(started)
            client = Client("http://127.0.0.1:7899", verbose=False, download_files=str(tmp_path))
            answer = client.predict(handle_file("examples/coat.jpg"), api_name="/predict")
            _, explanation = client.predict(handle_file("examples/coat.jpg"), api_name="/explain")
        finally:
            process.terminate()
    expected = FashionClassifier.from_pretrained(bundle).predict("examples/coat.jpg")
    assert answer["model_commit"] == commit
    assert answer["fallback"] is None
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert explanation["target"] == answer["label"]
