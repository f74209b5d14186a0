"""The project's own files agree with each other."""

import csv
import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from fashion_classifier import LABELS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return content


@pytest.fixture(scope="module")
def requirements() -> set[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def front_matter() -> dict[str, Any]:
    header: dict[str, Any] = yaml.safe_load((ROOT / "README.md").read_text().split("---\n")[1])
    return header


def test_requirements_are_those_of_the_package(project: dict[str, Any], requirements: set[str]) -> None:
    extras = project["optional-dependencies"]
    assert requirements == {
        *project["dependencies"],
        *(line for name in ("explain", "app", "train", "test") for line in extras[name]),
    }


def test_a_space_can_install_the_requirements(requirements: set[str], front_matter: dict[str, Any]) -> None:
    # the builder runs pip with this file alone and gradio[oauth,mcp]==sdk_version beside it
    assert not any(line.startswith(("-", ".")) for line in requirements)
    assert f"gradio=={front_matter['sdk_version']}" in requirements


def test_front_matter_makes_a_space(project: dict[str, Any], front_matter: dict[str, Any]) -> None:
    assert front_matter["sdk"] == "gradio"
    assert (ROOT / front_matter["app_file"]).is_file()
    assert str(front_matter["python_version"]) in {"3.11", "3.12", "3.13"}
    assert len(front_matter["short_description"]) <= 60
    assert front_matter["license"].upper() == project["license"]


def test_every_example_is_listed_with_its_licence(example_labels: dict[Path, str]) -> None:
    pictures = {path for path in (ROOT / "examples").iterdir() if path.suffix in (".jpg", ".png")}
    assert set(example_labels) == pictures
    assert {label for label in example_labels.values() if label} == set(LABELS)
    with (ROOT / "examples" / "labels.csv").open(newline="") as file:
        assert {row["licence"] for row in csv.DictReader(file)} == {"CC0-1.0", "MIT"}


def test_examples_carry_no_private_data(example_labels: dict[Path, str]) -> None:
    for path in example_labels:
        with Image.open(path) as image:
            assert dict(image.getexif()) == {}
        assert path.stat().st_size < 50_000


PROGRAMS = sorted(
    path for folder in ("train", "benchmarks") for path in (ROOT / folder).rglob("*.py") if "def main(" in path.read_text()
)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_program_tells_its_options(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [path.stem, "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)).main()
    assert ended.value.code == 0
    assert "%%" not in capsys.readouterr().out
