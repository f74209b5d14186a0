"""The page's endpoints, through a real server and the real client."""

import ast
import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from fashion_classifier import LABELS, Bundle, FashionClassifier, explain, find_garments, predict
from fashion_classifier.bundle import DEFAULT_MODEL
from fashion_classifier.masks import innermost
from fashion_classifier.monitoring import Journal, read_events
from page.classify import ClassifyTab
from page.endpoints import PREDICTIONS, Endpoints
from page.peers import Peers
from page.pictures import as_shown
from page.service import Answer, Service
from tests.patience import PATIENCE
from tests.tiny_bundles import change, changed, put


def service_of(bundle: Path | None = None, journal: Path | None = None, fallback: str | None = None) -> Service:
    classifier = FashionClassifier(Bundle(bundle)) if bundle else app.service.classifier
    return Service(classifier, Journal(journal) if journal else app.service.journal, fallback)


def tab_of(service: Service) -> ClassifyTab:
    with gr.Blocks():
        return ClassifyTab(service)


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    folder = str(tmp_path_factory.mktemp("downloads"))
    return Client(url, verbose=False, download_files=folder, httpx_kwargs={"timeout": PATIENCE})


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[httpx.Client]:
    """What other clients are: plain HTTP."""
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=PATIENCE) as opened:
        yield opened


def join(api: httpx.Client, endpoint: str, data: list[Any]) -> httpx.Response:
    return api.post(f"call/{endpoint}", json={"data": data})


def call(api: httpx.Client, endpoint: str, data: list[Any]) -> str:
    """The raw event stream of an endpoint."""
    event = join(api, endpoint, data).raise_for_status().json()["event_id"]
    return api.get(f"call/{endpoint}/{event}").text


def test_the_client_gets_the_librarys_answers(client: Client, example_labels: dict[Path, str]) -> None:
    for path in example_labels:
        answer = client.predict(handle_file(path), api_name="/predict")
        expected = predict(path)
        assert {key: answer[key] for key in expected.to_dict()} == expected.to_dict()
        assert answer["fallback"] is None
        assert answer["top"] == [list(pair) for pair in expected.top(3)]
        assert (answer["message"] == "Not sure: this may be none of the ten") == expected.uncertain


def test_a_point_and_all_garments(client: Client, outfit: Path) -> None:
    garments = client.predict(handle_file(outfit), api_name="/garments")
    expected = find_garments(outfit)
    assert [garment["label"] for garment in garments] == [garment.label for garment in expected]
    assert len(garments) > 1
    for garment, found in zip(garments, expected, strict=True):
        assert {key: garment[key] for key in found.to_dict()} == found.to_dict()
    column, row = innermost(expected[1].image.mask)
    answer = client.predict(handle_file(outfit), [column, row], api_name="/predict")
    assert answer["probabilities"] == predict(outfit, at=(column, row)).probabilities
    assert answer["label"] == expected[1].label != expected[0].label
    with pytest.raises(AppError, match=r"The point \(4000, 0\) lies outside the picture; the picture has 260x380 pixels"):
        client.predict(handle_file(outfit), [4000, 0], api_name="/predict")
    with pytest.raises(AppError, match=r"at takes a point \(x, y\) in pixels, received 'top'"):
        client.predict(handle_file(outfit), "top", api_name="/predict")


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16),  # 16-bit gray
        Image.fromarray(np.dstack([np.full((40, 60, 3), 90, np.uint8), np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))])),
    ],
    ids=["16-bit", "transparent"],
)
def test_no_pixel_is_changed_on_the_way(client: Client, image: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    image.save(path)
    assert client.predict(handle_file(path), api_name="/predict")["probabilities"] == predict(path).probabilities


def test_explain(client: Client) -> None:
    path = "examples/dress.jpg"
    overlay, answer = client.predict(handle_file(path), target="Coat", method="gradcam", api_name="/explain")
    expected = explain(predict(path), target="Coat", method="gradcam")
    np.testing.assert_array_equal(np.asarray(Image.open(overlay)), np.asarray(expected.overlay()))
    np.testing.assert_allclose(answer["heatmap"], expected.heatmap, atol=1e-4)
    assert (answer["target"], answer["method"], answer["empty"]) == ("Coat", "gradcam", False)


def test_methods_that_need_tensorflow_are_the_owners_choice(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AppError, match=r"^Unknown method 'scorecam'; allowed here are perturbation, gradcam\.$"):
        client.predict(handle_file("examples/dress.jpg"), method="scorecam", api_name="/explain")
    monkeypatch.setenv("FASHION_CLASSIFIER_TENSORFLOW", "1")
    assert "scorecam" in service_of().methods


def test_explain_needs_only_a_picture(client: Client) -> None:
    _, answer = client.predict(handle_file("examples/dress.jpg"), api_name="/explain")
    assert answer["target"] == answer["prediction"]["label"] == predict("examples/dress.jpg").label
    assert (answer["method"], answer["against"], answer["looks"]) == ("perturbation", None, 282)
    expected = explain(predict("examples/dress.jpg"))
    assert answer["sentence"] == expected.sentence
    assert answer["faithfulness"] == pytest.approx(vars(expected.faithfulness), abs=1e-5)


def test_explain_one_name_rather_than_another(client: Client) -> None:
    _, answer = client.predict(handle_file("examples/dress.jpg"), method="gradcam", against="Coat", api_name="/explain")
    expected = explain(predict("examples/dress.jpg"), method="gradcam", against="Coat")
    assert answer["against"] == "Coat"
    np.testing.assert_allclose(answer["heatmap"], expected.heatmap, atol=1e-4)


def test_many_pictures_of_which_some_cannot_be_read(client: Client, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear sir")
    paths = [Path("examples/coat.jpg"), tmp_path / "letter.txt", Path("examples/fashion-mnist-bag.png")]
    coat, letter, bag = client.predict([handle_file(path) for path in paths], api_name="/predict_many")
    for answer, path in ((coat, paths[0]), (bag, paths[2])):
        expected = predict(path)
        assert {key: answer[key] for key in expected.to_dict()} == expected.to_dict()
        assert (answer["file"], answer["error"]) == (path.name, None)
    assert letter.keys() == {"file", "error"}
    assert "is not an image of a known format" in letter["error"]
    with pytest.raises(AppError, match="No pictures were received; give a list of image files"):
        client.predict([], api_name="/predict_many")


def test_a_picture_through_three_networks(client: Client) -> None:
    for path in (Path("examples/coat.jpg"), Path("examples/fashion-mnist-bag.png")):
        answers = client.predict(handle_file(path), api_name="/compare")
        assert [answer["network"] for answer in answers] == ["ann", "cnn", "ours"]
        assert answers == [opinion.to_dict() for opinion in Peers(app.service).answer(path.read_bytes())[1]]
        assert {key: answers[-1][key] for key in answers[-1] if key not in ("network", "shown")}.items() <= predict(
            path
        ).to_dict().items()
    with pytest.raises(AppError, match=r"^No picture was received; give one as an image file\.$"):
        client.predict(None, api_name="/compare")


def test_the_model_tells_of_itself(client: Client) -> None:
    told = client.predict(api_name="/model_info")
    assert (told["model_version"], told["labels"]) == (Bundle(DEFAULT_MODEL).manifest.version, list(LABELS))


def test_a_real_mcp_client_gets_the_librarys_answer(url: str) -> None:
    session = pytest.importorskip("mcp").ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def ask() -> tuple[list[str], dict[str, Any]]:
        async with streamable_http_client(f"{url}gradio_api/mcp/") as (read, write, _), session(read, write) as client:
            await client.initialize()
            tools = [tool.name for tool in (await client.list_tools()).tools]
            name = next(tool for tool in tools if tool.endswith("predict"))
            answer = await client.call_tool(name, {"image": as_data_url("examples/coat.jpg")["url"], "at": None})
            return tools, ast.literal_eval(answer.content[0].text)  # Gradio writes Python

    tools, answer = asyncio.run(ask())
    assert sorted(tools) == ["compare", "explain", "garments", "model_info", "predict", "predict_many"]
    assert answer["probabilities"] == pytest.approx(predict("examples/coat.jpg").probabilities)


def test_endpoints_and_their_documentation(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert sorted(endpoints) == ["/compare", "/explain", "/garments", "/model_info", "/predict", "/predict_many"]
    returned = {name: [one["label"] for one in endpoint["returns"]] for name, endpoint in endpoints.items()}
    assert returned == {
        "/compare": ["networks"],
        "/explain": ["overlay", "explanation"],
        "/garments": ["garments"],
        "/model_info": ["model"],
        "/predict": ["answer"],
        "/predict_many": ["answers"],
    }
    assert [parameter["parameter_name"] for parameter in endpoints["/predict"]["parameters"]] == ["image", "at"]
    assert [parameter["parameter_name"] for parameter in endpoints["/explain"]["parameters"]] == [
        "image",
        "target",
        "method",
        "against",
    ]
    assert endpoints["/predict"]["description"].startswith("Name the garment in a picture.")


def test_a_file_that_is_no_picture(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear <b>sir</b>")
    with pytest.raises(AppError, match=r"^The data .*is not an image.*Accepted: JPEG, .* files\.$") as caught:
        client.predict(handle_file(path), api_name="/predict")
    assert "<b>" not in str(caught.value)
    assert "gradio" not in str(caught.value)  # nor where the server keeps uploads


def test_a_truncated_picture(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(Path("examples/coat.jpg").read_bytes()[:5000])
    with pytest.raises(AppError, match=r"^The data .*image file is truncated"):
        client.predict(handle_file(path), api_name="/explain")


def test_no_picture(client: Client) -> None:
    with pytest.raises(AppError, match=r"^No picture was received; give one as an image file\.$"):
        client.predict(None, api_name="/predict")


def test_a_bare_path(client: Client) -> None:
    with pytest.raises(
        AppError, match=r"Received a text in place of a picture; wrap the file's path in gradio_client\.handle_file"
    ):
        client.predict("examples/coat.jpg", api_name="/predict")


def test_a_target_that_is_none_of_the_ten(client: Client) -> None:
    with pytest.raises(AppError, match=r"^Unknown target 'Hat'; allowed are T-shirt/top, .*, Ankle boot\.$"):
        client.predict(handle_file("examples/coat.jpg"), target="Hat", api_name="/explain")


def test_files_of_the_server_stay_private(api: httpx.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("L", (28, 28)).save(secret)
    stream = call(api, "predict", [{"path": str(secret), "meta": {"_type": "gradio.FileData"}}])
    assert "event: error" in stream
    assert not any(label in stream for label in LABELS)


@pytest.mark.parametrize("meta", [{}, {"meta": {}}, {"meta": {"_type": "other"}}], ids=str)
@pytest.mark.parametrize("endpoint", ["predict", "explain"])
def test_a_path_that_does_not_say_that_it_is_an_upload_is_not_read(
    api: httpx.Client, endpoint: str, meta: dict[str, Any], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    more = ["Coat", "gradcam"] if endpoint == "explain" else []
    stream = call(api, endpoint, [{"path": str(secret)} | meta, *more])
    assert "Received a path that was not uploaded" in stream
    assert "a secret" not in stream


def test_an_upload_that_is_gone(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.jpg", tmp_path, "a\0b"):
        with pytest.raises(gr.Error) as caught:
            Endpoints(app.service).predict({"path": str(path)})
        assert caught.value.message == "The picture is no longer on the server; upload it again."


def as_data_url(path: str) -> dict[str, Any]:
    url = f"data:image/*;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
    return {"path": None, "url": url, "meta": {"_type": "gradio.FileData"}}


def test_a_data_url(api: httpx.Client) -> None:
    stream = call(api, "predict", [as_data_url("examples/fashion-mnist-bag.png")])
    assert "event: complete" in stream
    (answer,) = json.loads(stream.partition("data: ")[2])
    assert answer["label"] == predict("examples/fashion-mnist-bag.png").label


def test_a_model_that_cannot_be_had_is_replaced_and_named() -> None:
    reason = "owner/name@v9: the Hub cannot be reached."
    service = service_of(fallback=reason)
    answer = Endpoints(service).predict({"path": "examples/coat.jpg"})
    assert answer["fallback"] == reason
    assert answer["model_commit"] is None
    tab = tab_of(service)
    assert f"The embedded model answers: {reason}" in tab.show_prediction({"path": "examples/coat.jpg"})[tab.version]


def page_of(bundle: Path) -> tuple[list[str], dict[str, dict[str, Any]], set[str]]:
    """The page on a bundle: the names of its tabs, its components by id and type, and its public endpoints."""
    config = app.build(service_of(bundle)).get_config_file()
    components = config["components"]
    tabs = [component["props"]["label"] for component in components if component["type"] == "tabitem"]
    named = {component["props"].get("elem_id") or component["type"]: component["props"] for component in components}
    public = {call["api_name"] for call in config["dependencies"] if call["api_visibility"] == "public"}
    return tabs, named, public


def test_the_page_on_the_shipped_model(tmp_path: Path) -> None:
    copy = changed(DEFAULT_MODEL, tmp_path / "copy", version="9.9.9")  # the same networks from elsewhere
    for bundle in (DEFAULT_MODEL, copy):
        tabs, named, public = page_of(bundle)
        assert tabs == ["Classify", "Live", "Many", "Compare", "Monitoring", "About"]
        assert len(named["dataset"]["samples"]) == 12
        assert "another model" not in named["introduction"]["value"]
        assert public == {"predict", "predict_many", "garments", "explain", "compare", "model_info"}


def test_the_page_on_a_model_for_thumbnails_without_maps(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    bundle = changed(tiny_bundles["thumbnail"], tmp_path / "bundle", experts__thumbnail__members__0__explanation_layer=None)
    tabs, named, public = page_of(bundle)
    # neither the shipped networks' comparison nor figures that nobody measured
    assert tabs == ["Classify", "Live", "Many", "Monitoring", "About"]
    assert [Path(sample[0]["path"]).name for sample in named["dataset"]["samples"]] == [
        "fashion-mnist-bag.png",
        "fashion-mnist-sandal.png",
    ]
    text = named["introduction"]["value"]
    assert "version 1.0.0 of another model than the one that comes with the page" in text
    assert "Thumbnails: 7 images of Fashion-MNIST. **This model has no network for photos**" in text
    assert "phone photo" not in text
    assert public == {"predict", "predict_many", "garments", "explain", "model_info"}
    tab = tab_of(service_of(bundle))
    pictures = ("coat.jpg", "fashion-mnist-bag.png")
    told = [tab.show_prediction({"path": f"examples/{name}"})[tab.verdict] for name in pictures]
    assert ["**This model has no network for photos**: what it" in text for text in told] == [True, False]
    change(bundle, metrics={"fashion-mnist test": {"n": 10_000, "accuracy": 0.8895}, "photos": {"validation": [1]}})
    tabs, named, _ = page_of(bundle)
    assert tabs == ["Classify", "Live", "Many", "Figures", "Monitoring", "About"]
    assert named["figures"]["value"].splitlines()[2:] == ["| Fashion-MNIST's test images | 10,000 | 88.95% |"]


def test_the_page_on_a_model_for_photos(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    bundle = changed(tiny_bundles["one look"], tmp_path / "bundle")
    validation = {"phone <b>photos</b>": {"n": 423, "accuracy": 0.9196}, "lies": {"n": 10, "accuracy": 1.5}}
    change(bundle, metrics={"photos": {"validation": validation}})
    record = {"data": {"phone": 3075, "own <i>": 12, "own": 0, "shop": "many"}}
    put(bundle, "training.json", json.dumps({"networks": {"photo.tflite": "a"}, "runs": {"a": record}}).encode())
    tabs, named, public = page_of(bundle)
    assert tabs == ["Classify", "Live", "Many", "Figures", "Monitoring", "About"]
    assert len(named["dataset"]["samples"]) == 12
    assert "Thumbnails: nothing is recorded. Photos: phone 3,075, own &lt;i&gt; 12." in named["introduction"]["value"]
    (row,) = named["figures"]["value"].splitlines()[2:]
    assert row == "| phone &lt;b&gt;photos&lt;/b&gt;, of the validation split that calibrated it | 423 | 91.96% |"
    assert public == {"predict", "predict_many", "garments", "explain", "model_info"}
    for history in (b"[]", b"{", b'{"networks": {"photo.tflite": "a"}, "runs": {"a": {"data": [1]}}}'):
        put(bundle, "training.json", history)
        assert "Photos: nothing is recorded." in page_of(bundle)[1]["introduction"]["value"]


def test_other_payloads(api: httpx.Client) -> None:
    assert "Received int in place of a picture" in call(api, "predict", [5])
    stream = call(api, "predict", [{"path": None, "url": "data:image/png;base64,é", "meta": {"_type": "gradio.FileData"}}])
    assert "Received a data URL that is not valid base64." in stream


def test_a_journal_that_cannot_be_written_stops_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    service = service_of(journal=tmp_path / "file")
    tab, image = tab_of(service), {"path": "examples/coat.jpg"}
    assert Endpoints(service).predict(image)["label"] == predict("examples/coat.jpg").label
    answered = tab.show_prediction(image)[tab.answered]
    assert answered == ("examples/coat.jpg", "", None)
    with pytest.raises(gr.Error, match="The correction could not be noted"):
        tab.send_correction(image, answered, "Coat", False)
    with pytest.raises(gr.Error, match="Choose a picture and its right name first"):
        tab.send_correction(image, None, "Coat", False)


def test_a_correction_belongs_to_the_picture_that_was_answered(tmp_path: Path) -> None:
    tab = tab_of(service_of(journal=tmp_path))
    answered = tab.show_prediction({"path": "examples/coat.jpg"})[tab.answered]
    with pytest.raises(gr.Error, match="This picture's answer is still on its way"):
        tab.send_correction({"path": "examples/dress.jpg"}, answered, "Coat", True)
    assert tab.send_correction({"path": "examples/coat.jpg"}, answered, "Dress", False).startswith("Thank you")
    prediction, correction = read_events(tmp_path)
    assert (prediction["id"], prediction["label"]) == (correction["id"], correction["answer"]) == (answered[1], "Coat")


@pytest.mark.parametrize(
    ("file_format", "shown"), [("JPEG", True), ("PNG", True), ("WEBP", True), ("GIF", True), ("TIFF", False), ("PPM", False)]
)
def test_what_browsers_do_not_show_is_told_by_content(file_format: str, shown: bool, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.jpg", file_format)
    tab, payload = tab_of(app.service), {"path": str(tmp_path / "picture.jpg")}
    picture = as_shown(app.service, payload)
    if shown:
        assert not isinstance(picture, Image.Image)
    else:
        np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert tab.show_prediction(payload)[tab.verdict].startswith("## ") == shown


def test_a_full_queue_refuses(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, predicted = threading.Event(), predict("examples/dress.jpg")

    def slow(picture: Any, meant: Any) -> Answer:
        assert go_on.wait(PATIENCE)
        return Answer(predicted, "", 0.1)

    monkeypatch.setattr(app.service, "answer", slow)
    monkeypatch.setattr("page.guard.WAITING_EACH", 1000)  # as if they were of several visitors
    picture = as_data_url("examples/fashion-mnist-bag.png")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: join(api, "predict", [picture]), range(2 * app.MAX_WAITING)))
        go_on.set()
        accepted = [answer.json()["event_id"] for answer in answers if answer.status_code == 200]
        streams = list(pool.map(lambda event: api.get(f"call/predict/{event}").text, accepted))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert app.MAX_WAITING <= len(accepted) <= app.MAX_WAITING + PREDICTIONS["concurrency_limit"]
    assert {answer.status_code for answer in refused} == {503}
    assert answers[-1] in refused
    assert "Queue is full. Max size is 100" in answers[-1].text
    assert all("event: complete" in stream and '"label": "Dress"' in stream for stream in streams)


@pytest.mark.parametrize("route", ["run", "api"])
def test_nothing_passes_the_queue_by(api: httpx.Client, route: str) -> None:
    for endpoint in ("predict", "explain", "show_prediction"):
        answer = api.post(f"{route}/{endpoint}", json={"data": [None]})
        assert (answer.status_code, "label" in answer.text) == (404, False)
    assert "Please join the queue" in api.post(f"{route}/predict", json={"data": [None]}).text
