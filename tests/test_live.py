"""What a camera shows: the name that is held, whose cameras are watched, and that nothing of it stays."""

import asyncio
import base64
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio.utils import get_upload_folder

import app
from fashion_classifier import LABELS, Prediction, canonicalize, predict
from fashion_classifier.monitoring import read_events
from page.cameras import GONE, Cameras
from page.limits import FRAME, BusyError
from page.live import LiveTab, silent_ones_closed, surplus, title
from page.steady import FADES, LEAD, NOTHING, Steady, after
from tests.patience import PATIENCE, eventually

COAT = Path("examples/coat.jpg")


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def frame(label: str, share: float, typicality: float = 0.5) -> Prediction:
    """A prediction of a name, the rest of the probability on Bag."""
    probabilities = dict.fromkeys(LABELS, 0.0) | {"Bag": 1 - share} | {label: share}
    image = canonicalize(np.tile(np.arange(28, dtype=np.uint8), (28, 1)))
    return Prediction(probabilities, typicality, image, app.service.classifier.bundle)


def test_the_average_by_hand() -> None:
    first = after(None, frame("Coat", 0.8), 10.0)
    assert [first.shares[name] for name in ("Coat", "Bag")] == pytest.approx([0.8, 0.2])
    # after FADES seconds what was seen counts half: Coat 0.8 / 2, Shirt 0.6 / 2, Bag (0.2 + 0.4) / 2
    second = after(first, frame("Shirt", 0.6), 10.0 + FADES)
    assert [second.shares[name] for name in ("Coat", "Shirt", "Bag", NOTHING)] == pytest.approx([0.4, 0.3, 0.3, 0])
    # after twice that a quarter: Coat 0.4 / 4, Shirt 0.3 / 4 + 0.6 * 3 / 4
    third = after(second, frame("Shirt", 0.6), 10.0 + 3 * FADES)
    assert [third.shares[name] for name in ("Coat", "Shirt")] == pytest.approx([0.1, 0.525])
    assert math.fsum(third.shares.values()) == pytest.approx(1)
    assert [one.name for one in (first, second, third)] == ["Coat", "Coat", "Shirt"]


def test_another_name_must_lead_clearly() -> None:
    before = Steady(dict.fromkeys([*LABELS, NOTHING], 0.0) | {"Coat": 0.6, "Bag": 0.4}, "Coat", 0.0)
    # FADES seconds later Coat has 0.6 / 2 + (1 - s) / 2 and Bag 0.4 / 2 + s / 2: it leads by s - 0.6
    assert LEAD == 0.15
    assert [after(before, frame("Coat", 1 - share), FADES).name for share in (0.7, 0.74, 0.76)] == ["Coat", "Coat", "Bag"]
    # flickering frames leave the name alone
    seen, names = before, []
    for number in range(1, 20):
        seen = after(seen, frame("Shirt" if number % 2 else "Coat", 0.9), 0.3 * number)
        names.append(seen.name)
    assert set(names) == {"Coat"}


def test_frames_that_are_not_sure_are_nothing_after_a_while() -> None:
    seen, names = after(None, frame("Coat", 0.9), 0.0), []
    for number in range(1, 8):
        seen = after(seen, frame("Coat", 0.9, typicality=0.0), 0.3 * number)
        names.append(title(seen))
    nothing = "Nothing that I know is in view."
    # Coat keeps 0.9 * 2**(-0.3 n / 0.7), nothing has 1 - 2**(-0.3 n / 0.7): it leads by 0.22 at the third frame
    leads = [1 - 1.9 * 2 ** (-0.3 * number / FADES) >= LEAD for number in range(1, 8)]
    assert names == [nothing if leading else "## Coat" for leading in leads]
    assert leads == [False, False, True, True, True, True, True]
    assert seen.uncertain
    assert seen.label == "Coat"  # what of the ten is seen most
    assert dict(seen.top(2)) == pytest.approx({"Coat": 0.9, "Bag": 0.1})


def test_one_camera_a_visitor_and_four_in_all() -> None:
    clock = Clock()
    cameras = Cameras(clock)
    assert cameras.look("a1", "a", lambda: "seen") == "seen"
    with pytest.raises(BusyError, match=r"^One camera of yours is watched already; stop that one\.$"):
        cameras.look("a2", "a", lambda: "seen")
    for name in ("b", "c", ""):
        assert cameras.look(f"{name}1", name, lambda: "seen") == "seen"
    with pytest.raises(BusyError, match=r"^4 cameras are watched already; try again in 5 seconds\.$"):
        cameras.look("d1", "d", lambda: "seen")
    clock.now += GONE - 1
    cameras.look("b1", "b", lambda: "seen")
    assert cameras.watches("a1")
    clock.now += 2  # only b has sent a frame since
    assert [cameras.watches(name) for name in ("a1", "b1", "c1")] == [False, True, False]
    assert cameras.look("a2", "a", lambda: "seen") == "seen"


def test_a_camera_is_watched_for_two_minutes() -> None:
    clock = Clock()
    cameras = Cameras(clock)
    for _ in range(60):
        assert cameras.look("one", "a", lambda: "seen") == "seen"
        clock.now += 2
    for _ in range(2):  # going on does not begin anew
        with pytest.raises(BusyError, match=r"^The 2 minutes are over; stop the camera, and start it again in 5 seconds\.$"):
            cameras.look("one", "a", lambda: "seen")
        clock.now += GONE - 0.1
    assert cameras.look("two", "a", lambda: "seen") == "seen"  # it takes no place from others
    clock.now += GONE + 0.1
    assert cameras.look("one", "a", lambda: "seen") == "seen"


def test_a_camera_rests_three_times_as_long_as_its_frame_took() -> None:
    clock = Clock()
    cameras = Cameras(clock)

    def slow() -> str:
        clock.now += 0.5
        assert cameras.look("other", "b", lambda: "seen") is None  # one frame at a time, of all cameras
        return "seen"

    assert cameras.look("one", "a", slow) == "seen"
    assert cameras.look("other", "b", lambda: "seen") == "seen"
    clock.now += 1.49
    assert cameras.look("one", "a", lambda: "seen") is None
    clock.now += 0.02
    with pytest.raises(ZeroDivisionError):
        cameras.look("one", "a", lambda: str(1 / 0))
    assert cameras.look("one", "a", lambda: "seen") is None  # a frame that fails counts as one
    clock.now += 0.16  # the shortest rest
    assert cameras.look("one", "a", lambda: "seen") == "seen"


def stream(camera: str, began: float) -> Any:
    event = SimpleNamespace(streaming=True, session_hash=camera, enqueue_time=began, closed=False, run_time=0.0)
    event.signal = asyncio.Event()
    return event


def test_streams_without_frames_are_closed() -> None:
    now = time.monotonic()
    cameras = Cameras()
    cameras.look("watched", "a", lambda: "seen")
    kept, silent, new = stream("watched", now - 60), stream("silent", now - 60), stream("new", now)
    twice, other = stream("watched", now - 50), SimpleNamespace(streaming=False)
    queue: Any = SimpleNamespace(active_jobs=[[kept], None, [silent], [new], [twice], [other]])
    assert surplus(queue, cameras) == [silent, twice]

    async def run() -> None:
        async with silent_ones_closed(queue, cameras):
            await asyncio.wait_for(silent.signal.wait(), PATIENCE)

    asyncio.run(run())
    assert [(one.closed, one.run_time) for one in (kept, silent, new)] == [(False, 0), (True, math.inf), (False, 0)]


def as_frame(path: Path) -> dict[str, Any]:
    """A frame as a browser sends it."""
    return {"path": None, "url": f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"}


def test_the_name_is_told_when_it_changes() -> None:
    with gr.Blocks():
        tab = LiveTab(app.service)
    expected = predict(COAT)
    shown = tab.show(as_frame(COAT), None)
    assert shown[tab.name] == f"## {expected.label}"
    assert shown[tab.steady].shares[expected.label] == pytest.approx(expected.confidence)
    assert shown[tab.bars].count("<li>") == 3
    time.sleep(0.5)  # it rests
    eventually(lambda: tab.bars in tab.show(as_frame(COAT), shown[tab.steady]))
    again = shown[tab.steady]
    assert tab.show(None, again) == {tab.name: gr.skip()}


def test_a_frame_leaves_nothing_behind(url: str) -> None:
    """Played as the browser does it: the first frame opens the stream, others follow, and it is closed."""
    config = httpx.get(f"{url}config", timeout=PATIENCE).json()
    (live,) = (call for call in config["dependencies"] if call["connection"] == "stream")
    files = {path for path in Path(get_upload_folder()).rglob("*") if path.is_file()}
    events, kept = len(read_events(app.service.journal.folder)), app.service._predictions.bytes
    body = {"fn_index": live["id"], "session_hash": "a-camera", "data": [as_frame(COAT), None]}
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=PATIENCE) as client:
        event = client.post("queue/join", json=body).raise_for_status().json()["event_id"]
        with client.stream("GET", "queue/data", params={"session_hash": "a-camera"}) as answers:
            told = ""
            for line in answers.iter_lines():
                told += line
                if "process_streaming" in line and "Coat" in line:
                    assert client.post(f"stream/{event}", json=body).status_code == 200
                    noise = client.post(f"stream/{event}", content=b"\xff" * 200)
                    assert (noise.status_code, noise.json()) == (400, {"error": "The frame cannot be read; send it as JSON."})
                    assert client.post(f"stream/{event}/close").status_code == 200
                if "process_completed" in line:
                    break
        assert client.get(f"stream/{event}/0/0/playlist.m3u8").json() == {"error": "Not found."}
    assert "## Coat" in told
    assert {path for path in Path(get_upload_folder()).rglob("*") if path.is_file()} == files
    assert (len(read_events(app.service.journal.folder)), app.service._predictions.bytes) == (events, kept)


TOO_LARGE = "Received a frame of 4,000,001 bytes or more; at most 4,000,000 are taken, choose a lower resolution of the camera."


def test_a_frame_that_is_too_large_is_not_taken_and_the_page_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.service, "cameras", Cameras())
    config = httpx.get(f"{url}config", timeout=PATIENCE).json()
    (live,) = (call for call in config["dependencies"] if call["connection"] == "stream")
    body = {"fn_index": live["id"], "session_hash": "a-large-camera", "data": [as_frame(COAT), None]}
    told = []
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=PATIENCE) as client:
        event = client.post("queue/join", json=body).raise_for_status().json()["event_id"]
        with client.stream("GET", "queue/data", params={"session_hash": "a-large-camera"}) as answers:
            for line in answers.iter_lines():
                if "process_streaming" in line:
                    told.append(line)
                if len(told) == 1:
                    large = client.post(f"stream/{event}", content=b"a" * (FRAME.most + 1))
                    assert (large.status_code, large.json()) == (413, {"error": TOO_LARGE})
                if len(told) == 2 or "process_completed" in line:
                    break
        client.post(f"stream/{event}/close")
    assert ["## Coat" in line for line in told] == [True, False]
    assert TOO_LARGE in told[1]
    unknown = httpx.post(f"{url}gradio_api/stream/{'a' * 32}", content=b"a" * (FRAME.most + 1), timeout=PATIENCE)
    assert unknown.status_code == 413
