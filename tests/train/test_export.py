from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from fashion_classifier import LABELS, Bundle, ExplanationError, FashionClassifier, explain
from train.export import export
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.reports.compare import confused_pairs, errors_among, main
from train.reports.compare import load as load_entry
from train.reports.compare import to_markdown as compare_markdown
from train.reports.thumbnails import evaluate, score
from train.thumbnails import RECIPES, as_input, fit


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
    assert (manifest.version, manifest.architecture, manifest.explanation_layer) == ("0.1.0", "cnn", "features")
    assert sorted(manifest.files) == ["LICENCES.md", "fashion_model.h5", "model.keras", "model.tflite", "segmentation.tflite"]
    assert manifest.metrics["serving"]["float32"]["test images named differently"] == 0
    assert manifest.metrics["serving"]["float32"]["largest difference of a probability"] < 1e-4
    measured = evaluate(classifier, data.test.images, data.test.groups)
    assert manifest.metrics["fashion-mnist test"]["accuracy"] == measured.accuracy > 0.5
    network = keras.models.load_model(classifier.bundle.file("model.keras"), compile=False)
    served = classifier.thumbnail_logits(data.test.images)[0].argmax(axis=1)
    assert np.mean(served == network.predict(as_input(data.test.images), verbose=0).argmax(axis=1)) > 0.97
    refused = [prediction.uncertain for prediction in classifier.predict(list(data.validation.images))]
    assert manifest.uncertain_below == np.mean(refused) == 0.05
    assert not explain(classifier.predict(data.test.images[0])).empty


def test_a_dense_network_has_no_maps(runs: list[Path], data: FashionMNIST) -> None:
    prediction = FashionClassifier.from_pretrained(runs[0] / "bundle").predict(data.test.images[0])
    with pytest.raises(ExplanationError, match="has no convolutional layer"):
        explain(prediction)


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
    before = export(runs[0], tmp_path / "bundle", version="1.0.0", data=data).manifest

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.export.fit_calibration", fail)
    with pytest.raises(KeyboardInterrupt):
        export(runs[0], tmp_path / "bundle", version="1.1.0", data=data)
    assert Bundle(tmp_path / "bundle").manifest == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_confused_pairs_count_both_ways() -> None:
    truth = ["Shirt", "Shirt", "Coat", "Bag"]
    pairs = confused_pairs(score(truth, ["Coat", "Shirt", "Shirt", "Coat"], [0.5] * 4, [False] * 4))
    assert list(pairs.items())[:2] == [(("Coat", "Shirt"), 2), (("Coat", "Bag"), 1)]


def test_errors_among_some_classes() -> None:
    found = score(["Shirt", "Shirt", "Coat", "Bag"], ["Coat", "Shirt", "Bag", "Shirt"], [0.5] * 4, [False] * 4)
    assert errors_among(found, ("Shirt", "Coat")) == 1
    assert errors_among(found, LABELS) == 3


def test_comparison(runs: list[Path], data: FashionMNIST, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [load_entry([run], data.test) for run in runs]
    assert [entry.parameters for entry in entries] == [101_770, 225_034]
    text = compare_markdown(entries)
    ann, cnn = entries
    assert f"| accuracy | **{ann.evaluation.accuracy:.2%}** | **{cnn.evaluation.accuracy:.2%}** |" in text
    assert "| over seeds | one run | one run |" in text
    assert "| parameters | 101,770 | 225,034 |" in text
    twice = load_entry([runs[0], runs[0]], data.test)
    assert twice.accuracies == [entries[0].evaluation.accuracy] * 2
    assert f"| {np.mean(twice.accuracies):.2%} ± 0.00% (n = 2) |" in compare_markdown([twice])
    monkeypatch.setattr("train.reports.compare.load_fashion_mnist", lambda folder: data)
    monkeypatch.setattr("sys.argv", ["compare", *map(str, runs), "--out", str(tmp_path)])
    main()
    names = ["comparison.json", "comparison.md", "confusion-ann.png", "confusion-cnn.png", "curves.png", "rescued.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
