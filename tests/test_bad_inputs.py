"""What cannot be taken, each kind with its sentence, by gradio_client, by plain HTTP and by MCP."""

import asyncio
import base64
import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.patience import PATIENCE

HEIC = (Path(__file__).parent / "fixtures" / "shirt.heic").read_bytes()
BAG = Path("examples/fashion-mnist-bag.png").read_bytes()
COAT = Path("examples/coat.jpg").read_bytes()


def encoded(image: Image.Image, kind: str) -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        opened.writestr("coat.jpg", COAT)
    return data.getvalue()


def array() -> bytes:
    data = io.BytesIO()
    np.save(data, np.zeros((28, 28), np.uint8))
    return data.getvalue()


PHOTO = Image.new("RGB", (60, 40), "red")
FILES: dict[str, tuple[bytes, str]] = {  # what is sent as a picture, and what is said of it
    "nothing": (b"", "The data is empty (0 bytes)"),
    "text": (b"Dear sir", "The data (8 bytes) is not an image of a known format"),
    "zeros": (bytes(1000), "The data (1,000 bytes) is not an image of a known format"),
    "an address": (b"https://example.org/coat.jpg", "is an address: URLs are not fetched, send the picture itself"),
    "base64": (base64.b64encode(BAG), "is in base64: pass base64.b64decode(data)"),
    "a data URL": (b"data:image/jpeg;base64," + base64.b64encode(COAT), "is a data URL: pass base64.b64decode"),
    "a drawing": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing, not a pixel image"),
    "a document": (b"%PDF-1.7\n%", "is a PDF document, not a pixel image"),
    "a web page": (b"<!DOCTYPE html><html></html>", "is a web page, not an image: download the picture that it shows"),
    "a ZIP": (archive(), "is a compressed archive: unpack it first"),
    "gzip": (gzip.compress(BAG, mtime=0), "is a compressed archive: unpack it first"),
    "an array": (array(), "is an array of NumPy's: pass numpy.load(file)"),
    "a film": (struct.pack(">I", 24) + b"ftypmp42\0\0\0\0isomavc1" + bytes(99), "is not an image of a known format"),
    "half a PNG": (BAG[: len(BAG) // 2], "is truncated, damaged or unsupported"),
    "half a JPEG": (COAT[:5000], "is truncated, damaged or unsupported: image file is truncated"),
    "half a WebP": (encoded(PHOTO, "WEBP")[:40], "is truncated"),
    "half a BMP": (encoded(PHOTO, "BMP")[:200], "is truncated, damaged or unsupported"),
    "half a GIF": (encoded(PHOTO, "GIF")[:20], "is not an image of a known format, or damaged at its start"),
    "half a TIFF": (encoded(PHOTO, "TIFF")[:100], "is not an image of a known format, or damaged at its start"),
    "half a HEIC": (HEIC[: len(HEIC) // 2], "is truncated"),
    "the start of a HEIC": (HEIC[:40], "is a HEIC photo that is damaged at its start"),
    "a pixel": (encoded(Image.new("L", (1, 1)), "PNG"), "has 1x1 pixels, too few to show a garment"),
    "too many pixels": (encoded(Image.new("1", (9000, 8000)), "PNG"), "has 9000x8000 = 72,000,000 pixels, too many"),
    "odd numbers": (encoded(Image.fromarray(np.full((30, 30), 7.5, np.float32)), "TIFF"), "and values from 7.5 to 7.5"),
}
POINTS: dict[str, tuple[Any, str]] = {  # likewise, with a good picture
    "a point outside": ([900, 1], "The point (900, 1) lies outside the picture; the picture has 28x28 pixels"),
    "a point before": ([-1, 5], "The point (-1, 5) lies outside the picture; the picture has 28x28 pixels"),
    "half a point": ([3], "at takes a point"),
    "more than a point": ([3, 4, 5], "at takes a point"),
}


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=PATIENCE) as opened:
        yield opened


def check(said: Callable[[bytes, Any], str]) -> None:
    """Whether a way of asking, of a picture and a point, says of each kind what it should, and that alone."""
    wrong = {}
    for name, (picture, sentence) in FILES.items():
        told = said(picture, None)
        if sentence not in told or not told.endswith("Accepted: JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF, PPM, HEIC files."):
            wrong[name] = told
    for name, (point, sentence) in POINTS.items():
        if sentence not in (told := said(BAG, point)):
            wrong[name] = told
    assert wrong == {}
    assert len(FILES) + len(POINTS) >= 25


def test_gradio_client(url: str, tmp_path: Path) -> None:
    client = Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE})

    def said(picture: bytes, point: Any) -> str:
        (tmp_path / "picture").write_bytes(picture)
        with pytest.raises(AppError) as caught:
            client.predict(handle_file(tmp_path / "picture"), point, api_name="/predict")
        return str(caught.value)

    check(said)


def test_plain_http(http: httpx.Client) -> None:
    def said(picture: bytes, point: Any) -> str:
        query = {} if point is None else {"at": ",".join(map(str, point))}
        answer = http.post("v1/predict", content=picture, params=query)
        assert answer.status_code == 400
        return str(answer.json()["error"])

    check(said)


def test_mcp(url: str) -> None:
    session = pytest.importorskip("mcp").ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def ask(arguments: dict[str, Any]) -> str:
        async with streamable_http_client(f"{url}gradio_api/mcp/") as (read, write, _), session(read, write) as client:
            await client.initialize()
            answer = await client.call_tool("predict", arguments)
            assert answer.isError
            return str(answer.content[0].text)

    def said(picture: bytes, point: Any) -> str:
        image = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        return asyncio.run(ask({"image": image, "at": point}))

    check(said)
    told = asyncio.run(ask({"image": "https://example.org/coat.jpg", "at": None}))
    assert told == "Received an address: URLs are not fetched, send the picture itself."
    text = "Received a text in place of a picture; wrap the file's path in gradio_client.handle_file, or send a data URL."
    for image in ("examples/coat.jpg", "/etc/passwd", "iVBORw0KGgo", "", "ftp://example.org/coat.jpg"):
        assert asyncio.run(ask({"image": image, "at": None})) == text
