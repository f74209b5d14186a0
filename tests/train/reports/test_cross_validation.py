from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import LABELS
from train.networks.recipes import RECIPES
from train.networks.runs import load_config, load_network
from train.networks.thumbnail_training import as_input
from train.pictures.fashion_mnist import FashionMNIST, Pictures
from train.reports.cross_validation import cross_validate

RECIPE = replace(RECIPES["ann"], epochs=12, batch_size=10)
TROUSER, BOOT = LABELS.index("Trouser"), LABELS.index("Ankle boot")


@pytest.fixture(scope="module")
def data(thumbnails: Pictures) -> FashionMNIST:
    """200 images, of which three of the first ankle boots are called trousers."""
    targets = thumbnails.targets.copy()
    wrong = np.flatnonzero(targets[:, BOOT])[:3]
    targets[wrong] = np.eye(10, dtype=np.float32)[TROUSER]
    everything = Pictures(thumbnails.images, targets, thumbnails.groups)
    order = np.concatenate([wrong, np.random.default_rng(0).permutation(np.setdiff1d(np.arange(200), wrong))])
    validation = everything.take(order[160:])
    return FashionMNIST(everything.take(order[:160]), validation, validation)


@pytest.mark.slow
def test_every_image_is_answered_by_a_network_that_never_saw_it(
    data: FashionMNIST, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = cross_validate(RECIPE, data, tmp_path)
    with np.load(tmp_path / "answers.npz") as stored:
        logits, labels = stored["logits"], stored["labels"]
    everything = Pictures.joined([data.training, data.validation])
    np.testing.assert_array_equal(labels, everything.targets.argmax(axis=1))
    by_fold = np.stack(
        [load_network(tmp_path / f"fold-{i}").predict(as_input(everything.images), verbose=0) for i in range(3)], axis=1
    )
    fold = np.abs(by_fold - logits[:, np.newaxis]).max(axis=2).argmin(axis=1)
    np.testing.assert_allclose(by_fold[np.arange(200), fold], logits, atol=1e-4)
    for i in range(3):
        config = load_config(tmp_path / f"fold-{i}")
        assert config["recipe"]["seed"] == i
        assert config["data"] == {"training": int(np.sum(fold != i)), "validation": int(np.sum(fold == i))}
    assert sorted(np.bincount(fold)) == [66, 67, 67]

    right = logits.argmax(axis=1) == labels
    assert summary["accuracy on the training images"] == np.mean(right[:160]) > 0.5
    assert summary["accuracy on the validation images"] == np.mean(right[160:]) > 0.5
    assert len(summary["accuracy on the test images"]) == 3
    tested = by_fold[160:].argmax(axis=2) == labels[160:, np.newaxis]
    assert summary["accuracy on the test images"] == pytest.approx(tested.mean(axis=0))
    assert summary["doubted labels"] >= summary["doubted labels of validation images"] + 3
    with Image.open(tmp_path / "doubted.png") as sheet:
        assert sheet.width == 10 * 152

    capsys.readouterr()
    assert cross_validate(RECIPE, data, tmp_path) == summary  # a finished run is left alone
    assert capsys.readouterr().out.count("is finished already.") == 3
