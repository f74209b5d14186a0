import csv
import io
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import ExifTags, Image
from scipy.special import logsumexp, softmax

from fashion_classifier import (
    CanonicalImage,
    FashionClassifier,
    InvalidBundleError,
    InvalidImageError,
    InvalidPlaceError,
    InvalidReferenceError,
    Prediction,
    canonicalize,
    predict,
)
from fashion_classifier.bundle import DEFAULT_MODEL, MANIFEST, SEGMENTATION_MODEL, Bundle
from fashion_classifier.classifier import MODEL_VARIABLE
from fashion_classifier.forms import FORMS
from fashion_classifier.images import to_gray
from fashion_classifier.manifest import MOST_BYTES
from fashion_classifier.segmentation import Segmenter
from tests.patience import PATIENCE
from tests.stand_ins import Finding, FindingParts, Naming, dark
from tests.tiny_bundles import change, changed
from train.pictures.fashion_mnist import ENVIRONMENT_VARIABLE, Pictures, load_fashion_mnist
from train.reports.thumbnails import evaluate

PHOTOS = ["examples/coat.jpg", "examples/trouser.jpg", "examples/sandal.jpg"]
THUMBNAIL = "examples/fashion-mnist-bag.png"
ONCE_FAILED = Path(__file__).parent / "fixtures" / "photos"
with (ONCE_FAILED / "photos.csv").open(newline="") as file:
    LABELS_OF_ONCE_FAILED = {row["file"]: row["label"] for row in csv.DictReader(file)}


@pytest.fixture
def variant(tiny_bundles: dict[str, Path], tmp_path: Path) -> Callable[..., FashionClassifier]:
    """A tiny bundle with other values in its manifest."""

    def make(kind: str = "two looks", **values: Any) -> FashionClassifier:
        folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "bundle"
        return FashionClassifier.from_pretrained(changed(tiny_bundles[kind], folder, **values))

    return make


def asked(file: str, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """What the interpreter itself answers to one input: (10,)."""
    interpreter = Interpreter(str(DEFAULT_MODEL / file))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[np.newaxis].astype(np.float32))
    interpreter.invoke()
    (logits,) = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(np.float64)
    return np.asarray(logits)


def test_every_example_gets_its_name(example_labels: dict[Path, str]) -> None:
    answers = dict(zip(example_labels, predict(list(example_labels)), strict=True))
    wrong = {path.name: answers[path].label for path, label in example_labels.items() if label not in ("", answers[path].label)}
    assert wrong == {}
    assert [path.name for path, label in example_labels.items() if not label and not answers[path].uncertain] == []


def test_thumbnails_as_pil_images(thumbnails: Pictures) -> None:
    evaluation = evaluate(FashionClassifier.from_pretrained(), thumbnails.images, thumbnails.groups)
    assert evaluation.n == 200
    assert evaluation.accuracy >= 0.9


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(ENVIRONMENT_VARIABLE), reason="set FASHION_MNIST_DIR to the folder of the four IDX files"
)
def test_the_manifest_tells_the_truth_of_the_whole_test_set() -> None:
    classifier = FashionClassifier.from_pretrained()
    test = load_fashion_mnist().test
    measured = evaluate(classifier, test.images, test.groups)
    assert measured.n == 10_000
    assert measured.accuracy >= 0.955
    assert measured.accuracy == pytest.approx(classifier.bundle.manifest.metrics["fashion-mnist test"]["accuracy"], abs=0.0005)


def test_probabilities_against_the_interpreter_and_scipy(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    expert = classifier.bundle.manifest.experts["thumbnail"]
    image = thumbnails.images[3]
    logits = np.stack([asked("thumbnail.tflite", view[..., np.newaxis] / 255) for view in (image, np.fliplr(image))])
    softened = softmax(logits / expert.temperature, axis=1).mean(axis=0)
    expected = np.where(softened > expert.smoothing / 9.8, softened - expert.smoothing / 10, softened / 50)
    expected /= expected.sum()
    prediction = classifier.predict(image)
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-5)
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-12)


def test_a_photo_is_answered_by_its_own_networks() -> None:
    classifier = FashionClassifier.from_pretrained()
    expert = classifier.bundle.manifest.experts["photo"]
    for prediction in map(classifier.predict, PHOTOS):
        assert prediction.image.is_photo
        logits = np.stack([asked(member.file, FORMS[member.form].render([prediction.image])[0]) for member in expert.members])
        assert logits.shape == (len(expert.members), 10)
        softened = softmax(logits / expert.temperature, axis=1).mean(axis=0)
        expected = np.where(softened > expert.smoothing / 9.8, softened - expert.smoothing / 10, softened / 50)
        expected /= expected.sum()
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-4)
        share = np.interp(logsumexp(logits, axis=1).mean(), expert.energies, np.linspace(0, 1, len(expert.energies)))
        assert prediction.typicality == pytest.approx(share, abs=1e-3)


def test_photos_without_a_network_for_photos(variant: Callable[..., FashionClassifier]) -> None:
    classifier = variant("thumbnail")
    prediction = classifier.predict("examples/coat.jpg")
    assert prediction.image.is_photo
    alone = classifier.predict(prediction.image.pixels)
    assert not alone.image.is_photo
    assert prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-9)
    assert prediction.typicality == pytest.approx(alone.typicality)


# Several garments in a picture


def outfit(scale: int = 1) -> Image.Image:
    """A small red garment beside a large blue one on gray, and one in black that is none of the ten; 200x120, or enlarged."""
    photo = np.full((120, 200, 3), 190, np.uint8)
    photo[20:50, 20:60] = (120, 0, 0)
    photo[10:110, 80:140] = (0, 0, 120)
    photo[20:60, 150:190] = 0
    return Image.fromarray(photo.repeat(scale, 0).repeat(scale, 1))


def boxes(predictions: list[Prediction]) -> list[tuple[str, tuple[float, ...]]]:
    return [(prediction.label, prediction.image.box) for prediction in predictions]


RED, BLUE = ("Ankle boot", (20, 20, 40, 30)), ("Trouser", (80, 10, 60, 100))
BOTH, PAIR = ("Trouser", (20, 10, 120, 100)), ("Ankle boot", (20, 20, 40, 80))


def test_all_garments_the_most_prominent_first() -> None:
    classifier = Naming(FindingParts(dark))
    garments = classifier.find_garments(outfit())
    assert boxes(garments) == [BLUE, RED]  # the black one is not sure
    for garment, (width, height) in zip(garments, ((60, 100), (40, 30)), strict=True):
        assert garment.image.photo is garments[0].image.photo
        assert np.count_nonzero(garment.image.mask) == width * height
        assert garment.to_dict()["box"] == list(garment.image.box)
    assert boxes([classifier.predict(outfit())]) == [BLUE]


def test_one_garment_is_a_list_of_one_and_none_an_empty_one() -> None:
    classifier = Naming(FindingParts(dark))
    assert boxes(classifier.find_garments(outfit().crop((0, 0, 70, 120)))) == [RED]
    assert classifier.find_garments(outfit().crop((145, 0, 200, 120))) == []
    assert [garment.label for garment in FashionClassifier.from_pretrained().find_garments(THUMBNAIL)] == ["Bag"]


@pytest.mark.parametrize("scale", [1, 10])  # 2000 px are reduced to 1024
def test_what_is_pointed_at_is_named(scale: int) -> None:
    classifier = Naming(FindingParts(dark))
    picture = outfit(scale)
    for point, expected in (((59, 49), RED), ((20, 20), RED), ((81, 11), BLUE)):
        named = classifier.predict(picture, at=(point[0] * scale, point[1] * scale))
        assert named.label == expected[0]
        assert named.image.box == pytest.approx([side * scale for side in expected[1]], abs=2 if scale > 1 else 0)
    first = classifier.predict(picture)
    assert classifier.predict(first.image, at=(30 * scale, 30 * scale)).label == "Ankle boot"  # it is decoded once
    assert classifier.predict(picture, at=(160 * scale, 30 * scale)).uncertain


def test_garments_side_by_side_that_were_found_as_one_are_told_apart() -> None:
    classifier = Naming(Finding(dark))  # finds all that is dark as one
    two = outfit().crop((0, 0, 145, 120))
    assert boxes(classifier.find_garments(two)) == [BLUE, RED]
    for point, expected in (((59, 49), RED), ((80, 10), BLUE), ((-0.5, -0.5), BOTH), ((144.5, 119.5), BOTH)):
        assert boxes([classifier.predict(two, at=point)]) == [expected]
    assert boxes(classifier.find_garments(outfit())) == [("Trouser", (20, 10, 170, 100))]  # one of the three is not sure


def test_parts_of_one_name_are_one_garment() -> None:
    pair = outfit().crop((0, 0, 70, 120))
    pair.paste(pair.crop((20, 20, 60, 50)), (20, 70))
    classifier = Naming(Finding(dark))
    assert boxes(classifier.find_garments(pair)) == boxes([classifier.predict(pair, at=(30, 30))]) == [PAIR]


def test_what_is_framed_is_named() -> None:
    classifier = Naming(FindingParts(dark))
    assert boxes([classifier.predict(outfit(), box=(15, 15, 50, 50))]) == [RED]
    assert boxes([classifier.predict(outfit(), box=(0, 0, 200, 120))]) == [BLUE]
    (half,) = boxes([classifier.predict(outfit(), box=(70, -50, 40, 500))])  # up to the picture's edge
    assert half == ("Trouser", (80, 10, 30, 100))


def test_a_thumbnail_is_one_garment_wherever_it_is_pointed_at() -> None:
    plain = predict(THUMBNAIL)
    for place in ({"at": (0, 0)}, {"at": (27, 27)}, {"box": (3, 3, 9, 9)}):
        assert predict(THUMBNAIL, **place).probabilities == plain.probabilities


def test_places_that_are_none() -> None:
    with pytest.raises(InvalidPlaceError, match=r"The point \(28, 3\) lies outside the picture; the picture has 28x28 pixels"):
        predict(THUMBNAIL, at=(28, 3))
    with pytest.raises(InvalidPlaceError, match="Received a point and a box; give one of them; the picture has 28x28 pixels"):
        predict(THUMBNAIL, at=(2, 3), box=(1, 1, 4, 4))
    with pytest.raises(InvalidImageError, match=r"Cannot read the file 'nowhere\.jpg'"):
        predict("nowhere.jpg", at=(0, 0))
    for place in ({"at": (0, 0)}, {"box": (0, 0, 2, 2)}):
        with pytest.raises(TypeError, match=r"A point or a box is for one picture, received an iterable of pictures\."):
            predict([THUMBNAIL], **place)


def test_points_are_those_of_the_upright_picture() -> None:
    stored = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned clockwise
    outfit(10).transpose(Image.Transpose.ROTATE_90).save(stored, "JPEG", exif=exif, quality=95)
    named = Naming(FindingParts(dark)).predict(stored.getvalue(), at=(400, 350))
    assert named.image.size == (2000, 1200)
    assert named.label == "Ankle boot"
    assert named.image.box == pytest.approx((200, 200, 400, 300), abs=6)


# what version 1.10 named rightly and 1.15 does not: to be named rightly again
AGAIN = pytest.mark.xfail(reason="version 1.15 names it otherwise", strict=True)


@pytest.mark.parametrize(
    ("name", "side"),
    [("dress.jpg", 80), ("dress.jpg", 100), ("sneakers.jpg", 100)],
)
def test_a_small_photo_keeps_its_name(name: str, side: int) -> None:
    """They lose their names where the pixels of small photos are made squares for the segmentation."""
    photo = Image.open(ONCE_FAILED / name).convert("RGB")
    photo.thumbnail((side, side))
    prediction = predict(photo)
    assert (prediction.label, prediction.uncertain) == (LABELS_OF_ONCE_FAILED[name], False)


@pytest.mark.parametrize(
    ("name", "uncertain"),
    [
        ("t-shirt.jpg", False),
        pytest.param("hoodie.jpg", True, marks=AGAIN),
        ("pullover.jpg", False),
        ("jacket.jpg", False),
        ("flip-flops.jpg", False),
        ("sneakers.jpg", False),
    ],
)
def test_a_gray_photo_on_white_is_not_taken_for_a_thumbnail(name: str, uncertain: bool) -> None:
    """The network for thumbnails names them wrongly, or is not sure."""
    image = canonicalize(ONCE_FAILED / name)
    shown = np.where(image.mask, to_gray(image.photo), 255).astype(np.uint8)
    assert not canonicalize(shown).is_photo
    prediction = predict(shown)
    assert (prediction.label, prediction.uncertain) == (LABELS_OF_ONCE_FAILED[name], uncertain)
    assert prediction.image.is_photo


def test_who_answers_to_a_gray_picture_depends_on_its_detail(variant: Callable[..., FashionClassifier]) -> None:
    shown = np.full((120, 120), 255, np.uint8)
    shown[20:100, 30:90] = np.random.default_rng(0).integers(40, 120, (80, 60))
    assert variant().predict(shown).image.isolation == "segmentation"
    assert variant("thumbnail").predict(shown).image.isolation == "white background"  # it has no network for photos
    shown[20:100, 30:90] = 80
    assert variant().predict(shown).image.isolation == "white background"


def test_photos_and_thumbnails_in_one_batch(thumbnails: Pictures) -> None:
    pictures: list[Any] = [thumbnails.images[0], PHOTOS[0], THUMBNAIL, PHOTOS[1], thumbnails.images[1]]
    together = predict(pictures)
    assert [prediction.image.is_photo for prediction in together] == [False, True, False, True, False]
    for picture, prediction in zip(pictures, together, strict=True):
        assert prediction.probabilities == pytest.approx(predict(picture).probabilities, abs=1e-5)


def test_typicality_of_a_thumbnail_and_of_a_photo(variant: Callable[..., FashionClassifier]) -> None:
    """Each network's energies count for its own pictures alone."""
    all_below, all_above = [-2.0, -1.0], [98.0, 99.0]
    classifier = variant(experts__thumbnail__energies=all_above, experts__photo__energies=all_below)
    thumbnail, photo = classifier.predict([THUMBNAIL, PHOTOS[0]])
    assert (thumbnail.typicality, thumbnail.uncertain) == (0, True)
    assert (photo.typicality, photo.uncertain) == (1, False)


@pytest.mark.parametrize("form", ["thumbnail", "photo"])
def test_noise_is_hardly_typical(form: str) -> None:
    shape = (8, 28, 28) if form == "thumbnail" else (8, 200, 200, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    answers = predict(list(noise))
    assert {answer.image.is_photo for answer in answers} == {form == "photo"}
    assert max(answer.typicality for answer in answers) < 0.1
    assert sum(answer.uncertain for answer in answers) >= 6  # of 8


def test_a_batch_answers_as_single_pictures_do_and_in_order(thumbnails: Pictures) -> None:
    images = list(thumbnails.images[:70])  # more than two batches, the last one partial
    batch = predict(iter(images))
    assert len(batch) == 70
    for image, prediction in zip(images, batch, strict=True):
        np.testing.assert_array_equal(prediction.image.pixels, image)
        assert prediction.probabilities == pytest.approx(predict(image).probabilities, abs=1e-5)


def test_no_pictures_no_predictions() -> None:
    assert predict([]) == []


def test_every_kind_of_picture_gives_the_same_answer(example_labels: dict[Path, str]) -> None:
    path = next(iter(example_labels))
    data = path.read_bytes()
    with path.open("rb") as file, Image.open(path) as image:
        kinds: list[Any] = [
            path,
            str(path),
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
            image,
            canonicalize(path),
        ]
        answers = [predict(kind).probabilities for kind in kinds]
    assert all(answer == answers[0] for answer in answers)


def test_many_threads_one_classifier(thumbnails: Pictures) -> None:
    classifier = FashionClassifier.from_pretrained()
    images = list(thumbnails.images[:40])
    expected = [classifier.predict(image).probabilities for image in images]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: classifier.predict(image).probabilities, images * 5))
    assert found == expected * 5


def test_a_bad_picture_in_a_list_is_located() -> None:
    with pytest.raises(InvalidImageError, match=r"^Picture 1: The data is empty \(0 bytes\)\. Accepted: a path") as caught:
        predict([np.zeros((28, 28), np.uint8), b""])
    assert caught.value.index == 1


def test_neither_a_picture_nor_pictures() -> None:
    with pytest.raises(
        InvalidImageError, match=r"Received an object of type int; pass .*Accepted: a path.*or an iterable of these\.$"
    ):
        predict(7)  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", ["thumbnail", "one look", "two looks"])
def test_a_bundle_of_ones_own(variant: Callable[..., FashionClassifier], tiny_bundles: dict[str, Path], kind: str) -> None:
    classifier = variant(kind, version="9.9.9")
    for path in classifier.bundle.path.glob("*.keras"):
        path.unlink()  # of use to explanations and to training alone
    prediction = FashionClassifier.from_pretrained(classifier.bundle.path).predict("examples/coat.jpg")
    assert prediction.model_version == "9.9.9"
    unchanged = FashionClassifier.from_pretrained(tiny_bundles[kind]).predict("examples/coat.jpg")
    assert prediction.probabilities == unchanged.probabilities


def test_canonicalize_finds_the_garment_as_predict_does(tiny_bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.full((320, 240, 3), (170, 200, 190), np.uint8)
    photo[40:280, 60:180] = (250, 100, 90)  # the garment for the embedded network
    photo[200:240, 20:200] = 20  # the garment for the tiny one, which finds what is dark
    boxes = []
    for model in ("", tiny_bundles["one look"]):
        monkeypatch.setenv(MODEL_VARIABLE, str(model))
        image = canonicalize(photo)
        np.testing.assert_array_equal(image.mask, predict(photo).image.mask)
        boxes.append(image.geometry.box)
    assert boxes[0][3] > 200
    assert boxes[1] == pytest.approx((20, 200, 180, 40), abs=2)


def test_canonicalize_loads_a_model_once_and_only_for_photos(
    tiny_bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, together = [], threading.Barrier(8)

    class Counted(Segmenter):
        def __init__(self, path: Path, content: bytes | None = None) -> None:
            loaded.append(path.parent)
            super().__init__(path, content)

    monkeypatch.setattr("fashion_classifier.classifier.Segmenter", Counted)
    folder = changed(tiny_bundles["one look"], tmp_path / "bundle")
    monkeypatch.setenv(MODEL_VARIABLE, str(folder))
    assert not canonicalize(THUMBNAIL).is_photo
    assert canonicalize(PHOTOS[0], lambda photo: np.ones(photo.shape[:2], np.bool_)).mask.all()
    assert loaded == []

    def find(_: int) -> CanonicalImage:
        together.wait(PATIENCE)
        return canonicalize(PHOTOS[0])

    with ThreadPoolExecutor(8) as pool:
        assert all(image.is_photo for image in pool.map(find, range(8)))
    assert predict(PHOTOS[0]).bundle.path == folder
    assert loaded == [folder]


def test_a_photo_needs_the_model_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))
    with pytest.raises(InvalidBundleError, match=r"cannot read manifest\.json: No such file"):
        canonicalize(PHOTOS[0])


@pytest.mark.parametrize("name", [SEGMENTATION_MODEL, "thumbnail.tflite", "photo-garment.tflite"])
def test_a_bundle_without_one_of_its_networks(variant: Callable[..., FashionClassifier], name: str) -> None:
    folder = variant().bundle.path
    (folder / name).unlink()
    with pytest.raises(InvalidBundleError, match=rf"cannot read {re.escape(name)}: No such file"):
        FashionClassifier.from_pretrained(folder)


def test_networks_in_each_others_place(variant: Callable[..., FashionClassifier]) -> None:
    folder = variant().bundle.path
    change(folder, experts__photo__members__1__file="thumbnail.tflite")
    problem = "thumbnail.tflite has the shapes [(1, 28, 28, 1), (1, 10)], needed are [(1, 192, 192, 4), (1, 10)]."
    with pytest.raises(InvalidBundleError, match=re.escape(problem)):
        FashionClassifier.from_pretrained(folder)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"format": ' + "[" * 200_000,
        '{"format": 6}',
        '{"format": 5}',
        "\0" * (MOST_BYTES + 1),
        '{"experts__photo__temperature": 1' + "0" * 400 + "}",
        '{"experts__photo__temperature": 5e-324}',
        '{"experts__photo__temperature": NaN}',
        '{"experts__photo__smoothing": true}',
        '{"version": "<script>"}',
        '{"experts__photo__members__0__form": "sketch"}',
    ],
    ids=lambda text: text[:50],
)
def test_the_embedded_model_answers_where_a_manifest_is_none(tiny_bundles: dict[str, Path], tmp_path: Path, text: str) -> None:
    folder = changed(tiny_bundles["two looks"], tmp_path / "bundle")
    if "__" in text or "version" in text:
        change(folder, **json.loads(text))
    else:
        (folder / MANIFEST).write_text(text)
    classifier, reason = FashionClassifier.from_pretrained_or_default(folder)
    assert classifier.bundle == Bundle(DEFAULT_MODEL)
    assert reason is not None
    assert reason.startswith(f"{folder} is not a usable model bundle: manifest.json ")
    assert len(reason) < 300


def test_no_such_bundle(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidBundleError, match=r"nowhere is not a usable model bundle: cannot read manifest\.json: No such file"
    ):
        FashionClassifier.from_pretrained(tmp_path / "nowhere")


def test_a_revision_of_a_folder_makes_no_sense() -> None:
    with pytest.raises(InvalidReferenceError, match=r"names no model: it is a folder, and a folder has no revision"):
        FashionClassifier.from_pretrained(DEFAULT_MODEL, revision="v1")


@pytest.mark.parametrize("ref", [5, b"a/b", "", "a" * 300])
def test_what_names_no_model(ref: Any) -> None:
    with pytest.raises(
        InvalidReferenceError, match=r"names no model: .* Accepted: a bundle's folder, or owner/name\[@revision\]\."
    ):
        FashionClassifier.from_pretrained(ref)


@pytest.mark.parametrize(("name", "label"), LABELS_OF_ONCE_FAILED.items())
def test_photos_that_were_once_named_wrongly(name: str, label: str) -> None:
    assert predict(ONCE_FAILED / name).label == label
