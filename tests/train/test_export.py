import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from fashion_classifier import LABELS, Bundle, ExplanationError, FashionClassifier, explain
from fashion_classifier.bundle import DEFAULT_MODEL, SEGMENTATION_MODEL, sha256
from fashion_classifier.confidence import calibrated
from fashion_classifier.forms import FORMS
from fashion_classifier.network import Network
from fashion_classifier.preprocessing import VIEW_SIZE
from fashion_classifier.segmentation import Segmenter, default_segmenter
from tests.drawn_garments import photo, shirt
from train.networks import exporting, photo_training
from train.networks.efficientnet import FEATURES
from train.networks.evidence import add_evidence
from train.networks.exporting import (
    Known,
    calibrated_expert,
    export,
    in_half_precision,
    load_photo_network,
    validation_pictures,
)
from train.networks.lineage import lineage_of_file, lineage_of_run
from train.networks.recipes import RECIPES
from train.networks.runs import WEIGHTS, open_run
from train.networks.serving import export_float16
from train.networks.thumbnail_training import as_input, fit
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.pictures.phone import PHOTO_LABELS
from train.reports.compare import all_pairs, grouped, paired, verdicts
from train.reports.compare import load as load_entry
from train.reports.compare import main as compare
from train.reports.compare import to_markdown as compare_markdown
from train.reports.thumbnails import evaluate

COLOURS = [(180, 30, 40), (30, 40, 90), (235, 230, 225), (40, 40, 40), (60, 120, 60), (200, 180, 60)]


@pytest.fixture(scope="module")
def data(thumbnails: Pictures) -> FashionMNIST:
    order = np.random.default_rng(0).permutation(200)
    return FashionMNIST(thumbnails.take(order), thumbnails.take(order[:100]), thumbnails.take(order[100:]))


@pytest.fixture(scope="module")
def runs(data: FashionMNIST, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short runs of the dense and the convolutional network, with their bundles."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("ann", "cnn"):
        recipe = replace(RECIPES[name], epochs=8, batch_size=20)
        fit(recipe, data, folder / name)
        export(folder / name, folder / name / "bundle", version="0.1.0", data=data, hdf5=True)
    return [folder / "ann", folder / "cnn"]


def test_bundle_of_a_run(runs: list[Path], data: FashionMNIST) -> None:
    classifier = FashionClassifier.from_pretrained(runs[1] / "bundle")
    manifest = classifier.bundle.manifest
    assert manifest.version == "0.1.0"
    (member,) = manifest.experts["thumbnail"].members
    assert (member.form, member.architecture, member.explanation_layer) == ("canonical", "cnn", "features")
    assert not member.evidence  # it flattens its maps
    networks = ["orientation.tflite", "segmentation.tflite", "thumbnail.keras", "thumbnail.tflite"]
    assert sorted(manifest.files) == ["LICENCES.md", "fashion_model.h5", *networks, "training.json"]
    assert manifest.metrics["serving"]["float32"]["test images named differently"] == 0
    assert manifest.metrics["serving"]["float32"]["largest difference of a probability"] < 1e-4
    measured = evaluate(classifier, data.test.images, data.test.groups)
    assert manifest.metrics["fashion-mnist test"]["accuracy"] == measured.accuracy > 0.5
    network = keras.models.load_model(classifier.bundle.file("thumbnail.keras"), compile=False)
    served = [LABELS.index(prediction.label) for prediction in classifier.predict(list(data.test.images))]
    assert np.mean(served == network.predict(as_input(data.test.images), verbose=0).argmax(axis=1)) > 0.97
    refused = [prediction.uncertain for prediction in classifier.predict(list(data.validation.images))]
    assert manifest.uncertain_below == np.mean(refused) == 0.05
    assert not explain(classifier.predict(data.test.images[0])).empty


def test_a_dense_network_has_no_maps(runs: list[Path], data: FashionMNIST) -> None:
    prediction = FashionClassifier.from_pretrained(runs[0] / "bundle").predict(data.test.images[0])
    with pytest.raises(ExplanationError, match="has no convolutional layer"):
        explain(prediction, method="gradcam")


def test_an_export_replaces_nothing_but_a_bundle(runs: list[Path], data: FashionMNIST, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    for out in (tmp_path, runs[0]):
        before = sorted(out.rglob("*"))
        with pytest.raises(FileExistsError, match="holds something other than a bundle; give a new folder"):
            export(runs[0], out, version="0", data=data)
        assert sorted(out.rglob("*")) == before


def test_an_export_that_fails_leaves_the_former_bundle(
    runs: list[Path], data: FashionMNIST, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Bundle(shutil.copytree(runs[0] / "bundle", tmp_path / "bundle")).manifest

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.networks.exporting.fit_calibration", fail)
    with pytest.raises(KeyboardInterrupt):
        export(runs[0], tmp_path / "bundle", version="1.1.0", data=data)
    assert Bundle(tmp_path / "bundle").manifest == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_comparison(runs: list[Path], data: FashionMNIST, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = grouped([runs[0], runs[1], runs[0] / "bundle"])
    assert groups == {"ann": [runs[0], runs[0] / "bundle"], "cnn": [runs[1]]}
    ann, cnn = (load_entry(name, sources, data.test) for name, sources in groups.items())
    assert ann.accuracies == [ann.evaluation.accuracy] * 2
    assert [len(entry.history) for entry in (ann, cnn)] == [8, 8]
    text = compare_markdown([ann, cnn], [])
    assert f"| accuracy | **{ann.evaluation.accuracy:.2%}** | **{cnn.evaluation.accuracy:.2%}** |" in text
    assert f"| over seeds | {ann.evaluation.accuracy:.2%} ± 0.00% (n = 2) | one run |" in text
    assert "| parameters | 101,770 | 225,034 |" in text
    assert "| trained for | 8 epochs | 8 epochs |" in text
    assert "| augmented images | no | no |" in text
    monkeypatch.setattr("train.pictures.fashion_mnist.load_fashion_mnist", lambda folder: data)
    compare([str(runs[0]), str(runs[1] / "bundle"), "--out", str(tmp_path)])
    names = {"comparison.json", "comparison.md", "confusion-ann.png", "confusion-cnn.png", "curves.png", "rescued.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    compare([str(runs[0]), str(runs[1] / "bundle"), "--out", str(tmp_path), "--networks"])
    assert {path.name for path in tmp_path.iterdir()} == names | {"ann.tflite"}
    numbers = json.loads((tmp_path / "comparison.json").read_text())
    assert [network["name"] for network in numbers["networks"]] == ["ann", "cnn"]
    kept, bundle = numbers["networks"][0]["kept"], Bundle(runs[0] / "bundle")
    assert sha256(tmp_path / kept["file"]) == kept["sha256"] == bundle.manifest.files["thumbnail.tflite"]
    assert kept["expert"]["temperature"] == bundle.manifest.experts["thumbnail"].temperature
    assert numbers["networks"][1]["kept"] is None
    found = paired(data.test.groups, ann.answers, cnn.answers)
    assert numbers["pairs"] == [{"networks": ["ann", "cnn"], "differ": found.p < 0.05} | asdict(found)]
    (sentence,) = verdicts(all_pairs([ann, cnn], data.test.groups))
    assert f"- {sentence}\n" in (tmp_path / "comparison.md").read_text()


def test_eight_bits_that_disagree_are_not_served(
    runs: list[Path], data: FashionMNIST, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[int] = []  # bytes: of single precision test and validation images, of eight bits these, and of the chosen one

    def reversed_once(*args: Any) -> Any:
        served.append((args[0] / "thumbnail.tflite").stat().st_size)
        logits = logits_of(*args)
        return logits[..., ::-1] if len(served) == 3 else logits

    logits_of = exporting.served_logits
    monkeypatch.setattr(exporting, "served_logits", reversed_once)
    measured = export(runs[1], tmp_path / "bundle", version="0", data=data).manifest.metrics["serving"]
    assert measured["chosen"] == "float32"
    assert measured["int8"]["test images named differently"] > 0.9 * measured["n"]
    assert served[4] == served[0] > 3 * served[2]


def test_what_has_seen_mirror_images_is_asked_about_them(data: FashionMNIST, tmp_path: Path) -> None:
    fit(replace(RECIPES["ann"], epochs=2, batch_size=20, augmentation=True), data, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.networks.exporting.DISAGREEMENT", 0.1)
        bundle = export(tmp_path / "run", tmp_path / "bundle", version="0.1.0", data=data)
    members = bundle.manifest.experts["thumbnail"].members
    assert [(member.form, member.file) for member in members] == [
        ("canonical", "thumbnail.tflite"),
        ("canonical mirrored", "thumbnail.tflite"),
    ]
    image = data.test.images[0]
    network = keras.models.load_model(bundle.path / "thumbnail.keras", compile=False)
    logits = network.predict(as_input(np.stack([image, np.fliplr(image)])), verbose=0).astype(np.float64)
    expert = bundle.manifest.experts["thumbnail"]
    softened = softmax(logits / expert.temperature, axis=1).mean(axis=0)
    found = np.array(list(FashionClassifier(bundle).predict(image).probabilities.values()))
    assert found.argmax() == softened.argmax()


def test_how_the_networks_came_to_be(runs: list[Path]) -> None:
    bundle = Bundle(runs[1] / "bundle")
    run = lineage_of_run(runs[1])
    assert lineage_of_file(bundle, "thumbnail.tflite") == lineage_of_file(bundle, "thumbnail.keras") == run
    assert (run.record["recipe"]["architecture"], run.record["preprocessing"], run.record["parents"]) == ("cnn", "4", [])
    embedded = lineage_of_file(Bundle(DEFAULT_MODEL), SEGMENTATION_MODEL)
    assert lineage_of_file(bundle, SEGMENTATION_MODEL) == embedded


@pytest.mark.parametrize("kind", ["segmentation", "orientation"])
def test_the_history_of_what_finds_the_garment(runs: list[Path], data: FashionMNIST, tmp_path: Path, kind: str) -> None:
    run, name = tmp_path / kind, f"{kind}.tflite"
    open_run(run, {"recipe": {"epochs": 24}, "data": {}, "command": "", "parents": [], "ancestors": {}})
    shutil.copy(DEFAULT_MODEL / name, run)
    from_run: dict[str, Any] = {kind: run}
    first = export(runs[1] / "bundle", tmp_path / "first", version="0", data=data, **from_run)
    from_bundle: dict[str, Any] = {kind: first.path}
    second = export(first.path, tmp_path / "second", version="0", data=data, **from_bundle)
    for bundle in (first, second):
        assert lineage_of_file(bundle, name) == lineage_of_run(run)


# Photos


def small_network() -> keras.Model:
    """In place of EfficientNet, with its layer for explanations."""
    inputs = keras.Input((VIEW_SIZE, VIEW_SIZE, 4))
    x = keras.layers.Conv2D(8, 16, strides=16, activation="relu", name=FEATURES)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x), name="small")


@pytest.fixture(scope="module")
def phone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a validation sender six shirts, one of them called shoes, a hat, and a shop's gray picture on white."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    rows = [(f"{i}", "95", "Shoes" if i == 5 else "Shirt") for i in range(6)]
    rows += [("hat", "95", "Hat"), ("shop", "95", "Shirt"), ("training", "181", "Shirt")]
    (folder / "photos.csv").write_text("image,sender_id,label,kids\n" + "".join(f"{i},{s},{lab},False\n" for i, s, lab in rows))
    for i, (name, *_) in enumerate(rows):
        picture = photo(shirt(120, 160), COLOURS[i % 6], (150, 140, 120))
        if name == "shop":
            picture = np.where(shirt(120, 160)[..., np.newaxis], 90, 255).repeat(3, 2).astype(np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{name}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def pictures(phone_folder: Path) -> dict[str, list[Known]]:
    return validation_pictures(default_segmenter(), photos=phone_folder)


@pytest.fixture(scope="module")
def photo_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Finished runs of networks for two forms of photos, as far as an export can tell."""
    folders = [tmp_path_factory.mktemp("garment"), tmp_path_factory.mktemp("mirrored")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_training, "network", small_network)
        for seed, (folder, form) in enumerate(zip(folders, ("garment", "garment mirrored"), strict=True)):
            recipe = {"recipe": {"epochs": 16, "form": form}, "data": {"phone photos": 3}, "command": f"for {form}"}
            open_run(folder, recipe | {"parents": [], "ancestors": {}})
            keras.utils.set_random_seed(seed)
            photo_training.network().save_weights(folder / WEIGHTS)
        yield folders


@pytest.fixture(scope="module")
def of_photos(
    runs: list[Path],
    data: FashionMNIST,
    photo_runs: list[Path],
    pictures: dict[str, list[Known]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    out = tmp_path_factory.mktemp("out") / "bundle"
    return export(runs[0] / "bundle", out, version="0.2.0", data=data, photo_runs=photo_runs, pictures=pictures)


def test_an_expert_for_photos(of_photos: Bundle, photo_runs: list[Path]) -> None:
    manifest = of_photos.manifest
    expert = manifest.experts["photo"]
    assert [(member.form, member.file, member.keras) for member in expert.members] == [
        ("garment", "photo-garment.tflite", "photo-garment.keras"),
        ("garment mirrored", "photo-garment-mirrored.tflite", "photo-garment-mirrored.keras"),
    ]
    assert expert.architecture == "small"
    assert [(member.explanation_layer, member.evidence) for member in expert.members] == [(FEATURES, True)] * 2
    assert len(expert.energies) == 201
    assert manifest.metrics["photos"]["parameters"] == 2 * small_network().count_params()
    for member, run in zip(expert.members, photo_runs, strict=True):
        assert lineage_of_file(of_photos, member.file) == lineage_of_file(of_photos, member.keras) == lineage_of_run(run)


def test_what_was_measured_is_what_the_bundle_answers(of_photos: Bundle, phone_folder: Path) -> None:
    measured = of_photos.manifest.metrics["photos"]
    assert measured["validation"].keys() == {"phone photos"}
    assert measured["validation"]["phone photos"]["n"] == 6  # neither the hat nor what needed no segmentation
    assert measured["serving"].keys() == {"photo-garment.tflite", "photo-garment-mirrored.tflite"}
    for name, served in measured["serving"].items():
        assert served["chosen"] == "int8"
        assert abs(served["int8"]["negative log-likelihood"] - served["float16"]["negative log-likelihood"]) < 0.01
        assert served["float16"]["largest difference of a probability"] < 0.05
        assert served["int8"]["bytes"] < of_photos.file(name).stat().st_size  # which has the evidence too
    accepted = [PHOTO_LABELS["Shoes" if i == 5 else "Shirt"] for i in range(6)]
    predictions = FashionClassifier(of_photos).predict([phone_folder / "images" / f"{i}.jpg" for i in range(6)])
    right = [prediction.label in labels for prediction, labels in zip(predictions, accepted, strict=True)]
    assert measured["validation"]["phone photos"]["accuracy"] == pytest.approx(np.mean(right))
    # these are the pictures whose energies the manifest has: the least typical one is at 0, the most typical one at 1
    assert sorted(prediction.typicality for prediction in predictions) == pytest.approx(np.linspace(0, 1, 6), abs=0.02)


def test_eight_bits_that_are_less_likely_are_not_served(
    runs: list[Path],
    data: FashionMNIST,
    photo_runs: list[Path],
    pictures: dict[str, list[Known]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "INT8_LOSS", -0.01)  # they would have to be likelier
    out = tmp_path / "bundle"
    bundle = export(runs[0] / "bundle", out, version="0", data=data, photo_runs=photo_runs[:1], pictures=pictures)
    served = bundle.manifest.metrics["photos"]["serving"]["photo.tflite"]
    assert served["chosen"] == "float16"
    export_float16(load_photo_network(photo_runs[0]), tmp_path / "half.tflite")
    assert add_evidence(tmp_path / "half.tflite")
    inputs = np.random.default_rng(0).uniform(-1, 1, (1, *FORMS["garment"].shape)).astype(np.float32)
    half, found = (
        Network(path, inputs=inputs.shape, outputs=(1, 10)).run(inputs)
        for path in (tmp_path / "half.tflite", out / "photo.tflite")
    )
    np.testing.assert_array_equal(found, half)


def test_thumbnails_are_answered_as_without_an_expert_for_photos(
    of_photos: Bundle, runs: list[Path], data: FashionMNIST, phone_folder: Path
) -> None:
    alone = Bundle(runs[0] / "bundle")
    assert set(alone.manifest.experts) == {"thumbnail"}
    assert "photos" not in alone.manifest.metrics
    one, other = FashionClassifier(of_photos), FashionClassifier(alone)
    for image in data.test.images[:5]:
        assert one.predict(image).probabilities == pytest.approx(other.predict(image).probabilities, abs=1e-6)
    picture = phone_folder / "images" / "0.jpg"
    assert one.predict(picture).probabilities != pytest.approx(other.predict(picture).probabilities, abs=1e-3)


def test_the_keras_file_holds_the_trained_network_in_half_precision(of_photos: Bundle, photo_runs: list[Path]) -> None:
    for member, run in zip(of_photos.manifest.experts["photo"].members, photo_runs, strict=True):
        stored = keras.models.load_model(of_photos.file(member.keras), compile=False)
        assert {weights.dtype for weights in stored.get_weights()} == {np.dtype(np.float16)}
        for half, single in zip(stored.get_weights(), load_photo_network(run).get_weights(), strict=True):
            np.testing.assert_array_equal(half, single.astype(np.float16))


def test_one_network_for_photos_has_a_plain_name_and_looks_at_the_mirror_image_too(
    runs: list[Path], data: FashionMNIST, photo_runs: list[Path], pictures: dict[str, list[Known]], tmp_path: Path
) -> None:
    one = photo_runs[:1]
    before = runs[0] / "bundle"
    bundle = export(before, tmp_path / "bundle", version="0", data=data, photo_runs=one, pictures=pictures)
    assert [(member.form, member.file, member.keras) for member in bundle.manifest.experts["photo"].members] == [
        ("garment", "photo.tflite", "photo.keras"),
        ("garment mirrored", "photo.tflite", "photo.keras"),
    ]
    assert bundle.manifest.metrics["photos"]["parameters"] == small_network().count_params()


def test_half_precision_keeps_the_layers_and_the_answers() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, name="maps")(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(10, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))
    before = [weights.copy() for weights in model.get_weights()]
    half = in_half_precision(model)
    assert [layer.name for layer in half.layers[1:]] == [layer.name for layer in model.layers[1:]]
    assert half.get_layer("maps").compute_dtype == "float16"
    picture = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(half.predict(picture, verbose=0), model.predict(picture, verbose=0), atol=0.02)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_photos_are_explained(of_photos: Bundle, phone_folder: Path) -> None:
    """Though the network for thumbnails here, a dense one, has no maps."""
    prediction = FashionClassifier(of_photos).predict(phone_folder / "images" / "0.jpg")
    explanation = explain(prediction, target="Shirt", method="gradcam")
    assert explanation.on_photo.shape == (160, 120)
    assert np.isfinite(explanation.on_photo).all()


def test_calibration_of_any_pictures(of_photos: Bundle) -> None:
    """Two members that agree with the truth in 3 of 4 pictures: surer answers than that are toned down to it."""
    logits = np.zeros((2, 400, 10))
    logits[:, :, 3] = 8.0
    targets = np.zeros((400, 10), np.float32)
    targets[:300, 3] = targets[300:, 5] = 1
    expert = calibrated_expert(of_photos.manifest.experts["photo"].members, logits, targets)
    answered = calibrated(logits, expert.temperature, expert.smoothing)
    np.testing.assert_allclose(answered[:, 3], 0.75, atol=0.01)
    assert expert.members == of_photos.manifest.experts["photo"].members
    assert expert.energies == pytest.approx([np.log(np.exp(8) + 9)] * 201)


def test_every_source_counts_alike(of_photos: Bundle) -> None:
    """Nine of ten pictures are of a source where sureness is right; the tenth is of one where it is right half of the time."""
    logits = np.zeros((1, 1000, 10))
    logits[:, :, 3] = 8.0
    logits[:, 900:, 3] = 6.0  # less typical, and wrong in every other picture
    targets = np.zeros((1000, 10), np.float32)
    targets[:, 3] = 1
    targets[901::2] = np.eye(10)[5]
    sources = np.array(["phone"] * 900 + ["street"] * 100)
    expert = calibrated_expert(of_photos.manifest.experts["photo"].members, logits, targets, sources)
    pooled = calibrated_expert(of_photos.manifest.experts["photo"].members, logits, targets)
    assert expert.temperature > pooled.temperature
    assert expert.energies == pytest.approx([np.log(np.exp(6) + 9)] * 201)  # of the less typical source alone


def test_the_expert_for_thumbnails_of_a_bundle_is_kept(
    runs: list[Path], data: FashionMNIST, photo_runs: list[Path], pictures: dict[str, list[Known]], tmp_path: Path
) -> None:
    before = Bundle(runs[1] / "bundle")
    bundle = export(before.path, tmp_path / "bundle", version="0.3.0", data=data, photo_runs=photo_runs[:1], pictures=pictures)
    assert bundle.manifest.experts["thumbnail"] == before.manifest.experts["thumbnail"]
    for name in ("thumbnail.keras", "thumbnail.tflite"):
        assert bundle.read(name) == before.read(name)
        assert lineage_of_file(bundle, name) == lineage_of_file(before, name)
    assert bundle.manifest.metrics["serving"] == before.manifest.metrics["serving"]
    assert set(bundle.manifest.experts) == {"thumbnail", "photo"}


def test_networks_for_photos_need_photos_and_a_form_each(
    runs: list[Path], data: FashionMNIST, photo_runs: list[Path], pictures: dict[str, list[Known]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^Networks for photos are calibrated on photos: there are none\.$"):
        export(runs[0], tmp_path / "bundle", version="0", data=data, photo_runs=photo_runs)
    twice = [photo_runs[0]] * 2
    with pytest.raises(ValueError, match=r"^Give one run for each form of photos; these are for 'garment', 'garment'\.$"):
        export(runs[0], tmp_path / "bundle", version="0", data=data, photo_runs=twice, pictures=pictures)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_without_validation_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("image,sender_id,label,kids\na,181,Shirt,False\n")
    with pytest.raises(ValueError, match=r"holds no photo of one of the ten in the validation split to calibrate on\.$"):
        validation_pictures(Segmenter(DEFAULT_MODEL / SEGMENTATION_MODEL), photos=tmp_path)


def test_networks_that_do_not_agree_are_refused(
    runs: list[Path],
    data: FashionMNIST,
    photo_runs: list[Path],
    pictures: dict[str, list[Known]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = DEFAULT_MODEL / "photo.tflite"
    monkeypatch.setattr(exporting, "export_float16", lambda network, path: shutil.copy(other, path))
    problem = (
        r"^The Keras and the LiteRT network in photo-garment\.tflite differ by 0\.\d+ in a probability, 0\.05 is allowed\.$"
    )
    before = runs[0] / "bundle"
    with pytest.raises(ValueError, match=problem):
        export(before, tmp_path / "bundle", version="0", data=data, photo_runs=photo_runs, pictures=pictures)
    assert not (tmp_path / "bundle").exists()
