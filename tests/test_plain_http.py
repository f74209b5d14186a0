"""Plain HTTP beside the page, on the running server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import httpx
import pytest

import app
from fashion_classifier import find_garments, predict
from page.plain_http import MAX_BYTES, WAITING_EACH
from page.service import Answer
from tests.patience import PATIENCE, eventually

BAG = Path("examples/fashion-mnist-bag.png").read_bytes()


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=PATIENCE, limits=httpx.Limits(max_connections=None)) as opened:
        yield opened


def test_a_body_and_a_form_get_the_librarys_answer(http: httpx.Client, example_labels: dict[Path, str]) -> None:
    for path in example_labels:
        expected = predict(path)
        for request in ({"content": path.read_bytes()}, {"files": {"image": path.read_bytes()}}):
            answer = http.post("v1/predict", **request).raise_for_status().json()
            assert {key: answer[key] for key in expected.to_dict()} == expected.to_dict()


def test_a_point_and_all_garments(http: httpx.Client, outfit: Path) -> None:
    data, expected = outfit.read_bytes(), predict(outfit, at=(130, 300))
    answer = http.post("v1/predict", content=data, params={"at": "130,300"}).json()
    assert answer["probabilities"] == expected.probabilities
    found = http.post("v1/garments", content=data).json()
    assert [garment["label"] for garment in found] == [garment.label for garment in find_garments(outfit)]


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"content": b""}, 400, "The data is empty (0 bytes). Accepted: JPEG, PNG, "),
        ({"content": b"hello"}, 400, "The data (5 bytes) is not an image of a known format"),
        ({"content": BAG[:200]}, 400, "is truncated, damaged or unsupported"),
        ({"content": b"https://example.org/coat.jpg"}, 400, "is an address: URLs are not fetched, send the picture itself"),
        ({"content": b"iVBORw0KGgoAAAANSUhEUg=="}, 400, "is in base64: pass base64.b64decode(data)"),
        ({"content": b"data:image/png;base64,AAAA"}, 400, "is a data URL"),
        ({"content": BAG, "params": {"at": "top"}}, 400, "at takes a point x,y in pixels, received 'top'."),
        ({"content": BAG, "params": {"at": "nan,1"}}, 400, "at takes a point (x, y) of finite numbers, received"),
        (
            {"content": BAG, "params": {"at": "900,1"}},
            400,
            "The point (900, 1) lies outside the picture; the picture has 28x28",
        ),
        ({"files": {"image": b""}}, 400, "The data is empty (0 bytes)"),
        ({"data": {"image": "x"}, "files": {}}, 400, "The data (7 bytes) is not an image"),
        ({"files": [("text", (None, "x"))]}, 400, "The form holds no file; send the picture as a file"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "Missing boundary in multipart"),
        ({"content": b"x" * (MAX_BYTES + 1)}, 413, f"The request has more than {MAX_BYTES:,} bytes, too many for a picture."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_taken_is_said_in_a_sentence(
    http: httpx.Client, request_: dict[str, Any], status: int, sentence: str
) -> None:
    answer = http.post("v1/predict", **request_)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert answer.json().keys() == {"error"}


def test_other_methods_and_routes(http: httpx.Client) -> None:
    assert http.get("v1/predict").status_code == 405
    assert http.get("v1/nothing").json() == {"error": "Not Found"}


def test_the_model_its_health_and_the_description_of_the_interface(http: httpx.Client) -> None:
    version = predict("examples/coat.jpg").model_version
    assert http.get("health").json() == {"status": "ok", "model_version": version, "fallback": None}
    model = http.get("v1/model").json()
    assert (model["model_version"], model["model_commit"], len(model["labels"])) == (version, None, 10)
    described = http.get("v1/openapi.json").json()
    assert described["paths"].keys() == {"/predict", "/garments", "/model"}
    operation = described["paths"]["/predict"]["post"]
    assert operation["requestBody"]["content"].keys() == {"image/*", "multipart/form-data"}
    assert operation["responses"].keys() >= {"200", "400", "413", "503"}
    fields = described["components"]["schemas"]["Named"]["properties"]
    assert fields.keys() == http.post("v1/predict", content=BAG).json().keys()
    assert http.get("v1/docs").is_success


def test_a_full_queue_says_so_at_once(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, answer = threading.Event(), Answer(predict(BAG), "", 0.1)

    def slow(picture: bytes, meant: Any) -> Answer:
        assert go_on.wait(PATIENCE)
        return answer

    monkeypatch.setattr(app.service, "answer", slow)
    with ThreadPoolExecutor(WAITING_EACH + 5) as pool:
        asked = [pool.submit(http.post, "v1/predict", content=BAG) for _ in range(WAITING_EACH + 5)]
        eventually(lambda: sum(one.done() for one in asked) == 5)
        refused = next(as_completed(asked)).result()
        go_on.set()
        answers = [one.result() for one in asked]
    assert refused.headers["Retry-After"] == "5"
    assert refused.json()["error"] == f"{WAITING_EACH} requests of yours are waiting already; try again when they are answered."
    assert sorted(one.status_code for one in answers) == [200] * WAITING_EACH + [503] * 5


def test_every_answer_has_headers_that_keep_browsers_careful(http: httpx.Client) -> None:
    for path in ("", "config", "v1/model", "v1/nothing", "gradio_api/process_recording"):
        headers = http.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'self' https://huggingface.co" in headers["Content-Security-Policy"]
