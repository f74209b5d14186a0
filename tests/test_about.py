"""What the page says to programmers, executed on the running page."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import Bundle, explain, find_garments, predict
from fashion_classifier.bundle import DEFAULT_MODEL
from page.about import about, address

COAT = Path("examples/coat.jpg")
MODULES = Path(__file__).parent.parent / "node_modules"
CLIENT = MODULES / "@gradio" / "client"


@pytest.fixture
def snippets(url: str, tmp_path: Path) -> dict[str, str]:
    """Each snippet by its language, about this page, in a folder with a picture."""
    shutil.copy(COAT, tmp_path / "picture.jpg")
    text = about(Bundle(DEFAULT_MODEL), url.rstrip("/"))
    return dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))


def run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_curl(snippets: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    assert json.loads(run(["sh", "-c", snippets["sh"]], tmp_path))["probabilities"] == predict(COAT).probabilities


def test_javascript(snippets: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("no Node")
    (tmp_path / "ask.mjs").write_text(snippets["js"])
    assert run(["node", "ask.mjs"], tmp_path).strip() == predict(COAT).label


@pytest.mark.skipif(
    not (MODULES / "@gradio" / "client").is_dir(), reason="no @gradio/client: npm install --no-save @gradio/client@2"
)
def test_javascript_through_the_queue(snippets: dict[str, str], outfit: Path, tmp_path: Path) -> None:
    shutil.copy(outfit, tmp_path / "picture.jpg")
    (tmp_path / "node_modules").symlink_to(MODULES)
    snippet, shown = snippets["javascript"], "console.log(JSON.stringify([answer, garments, reason]));"
    assert "process.exit()" in snippet
    (tmp_path / "ask.mjs").write_text(snippet.replace("process.exit()", f"{shown} process.exit()"))
    words, everything = run(["node", "ask.mjs"], tmp_path).splitlines()
    answer, garments, reason = json.loads(everything)
    expected, found = predict(outfit), find_garments(outfit)
    explanation = explain(expected, target="Coat", method="gradcam")
    assert words.startswith(f"{expected.label} {len(found)} http")
    assert words.endswith(explanation.sentence)
    assert {key: answer[key] for key in expected.to_dict()} == expected.to_dict()
    assert [garment["probabilities"] for garment in garments] == [garment.probabilities for garment in found]
    np.testing.assert_allclose(reason["heatmap"], explanation.heatmap, atol=1e-4)


def test_python(snippets: dict[str, str], tmp_path: Path) -> None:
    assert run([sys.executable, "-c", snippets["python"]], tmp_path).splitlines()[-1] == predict(COAT).label


def test_mcp(snippets: dict[str, str]) -> None:
    session = pytest.importorskip("mcp").ClientSession
    from mcp.client.streamable_http import streamable_http_client

    (server,) = json.loads(snippets["json"])["mcpServers"].values()

    async def tools() -> list[str]:
        async with streamable_http_client(server["url"]) as (read, write, _), session(read, write) as client:
            await client.initialize()
            return [tool.name for tool in (await client.list_tools()).tools]

    assert "predict" in asyncio.run(tools())


def test_the_numbers_are_the_reports(tiny_bundles: dict[str, Path]) -> None:
    text = about(Bundle(DEFAULT_MODEL), "http://localhost")
    assert "- Fashion-MNIST's test images: 95.5% of 10,000" in text
    assert "- phone photos: 92.4% of 582" in text
    assert "{{" not in text
    assert "Named right" not in about(Bundle(tiny_bundles["thumbnail"]), "http://localhost")


def test_a_space_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address() == "http://127.0.0.1:7860"
    monkeypatch.setenv("SPACE_HOST", "owner-space.hf.space,wardrobe.example")
    assert address() == "https://owner-space.hf.space"
