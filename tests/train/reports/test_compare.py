from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fashion_classifier import LABELS, Bundle
from tests.tiny_bundles import change, changed, put
from train.reports.compare import (
    Entry,
    all_pairs,
    confused_pairs,
    grouped,
    keep,
    main,
    paired,
    plot_curves,
    to_markdown,
    verdicts,
)
from train.reports.thumbnails import score

TRUTH = [LABELS[i % 10] for i in range(400)]


def answers(wrong: Sequence[int]) -> list[str]:
    """The right names, and on these images the next one in order."""
    return [LABELS[(LABELS.index(label) + 1) % 10] if i in set(wrong) else label for i, label in enumerate(TRUTH)]


def entry(name: str, wrong: Sequence[int], **recipe: Any) -> Entry:
    """A network that is wrong on these images."""
    named = answers(wrong)
    evaluation = score(TRUTH, named, [0.9] * len(TRUTH), [False] * len(TRUTH))
    history = [{"accuracy": 0.5, "val_fashion_mnist_accuracy": 0.6}] * recipe.get("epochs", 0)
    return Entry(name, [evaluation.accuracy], evaluation, named, 7, 8, 9, 1.0, recipe, True, history)


def test_confused_pairs_count_both_ways() -> None:
    truth = ["Shirt", "Shirt", "Coat", "Bag"]
    pairs = confused_pairs(score(truth, ["Coat", "Shirt", "Shirt", "Coat"], [0.5] * 4, [False] * 4))
    assert list(pairs.items())[:2] == [(("Coat", "Shirt"), 2), (("Coat", "Bag"), 1)]


def test_mcnemar_by_hand() -> None:
    """Of six images that one alone names right the first has five: 2 * (1 + 6) / 2**6."""
    found = paired(TRUTH, answers([0, 50]), answers([1, 2, 3, 4, 5, 50]))
    assert (found.first, found.second) == (5, 1)
    assert found.p == pytest.approx(2 * (1 + 6) / 2**6)
    assert paired(TRUTH, answers([3]), answers([3])).p == 1


@pytest.mark.parametrize(
    "wrong",
    [
        (range(40), range(40)),  # the same network twice
        (range(40), range(40, 80)),  # as often right, on other images
        (range(40), range(34)),  # six of six images: p = 2 / 2**6 is below 0.05, but not below a third of it
    ],
)
def test_equal_networks_have_no_winner(wrong: tuple[range, range]) -> None:
    entries = [entry("ann", wrong[0]), entry("cnn", wrong[1]), entry("resnet", wrong[0])]
    sentences = verdicts(all_pairs(entries, TRUTH))
    assert len(sentences) == 3
    assert all("these images do not tell which of the two is the more often right (p = " in text for text in sentences)
    text = to_markdown(entries, sentences)
    assert not any(word in text for word in ("of these two networks the", "better", "gains", "worse", "best"))


def test_a_better_network_wins_and_only_it() -> None:
    good, bad = entry("cnn", range(8)), entry("ann", range(60))
    (sentence,) = verdicts(all_pairs([bad, good], TRUTH))
    assert sentence == (
        "The ann names 0 images right that the cnn names wrong, the cnn 52 that the ann names wrong: of these two networks the "
        "cnn is the more often right (p < 0.0001)."
    )
    assert "of these two networks the cnn is" in verdicts(all_pairs([good, bad], TRUTH))[0]


def test_the_tables_say_what_the_runs_were() -> None:
    """Two epochs each, on images as they are: nothing may be said of long training or of mirrored images."""
    entries = [entry("ann", range(60), epochs=2, augmentation=False), entry("cnn", range(70))]
    text = to_markdown(entries, verdicts(all_pairs(entries, TRUTH)))
    assert "| trained for | 2 epochs | not recorded |" in text
    assert "| augmented images | no | not recorded |" in text
    assert "| accuracy | **85.00%** | **82.50%** |" in text
    assert "| Trouser and Pullover | 6 | 7 |" in text  # of sixty, six images of each class are named as the next one
    assert not any(word in text for word in ("convolution", "mirrored", "pixels"))
    assert len(plot_curves(entries[:1]).axes[0].lines) == 2


def test_runs_that_differ_in_more_than_their_seed_are_different_networks(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    one = tiny_bundles["one look"]
    other = changed(one, tmp_path / "run" / "bundle")
    history = (other / "training.json").read_text()
    assert grouped([one, other]) == {"tiny": [one, other]}
    put(other, "training.json", history.replace('"epochs": 1', '"epochs": 1, "seed": 3').encode())
    assert grouped([one, tmp_path / "run"]) == {"tiny": [one, tmp_path / "run"]}
    put(other, "training.json", history.replace('"epochs": 1', '"epochs": 2').encode())
    assert grouped([one, tmp_path / "run"]) == {"tiny-one-look": [one], "tiny-run": [tmp_path / "run"]}
    twin = changed(other, tmp_path / "other" / "run")
    put(twin, "training.json", history.replace('"epochs": 1', '"epochs": 3').encode())
    with pytest.raises(ValueError, match="need folders of different names, received tiny-run, tiny-run"):
        grouped([other, twin])


def test_a_run_without_a_bundle_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "mine"), "--out", str(tmp_path)])
    assert ended.value.code == 1
    mine = tmp_path / "mine"
    assert capsys.readouterr().err == (
        f"There is no bundle in {mine}: export it first, python -m train.export {mine} {mine}/bundle.\n"
    )


def test_a_network_is_kept_with_what_its_bundle_says_of_it(tiny_bundles: dict[str, Path], tmp_path: Path) -> None:
    bundle = Bundle(changed(tiny_bundles["thumbnail"], tmp_path / "bundle", experts__thumbnail__temperature=2.5))
    kept = keep(bundle.path, "ann", tmp_path)
    assert (tmp_path / "ann.tflite").read_bytes() == bundle.read("thumbnail.tflite")
    assert (kept.file, kept.sha256) == ("ann.tflite", bundle.manifest.files["thumbnail.tflite"])
    assert (kept.version, kept.uncertain_below, kept.expert.temperature) == ("1.0.0", 0.05, 2.5)
    assert [(member.form, member.file) for member in kept.expert.members] == [("canonical", "ann.tflite")]

    other = (bundle.path / "thumbnail.tflite").read_bytes()
    put(bundle.path, "another.tflite", other)
    member = asdict(bundle.manifest.experts["thumbnail"].members[0])
    change(bundle.path, experts__thumbnail__members=[member, member | {"file": "another.tflite"}])
    with pytest.raises(
        ValueError, match=r"One network for thumbnails can be kept, .*bundle has another.tflite, thumbnail.tflite"
    ):
        keep(bundle.path, "ann", tmp_path)
