"""The small networks beside the report: what they say, and how their figures are drawn."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from scipy.special import softmax

import app
from fashion_classifier import LABELS, ModelIntegrityError, predict
from page import plots
from page.comparison import lesson
from page.peers import OURS, PHOTO, REPORT, THUMBNAIL, Opinion, Peers
from train.pictures.fashion_mnist import Pictures

BAG, SHIRT = Path("examples/fashion-mnist-bag.png"), Path("examples/shirt.jpg")


@pytest.fixture(scope="module")
def peers() -> Peers:
    return Peers(app.service)


@pytest.fixture(scope="module")
def report(peers: Peers) -> dict[str, Any]:
    return peers.report


@pytest.mark.parametrize("path", [BAG, SHIRT], ids=["thumbnail", "photo"])
def test_each_network_is_asked_about_what_it_knows(peers: Peers, path: Path) -> None:
    prediction, opinions = peers.answer(path.read_bytes())
    expected = predict(path)
    assert [opinion.network for opinion in opinions] == ["ann", "cnn", OURS]
    assert [opinion.shown for opinion in opinions] == [THUMBNAIL, THUMBNAIL, PHOTO if path == SHIRT else THUMBNAIL]
    assert (opinions[-1].probabilities, opinions[-1].label) == (expected.probabilities, expected.label)
    assert prediction.probabilities == expected.probabilities
    for opinion in opinions[:-1]:  # by LiteRT itself, a softmax at the temperature, and what is spread evenly taken off
        kept = next(network["kept"] for network in peers.report["networks"] if network["name"] == opinion.network)
        interpreter = Interpreter(str(REPORT / kept["file"]))
        interpreter.allocate_tensors()
        pixels = expected.image.pixels[np.newaxis, ..., np.newaxis].astype(np.float32) / 255
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
        interpreter.invoke()
        logits = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].astype(np.float64)
        spread = softmax(logits / kept["expert"]["temperature"])
        meant = np.maximum(spread - kept["expert"]["smoothing"] / 10, 0.02 * spread)
        assert list(opinion.probabilities.values()) == pytest.approx((meant / meant.sum()).tolist(), abs=1e-6)
        assert list(opinion.probabilities) == list(LABELS)
        assert opinion.label == LABELS[int(logits.argmax())]
        assert opinion.confidence == max(opinion.probabilities.values())


def test_they_are_the_networks_that_the_report_measured(peers: Peers, thumbnails: Pictures) -> None:
    """Of 200 test images as many are named right as the report's figures of 10,000 let expect, three deviations allowed."""
    images = [predict(image).image for image in thumbnails.images]
    for peer, network in zip(peers._peers, peers.report["networks"], strict=False):
        right = sum(peer.answer(image).label == label for image, label in zip(images, thumbnails.groups, strict=True))
        share = network["evaluation"]["accuracy"]
        assert abs(right - 200 * share) < 3 * (200 * share * (1 - share)) ** 0.5


def test_a_network_that_is_not_the_reports_is_refused(tmp_path: Path) -> None:
    for name in ("comparison.json", "ann.tflite", "cnn.tflite"):
        shutil.copy(REPORT / name, tmp_path)
    content = bytearray((tmp_path / "cnn.tflite").read_bytes())
    content[-1] ^= 1
    (tmp_path / "cnn.tflite").write_bytes(content)
    with pytest.raises(ModelIntegrityError, match=r"cnn\.tflite has the checksum .*: it was changed"):
        Peers(app.service, tmp_path)


def opinion(label: str, shown: str = THUMBNAIL, *, uncertain: bool = False) -> Opinion:
    return Opinion("ann", shown, dict.fromkeys(LABELS, 0.0) | {label: 1.0}, 0.5, uncertain, "1.0.0")


@pytest.mark.parametrize(
    ("opinions", "told"),
    [
        ([opinion("Coat")] * 3, "**All three say Coat.** How often"),
        ([opinion("Coat"), opinion("Shirt"), opinion("Coat")], "**They disagree.** Who is right, you can see. How often"),
        ([opinion("Coat"), opinion("Coat", uncertain=True), opinion("Coat")], "**They disagree.**"),
        ([opinion("Coat", uncertain=True)] * 3, "**All three are not sure**"),
        (
            [opinion("Coat"), opinion("Coat"), opinion("Coat", PHOTO)],
            "**All three say Coat.** The two small networks have learnt",
        ),
    ],
)
def test_the_lesson_is_of_this_picture(opinions: list[Opinion], told: str) -> None:
    assert lesson(opinions).startswith(told)


def network(confusion: list[list[int]], name: str = "ann", history: tuple[float, ...] = ()) -> dict[str, Any]:
    n, right = sum(map(sum, confusion)), sum(row[i] for i, row in enumerate(confusion))
    return {
        "name": name,
        "parameters": 1234,
        "evaluation": {"n": n, "accuracy": right / n, "interval": [0.85, 0.95], "confusion": confusion},
        "history": [{"val_fashion_mnist_accuracy": value} for value in history],
    }


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - our own


def test_a_matrix_by_hand() -> None:
    confusion = np.diag([20] * 10)
    confusion[6, 0], confusion[6, 6], confusion[0, 6] = 9, 11, 1  # shirts named T-shirt/top, and one the other way round
    drawn = plots.matrix(network(confusion.tolist()))
    picture = parsed(drawn)
    titles = [group.findtext("title") for group in picture.findall("g")]
    assert len(titles) == 12  # ten right, two wrong
    assert "Shirt named T-shirt/top: 9 of 20" in titles
    numbers = [f"{text.text}" for group in picture.findall("g") for text in group.findall("text")]
    assert sorted(numbers) == sorted(["20"] * 9 + ["11", "9"])  # the single one is inked, and has no number
    wrong = [rect.get("fill-opacity") for group in picture.findall("g") for rect in group.findall("rect[@class='wrong']")]
    assert wrong == ["0.15", "0.45"]  # 0.45 times the square root of a ninth, and of one
    assert picture.get("aria-label") == (
        "Confusion matrix, the dense network: named right are 100.0% of the class Trouser and 55.0% of Shirt; the most "
        "frequent error is Shirt named T-shirt/top, 9 times"
    )


def test_bars_by_hand() -> None:
    confusion = np.diag([9] * 10)
    confusion[6, 0], confusion[2, 4] = 8, 2
    other = np.diag([9] * 10)
    other[0, 6] = 4
    networks = [network(confusion.tolist()), network(other.tolist(), "mine <b>")]
    drawn = plots.confusions(networks)
    assert re.findall(r"<h4>(.*?)</h4>", drawn)[:2] == ["T-shirt/top and Shirt", "Pullover and Coat"]
    assert re.findall(r'width:([\d.]+)%.*?class="share">(\d+)<', drawn)[:4] == [
        ("100.0", "8"),
        ("50.0", "4"),
        ("25.0", "2"),
        ("0.0", "0"),
    ]
    assert "mine &lt;b&gt;" in drawn
    assert "<b>" not in drawn
    # 90 of 100 and 90 of 94: (0.9 - 0.8) / 0.2
    assert re.findall(r"width:([\d.]+)%", plots.accuracies(networks)) == ["50.0", "78.7"]


def test_curves_begin_and_end_where_the_histories_do() -> None:
    confusion = np.diag([1] * 10).tolist()
    histories: dict[str, tuple[float, ...]] = {"ann": (0.85, 0.9), "cnn": (0.8, 0.85, 0.95), "resnet": ()}
    networks = [network(confusion, name, history) for name, history in histories.items()]
    picture = parsed(plots.curves(networks))
    lines = [
        [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
        for line in picture.findall("polyline")
    ]
    # from 34 to 312 across, from 8 (100%) to 166 (80%) down
    assert lines == [
        [(34.0, 126.5), (173.0, 87.0)],
        [(34.0, 166.0), (173.0, 126.5), (312.0, 47.5)],
    ]
    assert (picture.get("aria-label") or "").endswith(": Dense 85.0% to 90.0%; Convolutional 80.0% to 95.0%")
    assert plots.curves([network(confusion)]) == ""


def test_no_network_is_called_better_that_may_be_luck() -> None:
    pair = {"networks": ["ann", "resnet"], "first": 12, "second": 20, "p": 0.2153, "differ": False}
    (told,) = plots.pairs({"pairs": [pair]})
    assert told == (
        "The dense network is right and our residual network wrong on 12 images, the other way round on 20: which is the more "
        "often right, these do not tell (p&nbsp;=&nbsp;0.2153)."
    )
    (told,) = plots.pairs({"pairs": [pair | {"second": 90, "p": 1e-9, "differ": True}]})
    assert told.endswith("the other way round on 90: our residual network is the more often right (p&nbsp;&lt;&nbsp;0.0001).")


def test_the_shipped_report_says_what_its_parts_say(report: dict[str, Any]) -> None:
    text = (REPORT / "comparison.md").read_text()
    for network in report["networks"]:
        assert f"**{network['evaluation']['accuracy']:.2%}**" in text
        assert network["evaluation"]["n"] == 10_000
    assert json.dumps(report["pairs"])
    assert len(report["pairs"]) == 3
    assert text.count("(p ") == 3
