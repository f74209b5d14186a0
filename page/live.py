"""The tab where a camera is watched: what it shows is named a few times a second, and the name held steady."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from gradio.queueing import Event, Queue

from fashion_classifier import FashionClassifierError
from page.cameras import EVERY, GONE, SECONDS, Cameras
from page.limits import FRAME, BusyError, TooLargeError
from page.payloads import Payload, PictureData, read
from page.service import Service
from page.steady import Steady, after
from page.words import bars, sentence

# apart from pictures, which must not wait for them; more than the service lets in, so that none waits in the queue
LIVE: dict[str, Any] = {"concurrency_id": "live", "concurrency_limit": 16}
REAR = {"video": {"facingMode": "environment", "width": {"ideal": 640}, "height": {"ideal": 480}}}
HOW = f"Hold one garment in front of the camera: it is named a few times a second, for {SECONDS // 60} minutes at most."
PRIVACY = "Frames are named on this server and forgotten at once: none is kept, and nothing is noted of them."
NOTHING_YET = "Start the camera: the name of what it shows appears here."
NOTHING_KNOWN = "Nothing that I know is in view."
# of a stream that has ended Gradio's button says so for a moment; then it opens the next one, unless a visitor stopped it
STOP = """() => setTimeout(() => {
  const button = document.querySelector("#camera .capture-button");
  if (button && !button.querySelector("[title='start recording']")) button.click();
}, 1000)"""
Shown = dict[Any, Any]
"""What to show, by component."""


class LiveTab:
    """The components, and what happens while a camera is on."""

    def __init__(self, service: Service) -> None:
        """Lay the tab out; inside of Gradio's blocks."""
        self.service = service
        gr.Markdown(HOW)
        with gr.Row(elem_id="live"):  # where there is room for both, turned round
            with gr.Column(min_width=300):
                self.name = gr.Markdown(NOTHING_YET, elem_id="live-name")
                self.bars = gr.HTML(elem_id="live-bars")
            with gr.Column(min_width=300):
                self.camera = gr.Image(
                    label="Your camera",
                    sources="webcam",
                    streaming=True,
                    height=320,
                    elem_id="camera",
                    webcam_options=gr.WebcamOptions(mirror=False, constraints=REAR),
                )
                self.camera.data_model = PictureData
                gr.Markdown(PRIVACY, elem_classes="quiet")
        self.steady = gr.State(None)
        ended = self.camera.stream(
            self.show,
            [self.camera, self.steady],
            [self.name, self.bars, self.steady],
            preprocess=False,
            api_visibility="private",
            show_progress="hidden",
            stream_every=EVERY,
            time_limit=SECONDS,
            **LIVE,
        )
        ended.then(None, None, None, js=STOP, api_visibility="private")

    def show(self, frame: Payload | None, before: Steady | None, request: gr.Request | None = None) -> Shown:
        """The name of what the camera shows, its bars, and what was seen; nothing new where the frame is dropped."""
        if frame is None:
            return {self.name: gr.skip()}
        camera = "" if request is None else str(request.session_hash)  # a page that is open has one
        try:
            FRAME.check(frame.get("size") or 0)
            prediction = self.service.glance(lambda: read(frame), camera)
        except (BusyError, FashionClassifierError, TooLargeError) as error:  # told calmly: browsers go on after an error
            return {self.name: sentence(error), self.bars: "", self.steady: None}
        if prediction is None:
            return {self.name: gr.skip()}
        now = after(before, prediction, time.monotonic())
        # the name is read out to who cannot see: only when it is another one
        changed = before is None or before.name != now.name
        return {self.name: title(now) if changed else gr.skip(), self.bars: bars(now), self.steady: now}


def title(steady: Steady) -> str:
    """What is seen, in one line; Markdown."""
    return NOTHING_KNOWN if steady.uncertain else f"## {steady.name}"


def tell_too_large(queue: Queue, stream: str) -> None:
    """Have a stream tell its page that its next frame was not taken: one of that size comes in its place, without content."""
    event = queue.event_ids_to_events.get(stream)
    if event is not None and event.streaming and event.data is not None:
        frame = {"path": None, "url": None, "size": FRAME.most + 1}
        event.data = event.data.model_copy(update={"data": [frame, *event.data.data[1:]]})
        event.signal.set()


@asynccontextmanager
async def silent_ones_closed(queue: Queue, cameras: Cameras) -> AsyncIterator[None]:
    """Close streams without frames, whose pages are gone, for as long as a server runs: each holds a place of Gradio's."""

    async def close() -> None:
        while True:
            await asyncio.sleep(1)
            for event in surplus(queue, cameras):
                event.closed, event.run_time = True, math.inf
                event.signal.set()

    task = asyncio.create_task(close())
    yield
    task.cancel()


def surplus(queue: Queue, cameras: Cameras) -> list[Event]:
    """The running streams that send no frames, and all but the first of each page."""
    running = [event for job in queue.active_jobs for event in job or () if event.streaming]
    began = time.monotonic() - GONE
    silent = [event for event in running if event.enqueue_time < began and not cameras.watches(event.session_hash)]
    first = {event.session_hash: event for event in reversed(running)}
    return [event for event in running if event in silent or event is not first[event.session_hash]]
