"""Attacks on the page as users start it, each by one visitor, while two others predict: by plain HTTP and by gradio_client.

Every prediction of theirs is right and comes within `WITHIN` seconds, the server with its decoders stays within `MEMORY`, and
the folder of uploads within its quota. Each attack prints what was measured; `pytest -m slow -rP` shows that.
"""

import base64
import io
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from benchmarks.servers import PAGE, Server, serving, warm
from benchmarks.traffic import RefusedError, Session
from fashion_classifier import LABELS
from fashion_classifier.monitoring import read_events
from page.cameras import EVERY, MOST
from page.guard import WAITING_EACH
from page.uploads import QUOTA
from tests.patience import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and needs more than one loopback address"),
]

WITHIN = 5  # seconds
MEMORY = 1.5e9  # bytes
DISTURBED = 0.25  # of the cores, taken by other programs: then the clock says little, and `PATIENCE` holds
ATTACKER = "127.0.0.2"  # visitors are told apart by their addresses
DRESS = Path("examples/dress.jpg").read_bytes()
FILE = {"meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def page() -> Iterator[Server]:
    with serving(*PAGE) as server:
        warm(server.url)
        yield server


@pytest.fixture
def attacker(page: Server) -> Iterator[httpx.Client]:
    with client_from(page, ATTACKER) as client:
        yield client


def client_from(page: Server, address: str) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address, limits=httpx.Limits(max_connections=None))
    return httpx.Client(base_url=page.url, timeout=PATIENCE, transport=transport)


@pytest.fixture
def bystanders(page: Server, request: pytest.FixtureRequest) -> Iterator[None]:
    """Two visitors who predict again and again while a test runs, each time another picture."""
    done = threading.Event()
    client, http = Client(page.url, verbose=False), httpx.Client(base_url=page.url, timeout=PATIENCE)
    folder = tempfile.TemporaryDirectory()

    def through_queue(picture: bytes) -> str:
        path = Path(folder.name, "dress.jpg")
        path.write_bytes(picture)
        return str(client.predict(handle_file(path), api_name="/predict")["label"])

    def over_http(picture: bytes) -> str:
        return str(http.post("v1/predict", content=picture).raise_for_status().json()["label"])

    def visit(ask: Callable[[bytes], str]) -> list[float]:
        seconds: list[float] = []
        while not done.wait(0.1) or len(seconds) < 3:
            picture = DRESS + os.urandom(8)  # beyond the JPEG's end: another file of the same picture
            start = time.monotonic()
            assert ask(picture) == "Dress"
            seconds.append(time.monotonic() - start)
        return seconds

    def watch() -> tuple[int, int]:
        memory = disk = 0
        while not done.wait(0.1):
            memory, disk = max(memory, page.memory()), max(disk, page.uploaded())
        return memory, disk

    page.forget_peak()
    before = cores_used(page)
    with folder, http, ThreadPoolExecutor(3) as pool:
        visits = [pool.submit(visit, ask) for ask in (over_http, through_queue)]
        watched = pool.submit(watch)
        yield
        done.set()
        seconds = [visit.result() for visit in visits]
        memory, disk = watched.result()
    others = before()
    slowest = max(map(max, seconds))
    print(
        f"{request.node.name}: {' and '.join(str(len(visit)) for visit in seconds)} predictions, slowest "
        f"{' and '.join(f'{max(visit):.2f}' for visit in seconds)} s; peak of the server {page.peak() / 1e6:.0f} MB, with its "
        f"decoders {memory / 1e6:.0f} MB; uploads {disk / 1e6:.0f} MB; other programs took {others:.0%} of the cores"
    )
    assert slowest <= (WITHIN if others < DISTURBED else PATIENCE)
    assert memory < MEMORY
    assert page.peak() < MEMORY
    assert disk <= QUOTA


def cores_used(page: Server) -> Callable[[], float]:
    """Starts to measure; what it gives tells which share of the cores programs took since then that are not of this test."""
    start, busy, own = time.monotonic(), busy_seconds(), own_seconds(page)

    def others() -> float:
        rest = busy_seconds() - busy - (own_seconds(page) - own)
        return max(0.0, rest / (time.monotonic() - start) / (os.cpu_count() or 1))

    return others


def busy_seconds() -> float:
    """Of processor time that all programs took, without what was idle or waited for disks."""
    user, nice, system, _, _, interrupts, softly, stolen, *_ = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    return (user + nice + system + interrupts + softly + stolen) / os.sysconf("SC_CLK_TCK")


def own_seconds(page: Server) -> float:
    """Of processor time that this process and the page took, with the decoders that have ended."""
    ticks = 0
    for pid in (os.getpid(), page.pid):
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def in_parallel(n: int, ask: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(ask, range(n)))


def uploaded(client: httpx.Client, name: str, content: bytes) -> dict[str, Any]:
    """A file that was uploaded, as Gradio's calls name it."""
    (path,) = client.post("gradio_api/upload", files={"files": (name, content)}).raise_for_status().json()
    return {"path": path} | FILE


def joined(client: httpx.Client, endpoint: str, data: list[Any]) -> str | None:
    """What a call through the queue gave, its stream; None where it was refused at once."""
    answer = client.post(f"gradio_api/call/{endpoint}", json={"data": data})
    if answer.status_code == 503:
        return None
    return client.get(f"gradio_api/call/{endpoint}/{answer.raise_for_status().json()['event_id']}").text


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def many_scans() -> bytes:
    """A progressive JPEG whose last scan comes 2,000 times more."""
    data = encoded(Image.new("L", (8000, 8000), 128), "JPEG", progressive=True, quality=1)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * 2000 + data[end:]


def large_progressive() -> bytes:
    """Few scans, and coefficients of 64 megapixels in colour."""
    return encoded(Image.new("RGB", (8000, 8000), "red"), "JPEG", progressive=True, quality=1, subsampling=0)


def many_chunks(before: bytes) -> bytes:
    """A PNG with 1.5 million text chunks before the chunk of a type."""
    data = encoded(Image.new("RGB", (40, 40)), "PNG")
    text = b"tEXta\0b"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    start = data.index(before) - 4
    return data[:start] + chunk * 1_500_000 + data[start:]


SLOW: dict[str, Callable[[], bytes]] = {
    "progressive JPEG of 2,000 scans": many_scans,
    "progressive JPEG of 64 megapixels": large_progressive,
    "WebP of 64 megapixels": lambda: encoded(Image.new("RGB", (8000, 8000), "red"), "WEBP"),
    "PNG of 64 megapixels": lambda: encoded(Image.new("RGBA", (8000, 8000), (255, 0, 0, 100)), "PNG"),
    "PNG of 16 bits": lambda: encoded(Image.fromarray(np.full((8000, 8000), 999, np.uint16)), "PNG"),
    "PNG of many chunks": lambda: many_chunks(b"IDAT"),
    "PNG of many chunks behind the pixels": lambda: many_chunks(b"IEND"),
    "PPM of comments": lambda: b"P6\n" + b"#a\n" * 10_000_000 + b"40 40\n255\n" + b"\0" * 4800,
    "PPM in text": lambda: b"P3\n4000 1000\n255\n" + b"1 2 3\n" * 4_000_000,
    "TIFF of 64 megapixels": lambda: encoded(Image.new("L", (8000, 8000)), "TIFF", compression="tiff_deflate"),
}


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize("kind", SLOW)
def test_pictures_that_take_long(page: Server, attacker: httpx.Client, kind: str) -> None:
    picture = SLOW[kind]()
    file = uploaded(attacker, "a.img", picture)

    def ask(number: int) -> None:
        own = picture + struct.pack("<I", number)  # another file each time: answers are kept
        if number % 2:
            assert attacker.post("v1/predict", content=own).status_code in (200, 400, 503)
        elif len(own) < 5_000_000:
            joined(attacker, "predict", [uploaded(attacker, "a.img", own), None])
        else:  # what would be refused for its share of uploads
            joined(attacker, ("predict", "garments", "explain")[number % 3], [file])

    in_parallel(24, ask)


@pytest.mark.usefixtures("bystanders")
def test_uploads_that_break_off(page: Server) -> None:
    address = httpx.URL(page.url)
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nContent-Length: 40000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    )
    for _ in range(40):
        with socket.create_connection((address.host, address.port), source_address=(ATTACKER, 0)) as connection:
            connection.sendall(head.encode() + b"x" * 2_000_000)


@pytest.mark.usefixtures("bystanders")
def test_explanations_of_one_session(attacker: httpx.Client) -> None:
    file = uploaded(attacker, "a.jpg", DRESS)
    methods = ("perturbation", "scorecam", "gradcam")
    streams = in_parallel(30, lambda n: joined(attacker, "explain", [file, LABELS[n % 10], methods[n // 10]]))
    answers = [stream for stream in streams if stream is not None]
    assert any("event: complete" in answer for answer in answers)
    assert any("explanations of yours are waiting already" in answer for answer in answers)


@pytest.mark.usefixtures("bystanders")
def test_the_side_door(attacker: httpx.Client) -> None:
    file = uploaded(attacker, "a.webp", encoded(Image.new("RGB", (8000, 8000)), "WEBP"))
    answers = in_parallel(48, lambda _: attacker.post("gradio_api/run/predict", json={"data": [file, None]}))
    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.usefixtures("bystanders")
def test_a_flood_of_uploads(page: Server) -> None:
    """Of several visitors, more than the folder holds."""
    content = os.urandom(20_000_000)

    def flood(visitor: int) -> list[int]:
        with client_from(page, f"127.0.0.{10 + visitor}") as client:
            answers = [client.post("gradio_api/upload", files={"files": ("a.png", content)}) for _ in range(30)]
        return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(5) as pool:
        for statuses in pool.map(flood, range(5)):
            assert set(statuses) == {200, 503}


@pytest.mark.usefixtures("bystanders")
def test_a_flood_of_small_uploads(attacker: httpx.Client) -> None:
    content = os.urandom(10_000)
    answers = in_parallel(1000, lambda _: attacker.post("gradio_api/upload", files={"files": ("a.png", content)}))
    assert {answer.status_code for answer in answers} <= {200, 503}


@pytest.mark.usefixtures("bystanders")
def test_a_flood_of_corrections(page: Server, attacker: httpx.Client) -> None:
    noise = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)), "PNG")
    session = Session(attacker, "corrections")
    file, before = session.upload("a.png", noise), len(corrections(page))
    thanked, told = 0, set()
    for _ in range(3):
        session.call("show_new", [file])
        for _ in range(20):
            try:
                session.call("send_correction", [file, None, "Coat", True])
                thanked += 1
            except RefusedError as refused:
                told.add(str(refused))
    assert (thanked, told) == (3, {"This answer was corrected already."})
    assert len(corrections(page)) - before == 3


def corrections(page: Server) -> list[dict[str, Any]]:
    return [event for event in read_events(page.journal) if event["event"] == "correction"]


@pytest.mark.usefixtures("bystanders")
def test_six_hundred_joins(attacker: httpx.Client) -> None:
    file = uploaded(attacker, "a.jpg", DRESS)
    endpoints = ("predict", "garments", "predict_many", "explain")
    answers = in_parallel(
        600,
        lambda n: (
            attacker.post(f"gradio_api/call/{endpoints[n % 4]}", json={"data": [[file] if n % 4 == 2 else file]}).status_code
        ),
    )
    assert set(answers) == {200, 503}
    assert answers.count(200) < 600


@pytest.mark.usefixtures("bystanders")
def test_plain_http_of_one_visitor_at_once(attacker: httpx.Client) -> None:
    with ThreadPoolExecutor(100) as pool:
        posts = [pool.submit(attacker.post, "v1/garments", content=DRESS + bytes([n])) for n in range(200)]
        statuses = [post.result().status_code for post in posts]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= WAITING_EACH


@pytest.mark.usefixtures("bystanders")
def test_calls_as_large_as_are_taken(attacker: httpx.Client) -> None:
    picture = {"path": None, "url": "data:image/jpeg;base64," + "A" * 20_000_000}
    body, kind = json.dumps({"data": [picture, None]}).encode(), {"Content-Type": "application/json"}
    answers = in_parallel(60, lambda _: attacker.post("gradio_api/call/predict", content=body, headers=kind))
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = "2 large calls of yours are waiting already; try again when they are answered."
    assert {answer.json().get("error") for answer in answers} == {None, refused}


@pytest.mark.usefixtures("bystanders")
def test_four_cameras(page: Server) -> None:
    """As many as are watched at once, each of another visitor, who watches it as a browser does."""
    url = f"data:image/jpeg;base64,{base64.b64encode(DRESS).decode()}"
    (live,) = (call for call in httpx.get(f"{page.url}config").json()["dependencies"] if call["connection"] == "stream")

    def watch(number: int) -> tuple[bool, int]:
        """Whether the dress was named, and how many frames were looked at."""
        session = f"camera{number}"
        body = {"fn_index": live["id"], "session_hash": session, "data": [{"path": None, "url": url}, None]}
        told: list[str] = []
        with client_from(page, f"127.0.0.{20 + number}") as client:
            event = client.post("gradio_api/queue/join", json=body).raise_for_status().json()["event_id"]
            with client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as answers:
                for line in answers.iter_lines():
                    if "process_streaming" in line and len(told) < 40:
                        told.append(line)
                        time.sleep(EVERY)
                        client.post(f"gradio_api/stream/{event}", json=body).raise_for_status()
                    elif "process_streaming" in line:
                        client.post(f"gradio_api/stream/{event}/close").raise_for_status()
                    if "process_completed" in line:
                        break
        return any("## Dress" in line for line in told), sum("<li>" in line for line in told)

    with ThreadPoolExecutor(MOST) as pool:
        watched = list(pool.map(watch, range(MOST)))
    print(f"frames looked at, of 40 of each camera: {watched}")
    assert all(named and looks > 1 for named, looks in watched)


@pytest.mark.usefixtures("bystanders")
def test_connections_that_send_slowly(page: Server) -> None:
    address = httpx.URL(page.url)
    heads = [
        f"POST /v1/predict HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nX-A: ".encode(),
        f"POST /v1/predict HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nContent-Length: 40000\r\n\r\n".encode(),
    ]
    with many_connections(address, 300) as connections:
        for number, connection in enumerate(connections):
            connection.sendall(heads[number % 2])
        for _ in range(10):
            time.sleep(0.5)
            for connection in connections:
                connection.sendall(b"a")


@contextmanager
def many_connections(address: httpx.URL, n: int) -> Iterator[list[socket.socket]]:
    opened = [socket.create_connection((address.host, address.port), source_address=(ATTACKER, 0)) for _ in range(n)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


@pytest.mark.usefixtures("bystanders")
def test_errors_name_no_folder_and_stop_nobody(page: Server, attacker: httpx.Client) -> None:
    payloads: list[Any] = [
        {"path": "/etc/passwd"} | FILE,
        {"path": str(page.uploads / "gone.png")} | FILE,
        {"path": "a\0b"} | FILE,
        {"a": 1},
        "/etc/passwd",
        5,
        [[]],
        {"path": None, "url": "data:image/png;base64," + "A" * 1_000_000} | FILE,
        json.loads("[" * 500 + "]" * 500),
    ]
    calls = [(endpoint, [payload]) for endpoint in ("predict", "garments", "explain") for payload in payloads]
    told = in_parallel(len(calls) * 4, lambda n: joined(attacker, *calls[n // 4]))
    for stream in filter(None, told):
        assert "event: error" in stream
        assert str(Path.cwd()) not in stream
        assert str(page.uploads.parent) not in stream
        assert "pydantic" not in stream.lower()
    for path in ("gradio_api/call/nothing", "gradio_api/run/nothing", "gradio_api/queue/join", "v1/nothing"):
        assert attacker.post(path, json={"data": [], "fn_index": 999, "session_hash": "a"}).status_code == 404
