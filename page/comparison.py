"""The tab where a picture goes through the small networks and ours, side by side, with what was measured of them; or what was
measured of somebody's own."""

import base64
import io
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from fashion_classifier import Bundle, Prediction
from page import plots
from page.endpoints import PREDICTIONS
from page.models import examples, figures
from page.payloads import Payload, is_not_shown, read, told
from page.peers import OURS, PHOTO, REPORT, Opinion, Peers
from page.pictures import picture_input
from page.words import VIEWED, bars, verdict

INTRODUCTION = (
    "One picture, three networks: the dense one and the convolutional one that courses on Fashion-MNIST begin with, and ours."
)
NOTHING_YET = "Choose a picture: what each network calls it appears here."
SIDE = 112  # px, of what a network was shown
# the picture of the first tab is taken over once; one that was chosen here since stays
TAKEN_OVER = """(theirs, mine) => {
  const fresh = theirs && theirs.path !== window.takenOver;
  if (fresh) window.takenOver = theirs.path;
  return fresh ? theirs : mine;
}"""
Shown = dict[Any, Any]
"""What to show, by component."""


class ComparisonTab:
    """The components, and what happens when a visitor uses them."""

    def __init__(self, peers: Peers, bundle: Bundle, classified: gr.Image, tab: gr.Tab) -> None:
        """Lay the tab out; inside of Gradio's blocks.

        Args:
            peers: The networks.
            bundle: Ours.
            classified: Where the visitor may have given a picture already.
            tab: In which all this is.
        """
        self.peers = peers
        self._lay_out_answers(bundle)
        self._connect(classified, tab)
        _show_report(peers.report)

    def _lay_out_answers(self, bundle: Bundle) -> None:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(min_width=300):
                self.picture = picture_input("compared-picture", self.peers.service)
                gr.Markdown(VIEWED, elem_classes="quiet")
            with gr.Column(min_width=300, scale=2):
                self.lesson = gr.Markdown(NOTHING_YET, elem_id="lesson")
                self.answers = gr.HTML(elem_id="answers")
        gr.Examples(
            examples(bundle),
            self.picture,
            label="Examples",
            cache_examples=False,
            examples_per_page=12,
            api_visibility="private",
        )

    def _connect(self, classified: gr.Image, tab: gr.Tab) -> None:
        private: dict[str, Any] = {"preprocess": False, "api_visibility": "private"}
        tab.select(None, [classified, self.picture], self.picture, js=TAKEN_OVER, api_visibility="private")
        outputs = [self.lesson, self.answers]
        asked = self.picture.change(self.show, self.picture, outputs, show_progress="hidden", **private, **PREDICTIONS)
        asked.failure(lambda: (NOTHING_YET, ""), None, outputs, api_visibility="private")

    def show(self, image: Payload | None) -> Shown:
        """What each network says of a picture, and what that teaches."""
        if image is None or is_not_shown(image):
            return {self.lesson: NOTHING_YET, self.answers: ""}
        with told():
            prediction, opinions = self.peers.answer(read(image))
        networks = {network["name"]: network for network in self.peers.report["networks"]}
        cards = "".join(_card(opinion, prediction, networks) for opinion in opinions)
        return {self.lesson: lesson(opinions), self.answers: f'<div class="networks">{cards}</div>'}


def lesson(opinions: list[Opinion]) -> str:
    """What the answers to one picture teach, and no more than that; Markdown."""
    named = [opinion.label if not opinion.uncertain else None for opinion in opinions]
    if len(set(named)) > 1:
        text = "**They disagree.** Who is right, you can see."
    elif named[0] is None:
        text = "**All three are not sure**: this may be none of the ten."
    else:
        text = f"**All three say {named[0]}.**"
    if opinions[-1].shown == PHOTO:
        return (
            f"{text} The two small networks have learnt from nothing but thumbnails: of a photo they are shown the garment in "
            "28x28 gray pixels, and how sure they say they are means little. Ours learnt from photos, and looks at yours."
        )
    return f"{text} How often each is right on ten thousand such thumbnails is told below."


def comparison_tab(peers: Peers, bundle: Bundle, classified: gr.Image) -> None:
    """Lay out the tab on the shipped networks."""
    with gr.Tab("Compare") as tab:
        ComparisonTab(peers, bundle, classified, tab)


def figures_tab(bundle: Bundle) -> None:
    """Lay out the tab on somebody's own networks, if there is anything to say."""
    if lines := figures(bundle):
        with gr.Tab("Figures"):
            gr.Markdown("\n".join(lines), elem_id="figures")


def _card(opinion: Opinion, prediction: Prediction, networks: dict[str, Any]) -> str:
    """What one network was shown and what it says, HTML."""
    image = prediction.image
    shown = image.view if opinion.shown == PHOTO else image.pixels
    title = "Ours" if opinion.network == OURS else plots.title(networks[opinion.network])
    told = "Not sure" if opinion.uncertain else verdict(opinion)
    return (
        f'<article class="network">{_inline(shown, f"What it is shown: {opinion.shown}")}<div><h3>{title}</h3>'
        f'<p class="name">{told}</p></div>{bars(opinion)}'
        f'<p class="quiet">It is shown {opinion.shown}.</p></article>'
    )


def _inline(pixels: np.ndarray, alt: str) -> str:
    """A small picture as a part of HTML."""
    picture, file = Image.fromarray(pixels), io.BytesIO()
    kind = "png" if picture.mode == "L" else "jpeg"  # few gray pixels, or a photo
    picture.save(file, kind, quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/{kind};base64,{data}" alt="{alt}" width="{SIDE}" height="{SIDE}">'


def _show_report(report: dict[str, Any]) -> None:
    """How the networks compare on Fashion-MNIST's test images, as `train.reports.compare` measured it."""
    networks = report["networks"]
    first = networks[0]
    n = f"{first['evaluation']['n']:,}"
    sentences = "".join(f"<li>{sentence}</li>" for sentence in plots.pairs(report))
    matrices = "".join(f"<figure><figcaption>{plots.title(one)}</figcaption>{plots.matrix(one)}</figure>" for one in networks)
    continued = [plots.name(one) for one in networks if one["history"] and not one["starts_afresh"]]
    started = f" Of {' and '.join(continued)} it is the last of several trainings." if continued else ""
    parts = [
        f"<h2>On the {n} test images of Fashion-MNIST</h2>",
        f"<section><h3>How often each is right</h3>{plots.accuracies(networks)}<ul>{sentences}</ul>"
        '<p class="quiet">p is that of McNemar\'s exact test on the same images, and said of these very networks: another '
        "training gives other ones.</p></section>",
        f"<section><h3>What {plots.name(first)} confuses, and how often the others do</h3>"
        f"{plots.confusions(networks)}</section>",
        f'<section><h3>Confusion matrices</h3><p class="quiet">A row is what the images show, a column what they are called; '
        f'what is inked are errors.</p><div class="plots">{matrices}</div></section>',
    ]
    if drawn := plots.curves(networks):
        parts.append(
            "<section><h3>How they learnt</h3><figure><figcaption>Right on validation images after each epoch."
            f"{started}</figcaption>{drawn}</figure></section>"
        )
    gr.HTML("".join(parts), elem_id="comparison")
    caption = f"Confused by {plots.name(first)}, named right by {plots.name(networks[-1])}"
    with gr.Column():
        gr.Markdown(f"### {caption}")
        picture: dict[str, Any] = {"format": "png", "interactive": False, "buttons": ["fullscreen"]}
        gr.Image(str(REPORT / "rescued.png"), show_label=False, alt_text=caption, elem_id="rescued", **picture)
    with gr.Accordion("The whole report", open=False, elem_id="report"):
        gr.Markdown((REPORT / "comparison.md").read_text(encoding="utf-8"))
