"""The tab on how the networks compare, or on what was measured of somebody's own."""

from pathlib import Path

import gradio as gr

from fashion_classifier import Bundle
from page.models import figures, is_shipped

REPORT = Path(__file__).parent.parent / "report"  # what train.reports.compare wrote
CAPTIONS = {
    "rescued.png": "Confused by the dense network, named right by the residual one",
    "curves.png": "Accuracy by epoch",
    **{f"confusion-{name}.png": f"Confusion matrix, {name}" for name in ("ann", "cnn", "resnet")},
}


def comparison_tab(bundle: Bundle) -> None:
    """Lay out the tab, if there is anything to say."""
    if is_shipped(bundle):
        with gr.Tab("Compare"):
            _show_comparison()
    elif lines := figures(bundle):
        with gr.Tab("Figures"):
            gr.Markdown("\n".join(lines), elem_id="figures")


def _show_comparison() -> None:
    """How the networks compare on Fashion-MNIST's test images, as `train.reports.compare` reported it."""
    gr.Markdown((REPORT / "comparison.md").read_text(encoding="utf-8"), elem_id="comparison")
    with gr.Row():
        for name, caption in CAPTIONS.items():
            with gr.Column(min_width=320):
                gr.Markdown(f"### {caption}")
                gr.Image(str(REPORT / name), show_label=False, format="png", interactive=False, buttons=["fullscreen"])
