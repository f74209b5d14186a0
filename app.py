"""The Space: the page with its endpoints for programs, and plain HTTP beside it. This file composes them and starts them."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# a folder of its own, which is swept; shared with other pages of Gradio it would not be
os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / "fashion-classifier"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow, loaded for some explanations, talks a lot

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from fashion_classifier import FashionClassifier
from fashion_classifier.memory import give_back_large_blocks
from fashion_classifier.monitoring import journal_from_environment
from page.about import about_tab
from page.classify import ClassifyTab
from page.comparison import comparison_tab, figures_tab
from page.endpoints import Page, add_endpoints
from page.guard import Guard
from page.live import LiveTab, silent_ones_closed
from page.many import ManyTab
from page.models import introduction, is_shipped
from page.monitoring import MonitoringTab
from page.peers import Peers
from page.plain_http import routes
from page.service import Service
from page.uploads import Uploads

PAGE = Path(__file__).parent / "page"
THEME = gr.themes.Soft(primary_hue="indigo", neutral_hue="gray", font=["system-ui", "sans-serif"]).set(
    button_primary_background_fill="*primary_600",  # white on it can be read
    checkbox_label_background_fill_selected="*primary_600",
)
LAUNCH_OPTIONS: dict[str, Any] = {
    "theme": THEME,
    "css_paths": PAGE / "style.css",
    "head": f"<script>{(PAGE / 'names.js').read_text(encoding='utf-8')}</script>",
    "max_file_size": "50mb",
    "show_error": True,
    "enable_monitoring": False,
    "state_session_capacity": 1000,  # visits that are remembered, each call of a program is one; Gradio keeps 0.2 MB of each
    "footer_links": ["api", "settings"],
    "ssr_mode": False,  # on Spaces it puts a server before this one that knows nothing of what stands beside the page
    "mcp_server": find_spec("mcp") is not None,  # Spaces have it
}
MAX_WAITING = 100  # calls in the queue, about ten seconds of predictions; more are told that it is full


def build(service: Service) -> gr.Blocks:
    """The page with its endpoints."""
    page: gr.Blocks
    bundle = service.classifier.bundle
    with Page(title="Fashion classifier", analytics_enabled=False) as page:
        gr.Markdown(f"# Fashion classifier\n{introduction(bundle)}", elem_id="introduction")
        with gr.Tab("Classify"):
            tab = ClassifyTab(service)
        with gr.Tab("Live"):
            LiveTab(service)
        with gr.Tab("Many"):
            ManyTab(service)
        peers = Peers(service) if is_shipped(bundle) else None
        if peers is None:
            figures_tab(bundle)
        else:
            comparison_tab(peers, bundle, tab.picture)
        with gr.Tab("Monitoring") as monitoring:
            MonitoringTab(service, monitoring)
        about_tab(bundle)
        add_endpoints(service, tab.picture, peers)
    page.queue(api_open=False, max_size=MAX_WAITING)  # closed: the routes that would pass the queue by
    return page


def launch(**options: Any) -> str:
    """Serve the page, with plain HTTP beside it; returns its address. Options are Gradio's, for `Blocks.launch`."""
    guard = Middleware(Guard, uploads=uploads, queue=demo._queue)
    beside = {"routes": routes(service), "middleware": [guard], "lifespan": watched}
    _, address, _ = demo.launch(**LAUNCH_OPTIONS | options, app_kwargs=beside)
    return str(address)


@asynccontextmanager
async def watched(server: Any) -> AsyncIterator[None]:
    """What is done now and then for as long as a server runs."""
    async with uploads.swept(server), silent_ones_closed(demo._queue, service.cameras):
        yield


# where the configured model cannot be had, the embedded one answers, and says so
classifier, fallback = FashionClassifier.from_pretrained_or_default()
service = Service(classifier, journal_from_environment(Path(__file__).parent / "journal"), fallback)
demo = build(service)
own_files = {file for component in demo.blocks.values() for file in getattr(component, "keep_in_cache", ())}
uploads = Uploads(Path(get_upload_folder()), own_files)

if __name__ == "__main__":
    give_back_large_blocks()
    launch()
