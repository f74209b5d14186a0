"""A crowd: the page's plain HTTP and its queue, and a classic Flask app, each asked by many clients at once, in one run.

    python -m benchmarks.load [--clients 32] [--requests 640] [--kinds thumbnails photos]

Each server is a process of its own on this machine, and asked alone. Every picture of a run is another one, so that no answer
is kept from before. Prints requests a second, percentiles of the time that a client waits, errors, and how many answers differ
from what `fashion_classifier.predict` says of the same picture. Without Flask the peer is left out.
"""

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import local
from typing import Any

import httpx
import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from benchmarks.servers import PAGE, PATIENCE, ROOT, serving, warm
from fashion_classifier import predict

Ask = Callable[[bytes], str]  # a picture -> the label that a server answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--kinds", nargs="+", choices=PICTURES, default=list(PICTURES))
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        pictures = PICTURES[kind](arguments.requests)
        expected = [predict(picture).label for picture in pictures]
        print(f"{kind}: {len(pictures)} requests, {arguments.clients} clients")
        rates = {}
        for name, way in (("plain HTTP", over_http), ("gradio_client", through_queue)):
            with serving(*PAGE) as server:
                warm(server.url)
                rates[name] = report(name, arguments.clients, way(server.url), pictures, expected)
        if find_spec("flask") is None:
            print("Flask is not installed: pip install -e '.[dev]' to compare with it.")
            continue
        with serving("-m", "benchmarks.flask_peer", port_as_argument=True) as server:
            peer = report("the Flask app", arguments.clients, of_peer(server.url), pictures, None)
        for name, rate in rates.items():
            print(f"{name}: {rate / peer:.1f} times the Flask app's requests a second")


def thumbnails(n: int) -> list[bytes]:
    """Images of Fashion-MNIST's test set as PNG, each with a number in its corner."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-200.npz") as stored:
        images = stored["images"]
    return [_png(_numbered(images[number % len(images)], number)) for number in range(n)]


def photos(n: int) -> list[bytes]:
    """The example photos as JPEG, each with a number in its corner."""
    examples = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((ROOT / "examples").glob("*.jpg"))]
    return [_jpeg(_numbered(examples[number % len(examples)], number)) for number in range(n)]


PICTURES = {"thumbnails": thumbnails, "photos": photos}


def over_http(url: str) -> Ask:
    """The page's plain HTTP: the picture as body."""
    return _posting(url, "/v1/predict", "image/png", lambda picture: picture)


def of_peer(url: str) -> Ask:
    """The Flask app: the picture as a form's file."""
    start = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return _posting(url, "/", "multipart/form-data; boundary=b", lambda picture: start + picture + b"\r\n--b--\r\n")


def _posting(url: str, path: str, kind: str, body: Callable[[bytes], bytes]) -> Ask:
    """Posts on a connection for each client, with the standard library: what clients take of the machine is little."""
    address = httpx.URL(url)
    connection = _client_of_thread(lambda: HTTPConnection(address.host, address.port, timeout=PATIENCE))

    def ask(picture: bytes) -> str:
        connection().request("POST", path, body(picture), {"Content-Type": kind})
        answer = connection().getresponse()
        content = json.loads(answer.read())
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{answer.status}: {content}")
        return str(content["label"])

    return ask


def through_queue(url: str) -> Ask:
    """The page's queue: an upload and a call by `gradio_client`."""
    folder = TemporaryDirectory()
    client = _client_of_thread(lambda: Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE}))

    def ask(picture: bytes) -> str:
        path = Path(folder.name, f"{hash(picture)}.img")
        path.write_bytes(picture)
        return str(client().predict(handle_file(str(path)), api_name="/predict")["label"])

    return ask


def report(name: str, clients: int, ask: Ask, pictures: Sequence[bytes], expected: list[str] | None) -> float:
    """Ask for every picture, print how that went, and give the requests a second."""

    def timed(picture: bytes) -> tuple[float, str | Exception]:
        start = time.perf_counter()
        try:
            answer: str | Exception = ask(picture)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            answer = error
        return time.perf_counter() - start, answer

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(timed, [pictures[0]] * clients))  # connections, which are not what is measured
        start = time.perf_counter()
        answers = list(pool.map(timed, pictures))
        rate = len(pictures) / (time.perf_counter() - start)
    errors = [answer for _, answer in answers if isinstance(answer, Exception)]
    p50, p95, p99 = np.percentile([seconds for seconds, _ in answers], (50, 95, 99))
    line = f"  {name}: {rate:.1f} requests/s, p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s, {len(errors)} errors"
    if expected is not None:
        differing = sum(answer != label for (_, answer), label in zip(answers, expected, strict=True))
        line += f", {differing} of {len(expected)} answers differ from serial ones"
    print(line + (f"; the first error: {errors[0]!r}" if errors else ""), flush=True)
    return rate


def _client_of_thread(make: Callable[[], Any]) -> Callable[[], Any]:
    """A client for each thread, made when it is first needed."""
    kept = local()

    def client() -> Any:
        if not hasattr(kept, "client"):
            kept.client = make()
        return kept.client

    return client


def _numbered(image: np.ndarray, number: int) -> np.ndarray:
    """Another picture: a pixel of the corner tells a number."""
    numbered = image.copy()
    numbered[0, 0] = number % 3
    numbered[0, 1] = number // 3 % 3
    numbered[-1, 0] = number // 9 % 3
    numbered[-1, -1] = number // 27 % 3
    return numbered


def _png(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return data.getvalue()


def _jpeg(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=95, subsampling=0)
    return data.getvalue()


if __name__ == "__main__":
    main()
