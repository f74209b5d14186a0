"""Attacks, played on the running page; meanwhile and afterwards another visitor predicts."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

import app
from benchmarks.traffic import RefusedError, Session
from fashion_classifier import explain, predict
from fashion_classifier.monitoring import Journal, read_events
from page import uploads
from page.classify import ClassifyTab
from page.guard import LARGE_EACH, WAITING_EACH
from page.service import EXPLANATIONS_EACH, Service
from tests.patience import PATIENCE, eventually

DRESS = Path("examples/dress.jpg").read_bytes()


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=PATIENCE) as opened:
        yield opened


@pytest.fixture
def others(http: httpx.Client) -> Iterator[None]:
    """Another visitor, who predicts again and again while a test runs, and once more after it."""
    done, labels = threading.Event(), []

    def visit() -> None:
        while not done.wait(0.05):
            labels.append(http.post("v1/predict", content=DRESS).json().get("label"))

    visitor = threading.Thread(target=visit)
    visitor.start()
    yield
    done.set()
    visitor.join()
    labels.append(http.post("v1/predict", content=DRESS).json()["label"])
    assert set(labels) == {"Dress"}


@pytest.fixture
def folder() -> Path:
    return app.uploads.folder


def upload(http: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return http.post("gradio_api/upload", files={"files": (name, content)})


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("others")
def test_uploads_that_break_off_do_not_stay(
    http: httpx.Client, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, address = files(folder), httpx.URL(url)
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nContent-Length: 40000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    )
    for _ in range(5):
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(head.encode() + b"x" * 200_000)
    two = [("files", ("good.png", DRESS)), ("files", ("..", b"x"))]
    assert http.post("gradio_api/upload", files=two).status_code == 400  # the good one stays behind, too
    eventually(lambda: len(files(folder) - before) >= 5)
    monkeypatch.setattr(uploads, "AGE", -1)
    app.uploads.sweep()
    assert files(folder) == files(folder) & set(app.own_files)  # the page's own are not swept
    assert len(files(folder)) >= 12


@pytest.mark.usefixtures("others")
def test_a_flood_of_uploads_stays_within_the_quota(http: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"QUOTA": 4_000_000, "LEFT": 3_000_000, "SHARE": 6_000_000}.items():
        monkeypatch.setattr(uploads, name, value)
    monkeypatch.setattr(app.uploads, "_received", app.uploads._received.__class__())
    answers = []
    for number in range(20):
        answers.append(upload(http, f"{number}.png", bytes([number]) * 500_000))
        assert size(folder) < 5_000_000  # what is arriving comes on top
    assert [answer.status_code for answer in answers] == [200] * 11 + [503] * 9
    assert "You have uploaded 6,000,000 bytes within an hour" in answers[-1].json()["error"]
    assert 5 < int(answers[-1].headers["Retry-After"]) <= 3600


CALLS = ["queue/join", "call/predict", "call/v2/predict", "run/predict", "api/predict", "cancel", "reset", "mcp/"]


@pytest.fixture
def connection(url: str) -> Iterator[HTTPConnection]:
    """For bodies that never end."""
    address = httpx.URL(url)
    opened = HTTPConnection(address.host, address.port, timeout=PATIENCE)
    yield opened
    opened.close()


def answered(connection: HTTPConnection) -> tuple[int, dict[str, Any]]:
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("route", CALLS)
def test_a_call_that_declares_too_much_is_refused_unread(connection: HTTPConnection, route: str) -> None:
    connection.putrequest("POST", f"/gradio_api/{route}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "300000000")
    connection.endheaders()
    told = "Received a call of 300,000,000 bytes or more; at most 25,000,000 are taken, upload files instead."
    assert answered(connection) == (413, {"error": told})


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("route", CALLS)
def test_a_call_that_goes_on_and_on_is_refused(connection: HTTPConnection, route: str) -> None:
    connection.putrequest("POST", f"/gradio_api/{route}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(26):  # and no end of it
        connection.send(b"f4240\r\n" + b"a" * 1_000_000 + b"\r\n")
    status, answer = answered(connection)
    assert status == 413
    told = r"Received a call of ([\d,]+) bytes or more; at most 25,000,000 are taken, upload files instead\."
    match = re.fullmatch(told, answer["error"])
    assert match is not None
    assert 25_000_000 < int(match[1].replace(",", "")) <= 26_000_000


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("value", ["[]", "{}", "1", "[[[[]]]]"])
def test_a_call_of_very_many_values_is_refused(http: httpx.Client, value: str) -> None:
    """Each takes far more memory than text, and time while everybody waits."""
    body = '{"data": [' + ",".join([value] * 2_000_000) + "]}"
    answer = http.post("gradio_api/call/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert re.fullmatch(r"Received a call of \d{3},\d{3} values or more; at most 100,000 are taken\.", answer.json()["error"])


@pytest.mark.usefixtures("others")
def test_few_large_calls_of_one_visitor_arrive_at_once(http: httpx.Client, url: str) -> None:
    address = httpx.URL(url)
    slow = [HTTPConnection(address.host, address.port, timeout=PATIENCE) for _ in range(LARGE_EACH)]
    for connection in slow:
        connection.request("POST", "/gradio_api/call/predict", headers={"Content-Length": "2000000"})

    def ask(size: int) -> httpx.Response:
        return http.post("gradio_api/call/predict", json={"data": [{"path": None, "url": "data:," + "A" * size}, None]})

    eventually(lambda: ask(1_100_000).status_code == 503)
    told = f"{LARGE_EACH} large calls of yours are waiting already; try again when they are answered."
    answer = ask(1_100_000)
    assert (answer.json(), answer.headers["Retry-After"]) == ({"error": told}, "5")
    assert ask(1_000_000).status_code == 200
    for connection in slow:
        connection.close()
    eventually(lambda: ask(1_100_000).status_code == 200)


def test_a_large_picture_as_text_is_told_why_not(http: httpx.Client) -> None:
    picture = {"path": None, "url": "data:image/png;base64," + "A" * 20_000_000}
    event = http.post("gradio_api/call/predict", json={"data": [picture, None]}).raise_for_status().json()["event_id"]
    told = "Received a data URL of 20,000,022 characters; at most 20,000,000 are taken, upload a file instead."
    assert told in http.get(f"gradio_api/call/predict/{event}").text


@pytest.mark.parametrize("name", ["", "..", "../a.png", "a\0.png"], ids=repr)
def test_file_names_are_no_accident_of_the_server(http: httpx.Client, name: str) -> None:
    content = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\nx\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert http.post("gradio_api/upload", content=content.encode(), headers=headers).status_code < 500


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("POST", "process_recording"),
        ("POST", "vibe-edit"),
        ("GET", "vibe-code"),
        ("GET", "proxy=https://example.hf.space/"),
        ("GET", "runs"),
        ("GET", "dev/reload"),
        ("POST", "stream/a"),
        ("GET", "custom_component/a/b/c/d"),
        ("GET", "profiling/summary"),
    ],
)
def test_what_the_page_does_not_use_is_closed(http: httpx.Client, method: str, route: str, folder: Path) -> None:
    before = files(folder)
    answer = http.request(method, f"gradio_api/{route}", files={"file": ("a.webm", DRESS)} if method == "POST" else None)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found."})
    assert files(folder) == before


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """An address, and the connections that it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[Any] = []

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.close()
                connections.append(connection)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.png", connections
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.usefixtures("others")
def test_no_address_is_fetched(http: httpx.Client, listener: tuple[str, list[Any]]) -> None:
    address, connections = listener
    for escaped in (address, address.replace(":", "%3A"), address.replace("http", "HTTP")):
        assert http.get(f"gradio_api/file={escaped}").status_code == 404
    for payload in ({"path": address}, {"url": address}, {"path": None, "url": address}, {"path": address, "url": address}):
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
            joined = http.post("gradio_api/call/predict", json={"data": [payload | meta, None]}).json()
            assert "event: error" in http.get(f"gradio_api/call/predict/{joined['event_id']}").text
    assert connections == []


@pytest.mark.parametrize("endpoint", ["predict", "predict_many", "show_new"])
def test_no_address_of_the_world_is_fetched(http: httpx.Client, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio itself would, and refuses those of private networks alone."""
    fetched: list[str] = []
    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", lambda url, _: fetched.append(url))
    file = {"path": "https://example.org/coat.jpg", "meta": {"_type": "gradio.FileData"}}
    session = Session(http, f"address-{endpoint}")
    with pytest.raises(RefusedError, match="Received an address: URLs are not fetched, send the picture itself"):
        session.call(endpoint, [[file] if endpoint == "predict_many" else file])
    assert fetched == []


def test_no_file_of_the_server_is_readable(http: httpx.Client) -> None:
    for path in ("app.py", "page/service.py", "journal", "fashion_classifier/default_model/manifest.json", "../README.md"):
        for given in (path, Path(path).absolute()):
            assert http.get(f"gradio_api/file={given}").status_code in (403, 404)
    for path in ("/proc/self/environ", "/etc/passwd", "%2Fetc%2Fpasswd", "..%2f..%2fapp.py"):
        assert http.get(f"gradio_api/file={path}").status_code in (403, 404)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("call/nothing", {"data": []}),
        ("call/v2/nothing", {}),
        ("run/nothing", {"data": []}),
        ("queue/join", {"data": [], "fn_index": 999, "session_hash": "a"}),
    ],
)
def test_an_unknown_function_is_not_found(http: httpx.Client, route: str, body: dict[str, Any]) -> None:
    answer = http.post(f"gradio_api/{route}", json=body)
    assert (answer.status_code, answer.json()) == (404, {"error": "There is no such endpoint."})


def test_addresses_come_from_no_visitor(http: httpx.Client) -> None:
    for headers in ({"X-Forwarded-Host": "evil.example"}, {"X-Gradio-Server": "http://evil.example"}):
        answer = http.get("config", headers=headers)
        assert answer.is_success
        assert "evil" not in answer.text
    answer = http.get("config", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Unknown host 'evil.example'; name it in the variable FASHION_CLASSIFIER_HOSTS")


@pytest.mark.usefixtures("others")
def test_explanations_of_one_visitor_are_few_at_once(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, explained = threading.Event(), explain(predict(DRESS))

    def slow(*args: Any, **options: Any) -> Any:
        assert go_on.wait(PATIENCE)
        return explained

    monkeypatch.setattr("page.service.explain", slow)
    (path,) = upload(http, "dress.jpg", DRESS).json()
    picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
    events = []
    for target in ("Bag", "Coat") * 10:
        joined = http.post("gradio_api/call/explain", json={"data": [picture, target, "perturbation"]})
        events.append(joined.raise_for_status().json()["event_id"])
    assert http.post("v1/predict", content=DRESS).json()["label"] == "Dress"
    named = http.post("gradio_api/call/predict", json={"data": [picture]}).json()["event_id"]
    assert '"label": "Dress"' in http.get(f"gradio_api/call/predict/{named}").text
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(http.get, f"gradio_api/call/explain/{event}") for event in events]
        eventually(lambda: sum(answer.done() for answer in answers) == 20 - EXPLANATIONS_EACH)
        go_on.set()
        streams = [answer.result().text for answer in answers]
    assert sum("event: complete" in stream for stream in streams) == EXPLANATIONS_EACH
    assert sum("3 explanations of yours are waiting already" in stream for stream in streams) == 20 - EXPLANATIONS_EACH


@pytest.mark.usefixtures("others")
def test_one_visitor_does_not_fill_the_queue(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, (path,) = threading.Event(), upload(http, "dress.jpg", DRESS).json()
    many = {"data": [[{"path": path, "meta": {"_type": "gradio.FileData"}}]]}

    def slow(picture: Any) -> Any:
        assert go_on.wait(PATIENCE)
        raise gr.Error("no picture")

    monkeypatch.setattr("page.endpoints.read", slow)
    answers = [http.post("gradio_api/call/predict_many", json=many) for _ in range(WAITING_EACH + 10)]
    accepted = [answer for answer in answers if answer.is_success]
    assert WAITING_EACH <= len(accepted) <= WAITING_EACH + 2  # those that run do not wait
    assert {answer.status_code for answer in answers if not answer.is_success} == {503}
    assert answers[-1].json()["error"].startswith(f"{WAITING_EACH} calls of yours are waiting already")
    assert answers[-1].headers["Retry-After"] == "5"
    go_on.set()
    for answer in accepted:
        assert "event: complete" in http.get(f"gradio_api/call/predict_many/{answer.json()['event_id']}").text


@pytest.fixture
def tab(tmp_path: Path) -> ClassifyTab:
    with gr.Blocks():
        return ClassifyTab(Service(app.service.classifier, Journal(tmp_path)))


IMAGE = {"path": "examples/fashion-mnist-bag.png"}


def test_an_answer_is_corrected_once(tab: ClassifyTab, tmp_path: Path) -> None:
    answered = tab.show_prediction(IMAGE)[tab.answered]
    tab.send_correction(IMAGE, answered, "Coat", True)
    for label in ("Coat", "Dress"):
        with pytest.raises(gr.Error, match="This answer was corrected already"):
            tab.send_correction(IMAGE, answered, label, True)
    assert len(list((tmp_path / "pictures").iterdir())) == 1
    tab.send_correction(IMAGE, answered, "Coat", False)  # consent may be taken back
    with pytest.raises(gr.Error, match="This answer was corrected already"):
        tab.send_correction(IMAGE, answered, "Coat", False)
    assert list((tmp_path / "pictures").iterdir()) == []
    assert [event["event"] for event in read_events(tmp_path)] == ["prediction", "correction", "correction"]


@pytest.mark.parametrize("keep", ["false", "true", 1, None, []], ids=repr)
def test_consent_is_a_yes_and_nothing_else(tab: ClassifyTab, tmp_path: Path, keep: Any) -> None:
    answered = tab.show_prediction(IMAGE)[tab.answered]
    with pytest.raises(gr.Error, match="Whether to keep the picture is true or false, received"):
        tab.send_correction(IMAGE, answered, "Coat", keep)
    assert [event["event"] for event in read_events(tmp_path)] == ["prediction"]


def test_a_full_folder_of_pictures_keeps_no_more(tab: ClassifyTab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fashion_classifier.monitoring.MAX_PICTURES", 0)
    answered = tab.show_prediction(IMAGE)[tab.answered]
    thanks = tab.send_correction(IMAGE, answered, "Coat", True)
    assert thanks == "Thank you, noted without your picture: there is no room for more pictures."


def test_a_list_of_what_is_no_file(http: httpx.Client) -> None:
    for data in (["/etc/passwd"], [[5]], [[{"path": "/etc/passwd"}]], [[{"url": "data:,"}]]):
        event = http.post("gradio_api/call/predict_many", json={"data": data}).json()["event_id"]
        told = http.get(f"gradio_api/call/predict_many/{event}").text
        assert "Received a" in told
        assert "gradio_client.handle_file" in told


def test_errors_name_no_folder_of_the_server(http: httpx.Client, tmp_path: Path) -> None:
    broken = Service(app.service.classifier, Journal(tmp_path), f"{tmp_path}/model is broken.")
    assert broken.fallback == "model is broken."
    for data in (
        [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, None],
        [{"a": 1}, None],
        ["/etc/passwd", None],
    ):
        event = http.post("gradio_api/call/predict", json={"data": data}).json()["event_id"]
        told = http.get(f"gradio_api/call/predict/{event}").text
        assert "event: error" in told
        assert "Received " in told
        assert "gradio_client.handle_file" in told
        assert str(Path.cwd()) not in told
        assert str(app.uploads.folder) not in told
        assert "pydantic" not in told.lower()
