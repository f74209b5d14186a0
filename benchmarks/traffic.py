"""Mixed traffic on a page of its own: everything that visitors and programs send, good and bad, by several clients at once.

    python -m benchmarks.traffic [--minutes 5] [--clients 6] [--pause 0] [--seed 0]

Thumbnails, photos, HEIC, large and broken files, points, all garments, many files, explanations and corrections, half of it by
gradio_client and the page's own calls, half by plain HTTP. Prints each kind with its answers and errors, the memory of the
server with its slope in time, the folder of uploads over time, and whether the journal holds a line for every answer and every
correction that was thanked for.
"""

import argparse
import io
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from scipy import stats

from benchmarks.servers import PAGE, PATIENCE, ROOT, Server, serving, warm
from fashion_classifier import LABELS
from fashion_classifier.monitoring import read_events

WARM_UP = 0.25  # of the time, in which caches fill; the slope is that of the rest
EVERY = 1.0  # seconds between two looks at memory and folder
FEW = 8  # files of /predict_many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pause", type=float, default=0, help="seconds that a client rests after each answer")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with serving(*PAGE) as server:
        warm(server.url)
        print(report(drive(server, 60 * arguments.minutes, arguments.clients, arguments.seed, pause=arguments.pause)))


@dataclass
class Traffic:
    """What was sent, and how the server was meanwhile.

    Attributes:
        seconds: How long it went on.
        sent: Requests by kind.
        refused: Those that got a sentence in place of an answer, by kind and sentence; of kinds that are bad that is right.
        errors: What should not have happened.
        predictions: Answers that the journal must hold, `corrections` likewise.
        written: Those that it holds.
        watched: Rows of seconds since the start, bytes of the server's memory and bytes in the folder of uploads.
    """

    seconds: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    predictions: int = 0
    corrections: int = 0
    written: Counter[str] = field(default_factory=Counter)
    watched: list[tuple[float, int, int]] = field(default_factory=list)

    def slope(self) -> tuple[float, float, float]:
        """Of the server's memory once it is warm, by least squares: bytes an hour, and the 95 % interval around that.

        A minute's mean is one point, or a twentieth of the time where that is shorter: looks that follow each other at once
        are not independent.
        """
        start = WARM_UP * self.seconds
        rows = np.array([row for row in self.watched if row[0] >= start])
        bins = ((rows[:, 0] - start) / min(60, self.seconds / 20)).astype(int)
        means = np.array([rows[bins == one, :2].mean(axis=0) for one in np.unique(bins)])
        fitted = stats.linregress(means[:, 0] / 3600, means[:, 1])
        spread = fitted.stderr * stats.t.ppf(0.975, len(means) - 2)
        return fitted.slope, fitted.slope - spread, fitted.slope + spread


def drive(server: Server, seconds: float, clients: int, seed: int = 0, *, pause: float = 0) -> Traffic:
    """Send traffic for so many seconds, each client resting after an answer, and watch the server."""
    traffic, lock, start = Traffic(), threading.Lock(), time.monotonic()
    before = _written(server)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            traffic.watched.append((time.monotonic() - start, server.memory(), server.uploaded()))

    def visit(number: int) -> None:
        with Visitor(server, seed * 1000 + number) as visitor:
            while time.monotonic() - start < seconds:
                kind = visitor.choose()
                result = visitor.send(kind)
                with lock:
                    traffic.sent[kind] += 1
                    traffic.predictions += result.written[0]
                    traffic.corrections += result.written[1]
                    if result.refused:
                        traffic.refused[kind, result.refused] += 1
                    if result.error:
                        traffic.errors.append(f"{kind}: {result.error}")
                time.sleep(pause)

    with ThreadPoolExecutor(clients + 1) as pool:
        watching = pool.submit(watch)
        for visit_ in [pool.submit(visit, number) for number in range(clients)]:
            visit_.result()
        done.set()
        watching.result()
    traffic.seconds = time.monotonic() - start
    traffic.written = _written(server) - before
    return traffic


def _written(server: Server) -> Counter[str]:
    """How many events of each kind the journal holds."""
    return Counter(event["event"] for event in read_events(server.journal))


class RefusedError(Exception):
    """A sentence in place of an answer."""


Written = tuple[int, int]
"""Predictions and corrections that the journal must hold now."""


@dataclass(frozen=True)
class Result:
    """How a request went."""

    written: Written = (0, 0)
    refused: str = ""
    error: str = ""


class Session:
    """A visitor of the page itself: calls of its functions, whose state is on the server."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self._http, self._name = http, name
        self._functions = {call["api_name"]: call["id"] for call in http.get("config").json()["dependencies"]}

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """A file that was uploaded, as calls name it."""
        answer = self._http.post("gradio_api/upload", files={"files": (name, content)})
        if not answer.is_success:
            raise RefusedError(answer.json()["error"])
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def call(self, function: str, data: list[Any]) -> list[Any]:
        """What a function of the page gives; raises `RefusedError` with what it tells in place of that."""
        body = {"data": data, "fn_index": self._functions[function], "session_hash": self._name}
        joined = self._http.post("gradio_api/queue/join", json=body)
        if not joined.is_success:
            raise RefusedError(str(joined.json().get("error") or joined.json().get("detail")))
        with self._http.stream("GET", "gradio_api/queue/data", params={"session_hash": self._name}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("event_id") == joined.json()["event_id"] and message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RefusedError(str(message["output"]["error"]))
                    return list(message["output"]["data"])
        raise RuntimeError("The stream ended without an answer.")


class Visitor:
    """One client, who asks in each of the ways in turn."""

    def __init__(self, server: Server, number: int) -> None:
        self._random = random.Random(number)  # noqa: S311 - no secret
        address = f"127.0.0.{10 + number % 200}" if sys.platform == "linux" else "127.0.0.1"
        self._http = httpx.Client(base_url=server.url, timeout=PATIENCE, transport=httpx.HTTPTransport(local_address=address))
        self._session = Session(self._http, f"visitor{number}")
        self._client = Client(server.url, verbose=False, httpx_kwargs={"timeout": PATIENCE})
        self._folder = tempfile.TemporaryDirectory()
        self._kinds: dict[str, tuple[int, Callable[[], Written]]] = {  # each with how often it comes
            "thumbnail, plain HTTP": (6, lambda: self._post(self._thumbnail())),
            "thumbnail, queue": (3, lambda: self._ask(self._thumbnail())),
            "photo, plain HTTP": (6, lambda: self._post(self._photo())),
            "photo, queue": (4, lambda: self._ask(self._photo())),
            "photo of 12 megapixels, plain HTTP": (1, lambda: self._post(self._large())),
            "HEIC, plain HTTP": (1, lambda: self._post(self._heic())),
            "HEIC, queue": (1, lambda: self._ask(self._heic())),
            "point": (2, lambda: self._post(self._outfit(), at="130,300")),
            "all garments": (2, self._garments),
            "many": (1, self._many),
            "explanation": (2, self._explain),
            "correction": (3, self._correct),
            "bad file, plain HTTP": (2, lambda: self._post(self._bad())),
            "bad file, queue": (2, lambda: self._ask(self._bad())),
            "bad point": (1, lambda: self._post(self._outfit(), at=self._random.choice(["9999,1", "nan,1", "top", "1"]))),
            "bad name": (1, lambda: self._explain("Hat")),
        }

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()
        self._client.close()
        self._folder.cleanup()

    def choose(self) -> str:
        """A kind of request."""
        return self._random.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])[0]

    def send(self, kind: str) -> Result:
        """Send a request of a kind. Good ones may be refused while the page is full, bad ones must be refused."""
        try:
            written = self._kinds[kind][1]()
        except RefusedError as refused:
            right = kind.startswith("bad") or "waiting already" in str(refused) or "Queue is full" in str(refused)
            # the picture was named before the page looked at the name to explain, or for a free place
            named = (int(kind in ("explanation", "bad name") and "Queue is full" not in str(refused)), 0)
            return Result(named, refused=str(refused)) if right else Result(error=f"refused: {refused}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            return Result(error=repr(error))
        return Result(error="a bad request was answered") if kind.startswith("bad") else Result(written)

    def _post(self, picture: bytes, **query: str) -> Written:
        answer = self._http.post("v1/predict", content=picture, params=query)
        if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE):
            raise RefusedError(answer.json()["error"])
        _check(answer.raise_for_status().json())
        return 1, 0

    def _ask(self, picture: bytes) -> Written:
        _check(self._predict(handle_file(self._file(picture)), api_name="/predict"))
        return 1, 0

    def _garments(self) -> Written:
        for garment in self._predict(handle_file(self._file(self._outfit())), api_name="/garments"):
            _check(garment)
        return 0, 0

    def _many(self) -> Written:
        pictures = [self._random.choice([self._thumbnail, self._photo, self._bad])() for _ in range(FEW)]
        files = [handle_file(self._file(picture, str(number))) for number, picture in enumerate(pictures)]
        answers = self._predict(files, api_name="/predict_many")
        if len(answers) != FEW:
            raise ValueError(f"{len(answers)} answers to {FEW} files")
        return sum(answer["error"] is None for answer in answers), 0

    def _explain(self, target: str = "the answer") -> Written:
        method = self._random.choice(["perturbation", "gradcam"])
        file = self._session.upload("a.jpg", self._photo())
        _, explained = self._session.call("explain", [file, target, method, "all others"])
        _check(explained["prediction"])
        return 1, 0

    def _correct(self) -> Written:
        file = self._session.upload("a.jpg", self._photo())
        self._session.call("show_new", [file])
        self._session.call("send_correction", [file, None, self._random.choice(LABELS), self._random.random() < 0.2])
        return 1, 1

    def _predict(self, *inputs: Any, api_name: str) -> Any:
        try:
            return self._client.predict(*inputs, api_name=api_name)
        except AppError as error:
            raise RefusedError(str(error)) from error

    def _file(self, content: bytes, name: str = "picture") -> str:
        path = Path(self._folder.name, name)
        path.write_bytes(content)
        return str(path)

    def _thumbnail(self) -> bytes:
        return _encoded(self._marked(self._random.choice(_thumbnails())), "PNG")

    def _photo(self) -> bytes:
        return _encoded(self._marked(self._random.choice(_photos())), "JPEG", quality=95)

    def _large(self) -> bytes:
        return _encoded(Image.fromarray(self._marked(self._random.choice(_photos()))).resize((4000, 3000)), "JPEG")

    def _outfit(self) -> bytes:
        return (ROOT / "tests" / "fixtures" / "outfit.jpg").read_bytes() + self._random.randbytes(8)  # beyond its end

    def _heic(self) -> bytes:
        return (ROOT / "tests" / "fixtures" / "shirt.heic").read_bytes() + self._random.randbytes(8)

    def _bad(self) -> bytes:
        photo = self._photo()
        return self._random.choice(
            [b"", b"Dear sir", photo[: len(photo) // 3], b"https://example.org/a.jpg", b"GIF89a", photo[9:]]
        )

    def _marked(self, image: np.ndarray) -> np.ndarray:
        """Another picture: its corner tells a number."""
        marked = image.copy()
        marked[:2, :2] = (
            np.frombuffer(self._random.randbytes(marked[:2, :2].size), np.uint8).reshape(marked[:2, :2].shape) // 16
        )
        return marked


def _check(answer: dict[str, Any]) -> None:
    if answer["label"] not in LABELS or abs(sum(answer["probabilities"].values()) - 1) > 1e-6:
        raise ValueError(f"no answer: {answer}")


@cache
def _thumbnails() -> list[np.ndarray]:
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-200.npz") as stored:
        return list(stored["images"])


@cache
def _photos() -> list[np.ndarray]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted((ROOT / "examples").glob("*.jpg"))]


def _encoded(image: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(data, kind, **options)
    return data.getvalue()


def report(traffic: Traffic) -> str:
    """Traffic in lines of text."""
    n = sum(traffic.sent.values())
    lines = [f"{n:,} requests in {traffic.seconds / 60:.1f} minutes, {n / traffic.seconds:.1f} a second"]
    for kind, sent in sorted(traffic.sent.items()):
        refused = sum(times for (refused, _), times in traffic.refused.items() if refused == kind)
        lines.append(f"  {kind}: {sent:,} sent, {refused:,} told why not")
    lines.append(f"errors: {len(traffic.errors)}")
    lines += [f"  {error:.300}" for error in traffic.errors[:10]]
    slope, low, high = (value / 1e6 for value in traffic.slope())
    peak = max(memory for _, memory, _ in traffic.watched) / 1e6
    lines.append(f"memory: at most {peak:.0f} MB; {slope:+.0f} MB an hour, 95 % interval {low:+.0f} to {high:+.0f}, once warm")
    lines.append("minute, memory, uploads:")
    step = max(1, len(traffic.watched) // 12)
    for seconds, memory, uploads in traffic.watched[::step]:
        lines.append(f"  {seconds / 60:5.1f} {memory / 1e6:7.0f} MB {uploads / 1e6:7.1f} MB")
    lines.append(f"journal: {traffic.written['prediction']:,} predictions of {traffic.predictions:,} that were answered")
    lines.append(f"         {traffic.written['correction']:,} corrections of {traffic.corrections:,} that were thanked for")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
