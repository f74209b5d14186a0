"""The tab on what this is: what it can and cannot do, and how programs ask it."""

import json
import os
from pathlib import Path

import gradio as gr

from fashion_classifier import Bundle
from page.models import figures, is_shipped
from page.peers import REPORT

TEXT = Path(__file__).parent / "about.md"
LOCAL = "http://127.0.0.1:7860"  # where the page is unless it is told otherwise


def about_tab(bundle: Bundle) -> None:
    """Lay out the tab."""
    with gr.Tab("About"):
        gr.Markdown(about(bundle, address()), elem_id="about")


def about(bundle: Bundle, url: str) -> str:
    """What the tab says, Markdown, with snippets that ask the page at an address."""
    measured = _measured() if is_shipped(bundle) else figures(bundle)
    return TEXT.read_text(encoding="utf-8").replace("{{figures}}", "\n".join(measured)).replace("{{url}}", url)


def address() -> str:
    """Where programs find this page."""
    host = os.environ.get("SPACE_HOST", "").partition(",")[0]
    return f"https://{host}" if host else LOCAL


def _measured() -> list[str]:
    """Lines of a list of how much of which pictures the shipped networks name right, as the reports of `train` measured it."""
    evaluation = json.loads((REPORT / "evaluation.json").read_text())
    shares = {"Fashion-MNIST's test images": evaluation}
    for part in json.loads((REPORT / "photos.json").read_text()).values():
        if part["all"]:
            shares[part["source"]["name"]] = part["all"]
    lines = [f"- {name}: {share['accuracy']:.1%} of {share['n']:,}" for name, share in shares.items() if share["n"]]
    return ["Named right, of pictures that nothing was learnt from:", "", *lines]
