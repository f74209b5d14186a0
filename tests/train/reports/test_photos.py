import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import LABELS, FashionClassifier
from tests.stand_ins import Naming
from tests.tiny_folders import group, write_folders
from train.pictures.grabcut import grabcut_mask
from train.pictures.rows import Row
from train.pictures.splits import split_of
from train.pictures.targets import SHOES
from train.reports import photos as photo_report
from train.reports.contact_sheet import CELL, COLUMNS, HEADER
from train.reports.photos import (
    MOST_ERRORS,
    SHOWN,
    SOURCES,
    STREET,
    Answer,
    Answers,
    Overlap,
    ask,
    ask_rows,
    ask_street,
    draw_answers,
    draw_errors,
    main,
    measure,
    plot,
    report,
    to_markdown,
)
from train.reports.thumbnails import wilson


def answered(
    label: str,
    accepted: tuple[str, ...],
    name: str,
    confidence: float = 0.9,
    *,
    sender: str = "1",
    uncertain: bool = False,
    overlap: Overlap | None = None,
    share: float | None = None,
    eye: str | None = None,
) -> Answer:
    view = Image.new("RGB", (12, 16), "maroon")
    return Answer(f"{label} {confidence}", sender, label, accepted, name, confidence, uncertain, view, overlap, share, eye)


PHONE = SOURCES["photos"][0]
ANSWERS = Answers(
    STREET,
    "validation",
    [
        *[answered("shoes", SHOES, name, sender="a") for name in ("Sneaker", "Sandal", "Ankle boot", "Sandal", "Sandal")],
        *[answered("shoes", SHOES, "Bag", confidence, sender="a", uncertain=confidence < 0.5) for confidence in (0.4, 0.6)],
        answered("sandals", ("Sandal",), "Sneaker", 0.95, sender="a", share=0.9),
        *[answered("coat", ("Coat",), "Coat", sender="a", eye=eye) for eye in ("Coat", "Dress")],
        *[answered("coat", ("Coat",), "Coat", sender="b", overlap=Overlap(pipeline=p, grabcut=0.25)) for p in (0.5, 1.0)],
        *[answered("coat", ("Coat",), "Shirt", 0.3, sender="c", uncertain=True, eye=eye) for eye in ["Shirt"] * 3 + [None] * 6],
        *[answered("coat", ("Coat",), "Coat", sender="d", share=share) for share in (*[0.4] * 7, 0.5, 0.51, 1.0)],
        answered("hat", (), "Bag", 0.99, sender="a", share=1.0),
        *[answered("hat", (), "Bag", 0.2, sender="b", uncertain=True) for _ in range(3)],
    ],
)


def test_summary_by_hand() -> None:
    summary = measure(ANSWERS)
    assert (summary["source"]["name"], summary["split"]) == ("street garments", "validation")
    assert summary["all"] == {"n": 31, "accuracy": 19 / 31, "interval": wilson(19, 31)}
    assert {group: (share["n"], share["accuracy"]) for group, share in summary["groups"].items()} == {
        "Coat": (23, 14 / 23),
        "Sandal": (1, 0.0),
        "Shoes": (7, 5 / 7),
    }
    assert summary["groups"]["Shoes"]["interval"] == wilson(5, 7)
    main_ones = summary["main garments"]
    assert main_ones["all"] == {"n": 3, "accuracy": 2 / 3, "interval": wilson(2, 3)}
    assert {group: (share["n"], share["accuracy"]) for group, share in main_ones["groups"].items()} == {
        "Coat": (2, 1.0),
        "Sandal": (1, 0.0),
    }
    assert summary["by eye"] == {
        "labels": {"n": 5, "accuracy": 0.2, "interval": wilson(1, 5)},
        "answers": {"n": 5, "accuracy": 0.8, "interval": wilson(4, 5)},
    }
    assert {label: (share["n"], share["accuracy"], share["not sure"]) for label, share in summary["labels"].items()} == {
        "coat": (23, 14 / 23, 9 / 23),  # of sandals, shoes and hats there are not enough
    }
    senders = summary["senders"]
    assert senders["n"] == 4
    assert {sender: (share["n"], share["accuracy"]) for sender, share in senders["with enough pictures"].items()} == {
        "a": (10, 0.7),  # b has 2 pictures; c, worse than a, has 9: one too few
        "d": (10, 1.0),
    }
    assert summary["worst sender"] == {"sender": "a", "n": 10, "accuracy": 0.7, "interval": wilson(7, 10)}
    assert summary["not sure"] == {
        "one of the ten": {"n": 31, "share": 10 / 31, "interval": wilson(10, 31)},
        "none of the ten": {"n": 4, "share": 0.75, "interval": wilson(3, 4)},
    }
    assert summary["mask IoU"] == {"n": 2, "pipeline": 0.75, "GrabCut": 0.25}
    assert [(error["label"], error["answer"], error["confidence"]) for error in summary["wrong"]] == [
        ("sandals", "Sneaker", 0.95),
        ("shoes", "Bag", 0.6),
        ("shoes", "Bag", 0.4),
        *[("coat", "Shirt", 0.3)] * 9,
    ]
    assert json.loads(json.dumps(summary))["all"]["interval"] == list(wilson(19, 31))


def test_confusion_by_hand() -> None:
    confusion = measure(ANSWERS)["confusion"]
    assert confusion["rows"] == ["Coat", "Sandal", "Shoes", "none of the ten"]
    assert confusion["columns"] == [*LABELS, "not sure"]
    coat, sandal, shoes, none = (dict(zip(confusion["columns"], row, strict=True)) for row in confusion["counts"])
    zero = dict.fromkeys(confusion["columns"], 0)
    assert coat == zero | {"Coat": 14, "Shirt": 9, "not sure": 9}
    assert sandal == zero | {"Sneaker": 1}
    assert shoes == zero | {"Sneaker": 1, "Sandal": 3, "Ankle boot": 1, "Bag": 2, "not sure": 1}
    assert none == zero | {"Bag": 4, "not sure": 3}
    (axes,) = plot(measure(ANSWERS), "resnet 1.0.0").axes
    assert axes.get_title() == "resnet 1.0.0, street garments: 61.29% of 31"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == confusion["rows"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == confusion["columns"]


TABLE = "| {} | n | right | 95 % interval |\n|---|---|---|---|\n"


def test_markdown_of_one_source() -> None:
    low, high = wilson(19, 31)
    text = to_markdown(measure(ANSWERS))
    assert text.startswith(f"{TABLE.format('group')}| all | 31 | 61.3% | {low:.1%} to {high:.1%} |\n| Coat | 23 | 60.9% |")
    low, high = wilson(2, 3)
    assert (
        "Those that are more than 50% of what is worn in their box (others are under or behind it):\n\n"
        f"{TABLE.format('group')}| all | 3 | 66.7% | {low:.1%} to {high:.1%} |\n| Coat | 2 | 100.0% |"
    ) in text
    (low, high), (lower, higher) = wilson(1, 5), wilson(4, 5)
    assert (
        "Of 5 tops that somebody named who knew neither label nor answer, the labels agree with that name in 20.0% "
        f"({low:.1%} to {high:.1%}), the answers in 80.0% ({lower:.1%} to {higher:.1%}).\n"
    ) in text
    assert "4 runs of ten photos; the worst with 10 garments or more: 70.0% of 10 (39.7% to 89.2%).\n" in text
    assert '"Not sure" on none of the ten: 75.0% of 4 (30.1% to 95.4%).\n' in text
    assert text.endswith(
        "Mean IoU with the true masks of 2 garments: 0.750 as the pipeline found them, 0.250 by GrabCut alone.\n"
    )


def things(n: int) -> Answers:
    return Answers(SOURCES["things"][0], "validation", [answered("Apple", (), "Bag", uncertain=i > 0) for i in range(n)])


def test_a_source_of_none_of_the_ten() -> None:
    summary = measure(things(12))
    assert (summary["all"], summary["groups"], summary["senders"], summary["labels"]) == (
        None,
        {},
        {"n": 0, "with enough pictures": {}},
        {},
    )
    assert (summary["calibration"], summary["worst sender"], summary["wrong"]) == (None, None, [])
    assert summary["not sure"] == {"none of the ten": {"n": 12, "share": 11 / 12, "interval": wilson(11, 12)}}
    low, high = wilson(11, 12)
    assert to_markdown(summary) == f'"Not sure" on none of the ten: 91.7% of 12 ({low:.1%} to {high:.1%}).\n'


def test_markdown_of_all_sources() -> None:
    phone = Answers(PHONE, "validation", [answered("Pants", ("Trouser",), "Trouser")])
    text = report("resnet 1.0.0", [measure(phone), measure(ANSWERS), measure(things(12))])
    head, photos, street, of_none = text.split("\n## ")
    overview = head.splitlines()
    assert overview[:3] == [
        "# resnet 1.0.0",
        "",
        "| source | n | right | 95 % interval | worst class | not sure | calibration error |",
    ]
    low, high = wilson(19, 31)
    error = measure(ANSWERS)["calibration"]["error"]
    assert overview[4].startswith("| phone photos | 1 | 100.0% | ")
    assert " |  | 0.0% | 0.100 |" in overview[4]  # no class has ten
    assert overview[5] == f"| street garments | 31 | 61.3% | {low:.1%} to {high:.1%} | Coat 60.9% of 23 | 32.3% | {error:.3f} |"
    assert overview[6:] == [
        "| street garments, none of the ten | 4 | | | | 75.0% | |",
        "| things, none of the ten | 12 | | | | 91.7% | |",
    ]
    assert photos.startswith("Phone photos\n\n| group | n |")
    assert "IoU" not in photos
    assert "worn" not in photos
    assert "senders" not in photos  # the only one has one photo
    assert "what the source calls them" not in street  # one label alone has ten
    assert street.startswith("Street garments\n\n| group | n |")
    table = street.partition("The runs of ten photos with 10 garments or more, the worst first:\n\n")[2].splitlines()
    assert [line.split(" | ")[:3] for line in table[2:]] == [["| a", "10", "70.0%"], ["| d", "10", "100.0%"]]
    assert of_none.startswith('Things\n\n"Not sure" on none of the ten: 91.7% of 12')


def test_labels_that_enough_pictures_have_stand_side_by_side() -> None:
    given = [answered(label, ("Coat",), "Coat" if i < 9 else "Bag") for label in ("Outwear", "Blazer") for i in range(10)]
    hats = [answered("Hat", (), "Bag") for _ in range(10)]  # no name is right for them
    text = report("1", [measure(Answers(PHONE, "test", [*given, *hats]))])
    table = text.partition("By what the source calls them:\n\n| label |")[2].splitlines()
    assert [line.split(" | ")[:3] for line in table[2:4]] == [["| Blazer", "10", "90.0%"], ["| Outwear", "10", "90.0%"]]
    assert "Hat" not in text


def test_the_sheet_holds_the_most_confident_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = []
    monkeypatch.setattr(photo_report, "contact_sheet", lambda title, pictures: sheets.append((title, pictures)))
    draw_errors(ANSWERS)
    wrong = [answered("coat", ("Coat",), "Bag", i / 1000) for i in range(MOST_ERRORS + 7)]
    draw_errors(Answers(PHONE, "test", [answered("coat", ("Coat",), "Coat"), *wrong]))
    (title, pictures), (long_title, many) = sheets
    assert title == "Street garments, validation split: 12 of 31 wrong, most confident first"
    assert [caption for _, caption in pictures[:3]] == ["sandals -> Sneaker,\n95%", "shoes -> Bag,\n60%", "shoes -> Bag,\n40%"]
    assert pictures[0][0].size == (12, 16)
    n = MOST_ERRORS + 7
    assert long_title == f"Phone photos, test split: {n} of {n + 1} wrong, most confident first; the last 7 are left out"
    assert len(many) == MOST_ERRORS
    assert many[0][1] == f"coat -> Bag,\n{(n - 1) / 1000:.0%}"


def test_a_sheet_shows_right_and_wrong_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = []
    monkeypatch.setattr(photo_report, "contact_sheet", lambda title, pictures: sheets.append((title, pictures)))
    right = [answered("Outwear", ("Coat",), "Coat", 0.5 + i / 100) for i in range(30)]
    wrong = [answered("Outwear", ("Coat",), "Shirt", 0.4, uncertain=True)]
    hat = answered("Hat", (), "Bag")
    draw_answers(Answers(PHONE, "test", [hat, *right, *wrong]))
    draw_answers(Answers(PHONE, "test", [hat, *right, *wrong]))
    (title, pictures), again = sheets
    assert title == "Phone photos: some of 30 right answers, then of 1 wrong ones; ? is not sure"
    assert [caption for _, caption in again[1]] == [caption for _, caption in pictures]
    *captions, last = [caption for _, caption in pictures]
    assert len(captions) == SHOWN[0]
    known = [f"Coat, {0.5 + i / 100:.0%}\nlabel: Outwear" for i in range(30)]
    assert captions == sorted(set(captions))  # in their order, each once
    assert captions != known[: SHOWN[0]]
    assert set(captions) <= set(known)
    assert last == "Shirt, 40% ?\nlabel: Outwear"


@pytest.fixture(scope="module")
def classifier() -> FashionClassifier:
    return Naming()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_folders(tmp_path_factory.mktemp("folders"))


STREET_RUN = next(f"{run:03}" for run in range(1000) if split_of(f"street {run:03}") == "validation")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photo of the validation split: a bag, of which the left half is dark, a hat, skin, and a wallet of 0.4 %."""
    folder = tmp_path_factory.mktemp("street")
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    (folder / "labels.json").write_text('["null", "bag", "hat", "skin", "wallet"]')
    mask = np.zeros((160, 160), np.uint8)
    mask[20:100, 40:120] = 1
    mask[112:152, 16:56] = 2
    mask[112:152, 72:112] = 3
    mask[112:122, 130:140] = 4
    photo = np.full((160, 160, 3), 255, np.uint8)
    photo[20:100, 40:80] = (30, 30, 90)
    photo[112:152, 16:56] = (90, 30, 30)
    Image.fromarray(photo).save(folder / "photos" / f"{STREET_RUN}7.jpg", quality=100, subsampling=0)
    Image.fromarray(mask).save(folder / "masks" / f"{STREET_RUN}7.png")
    return folder


RED, BLUE, BLACK = ("Ankle boot", False), ("Trouser", False), ("Ankle boot", True)  # how these are answered


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("photos", "{}", [("shirt", "Shirt", ("Shirt",), RED), ("hat", "Hat", (), BLACK)]),
        ("shop", "title {}", [("bag", "Handbags", ("Bag",), RED), ("watch", "Watches", (), BLACK)]),
        ("people", "street {:03}", [("", "bag coat pants", ("Coat",), BLUE)]),
        ("things", "kind {}", [("apple", "kind", (), BLACK)]),
        ("pictures", "room {}", [("cup", "none", (), BLACK)]),  # of the shoes it is not plain which kind is right
    ],
)
def test_any_source_is_asked_about(
    classifier: FashionClassifier,
    folders: dict[str, Path],
    name: str,
    form: str,
    expected: list[tuple[str, str, tuple[str, ...], tuple[str, bool]]],
) -> None:
    found = ask(classifier, name, folders[name], "validation")
    assert found.source is SOURCES[name][0]
    assert found.split == "validation"
    assert len(found.answers) == len(expected)
    for answer, (picture, label, accepted, named) in zip(found.answers, expected, strict=True):
        assert answer.picture.endswith(picture)
        assert answer.label.startswith(label)
        assert (answer.accepted, answer.confidence) == (accepted, 0.73)
        assert (answer.name, answer.uncertain) == named
        assert answer.sender == group("validation", form)
        assert (answer.overlap, answer.share, answer.eye) == (None, None, None)


def test_the_street_is_a_source_too(classifier: FashionClassifier, folders: dict[str, Path]) -> None:
    found = ask(classifier, "street", folders["street"], "training")
    assert found.source is STREET
    assert [answer.label for answer in found.answers] == ["coat"]


def test_pictures_that_are_asked_about_are_kept_small(classifier: FashionClassifier, tmp_path: Path) -> None:
    Image.new("RGB", (120, 160), "maroon").save(tmp_path / "a.png")
    rows = [Row(tmp_path / "a.png", "me", "Shoes", SHOES)]
    (answer,) = ask_rows(classifier, PHONE, rows, "test").answers
    assert answer.view.size == (96, 128)
    assert (answer.group, answer.right) == ("Shoes", True)


def test_a_source_whose_names_are_not_plain(classifier: FashionClassifier, tmp_path: Path) -> None:
    rows = [Row(tmp_path / "a.png", "me", "Kurtas", ("T-shirt/top", "Dress", "Shirt"))]
    with pytest.raises(ValueError, match=r"^There are no phone photos in the test split whose names are plain\.$"):
        ask_rows(classifier, PHONE, rows, "test")


def test_a_split_without_pictures(classifier: FashionClassifier, tmp_path: Path) -> None:
    (tmp_path / "things.csv").write_text("image,kind\n")
    with pytest.raises(ValueError, match=r"^There are no things in the validation split whose names are plain\.$"):
        ask(classifier, "things", tmp_path, "validation")


def test_street_garments_are_cropped_and_compared_with_their_masks(classifier: FashionClassifier, street: Path) -> None:
    bag, hat = ask_street(classifier, street, "validation").answers
    with Image.open(street / "photos" / f"{STREET_RUN}7.jpg") as image:
        crop = np.array(image)[12:108, 32:128]  # 80 pixels a side, 8 around them
    prediction = classifier.predict(crop)
    assert (bag.picture, bag.sender, bag.label, bag.group) == (f"{STREET_RUN}7", f"street {STREET_RUN}", "bag", "Bag")
    assert (bag.name, bag.confidence, bag.uncertain) == (prediction.label, prediction.confidence, prediction.uncertain)
    assert bag.view.size == (96, 96)
    np.testing.assert_array_equal(bag.view, crop)
    true = np.zeros((96, 96), bool)
    true[8:88, 8:88] = True
    assert bag.overlap is not None
    assert bag.overlap.pipeline == pytest.approx(0.5, abs=0.02)  # the dark half is all that can be seen
    found = grabcut_mask(crop)
    assert bag.overlap.grabcut == (found & true).sum() / (found | true).sum()
    assert (hat.label, hat.accepted, hat.group) == ("hat", (), "none of the ten")
    assert (bag.share, hat.share) == (1.0, 1.0)
    with pytest.raises(ValueError, match="holds no labelled garment of one of the ten, 1% of its photo or more, in the test"):
        ask_street(classifier, street, "test")


def test_a_street_garment_keeps_what_somebody_saw(
    classifier: FashionClassifier, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_report, "street_by_eye", lambda: {(f"{STREET_RUN}7", "bag"): "Coat"})
    answers = ask_street(classifier, street, "validation")
    assert [answer.eye for answer in answers.answers] == ["Coat", None]
    eye = measure(answers)["by eye"]
    assert (eye["labels"]["n"], eye["labels"]["accuracy"]) == (1, 0.0)


@pytest.fixture
def bundle(classifier: FashionClassifier, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the classifier is, for the command line."""
    loaded = {Path("bundle"): classifier}
    monkeypatch.setattr(FashionClassifier, "from_pretrained", loaded.__getitem__)
    return "bundle"


def test_command_line_writes_the_report(
    bundle: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--{name}={folder}" for name, folder in folders.items()]
    main([bundle, "--split", "validation", *options, "--out", str(tmp_path / "out")])
    of_the_ten = {"photos", "shop", "people", "street"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("photos.json", "photos.md", "reliability-photos.png"),
        "answers-photos.png",  # of what may be shown
        *(f"confusion-{name}.png" for name in of_the_ten),
        *(f"errors-{name}.png" for name in folders),
    }
    summaries = json.loads((tmp_path / "out" / "photos.json").read_text())
    assert summaries.keys() == folders.keys()
    assert {name: summary["all"]["n"] for name, summary in summaries.items() if summary["all"]} == dict.fromkeys(of_the_ten, 1)
    text = (tmp_path / "out" / "photos.md").read_text()
    assert text.startswith(f"# Version {Naming().version} on the validation split of photos\n")
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == [
        *(source.name.capitalize() for source, _ in SOURCES.values()),
        "Street garments",
    ]
    assert text in capsys.readouterr().out
    for name, summary in summaries.items():
        rows = -(-len(summary["wrong"]) // COLUMNS)
        with Image.open(tmp_path / "out" / f"errors-{name}.png") as sheet:
            assert sheet.size == (COLUMNS * CELL[0], HEADER + rows * CELL[1])
    with Image.open(tmp_path / "out" / "confusion-shop.png") as figure:
        assert figure.width > 400


def test_one_source_is_enough(bundle: str, street: Path, tmp_path: Path) -> None:
    main([bundle, "--split", "validation", "--street", str(street), "--out", str(tmp_path)])
    written = {"photos.json", "photos.md", "reliability-photos.png", "confusion-street.png", "errors-street.png"}
    assert {path.name for path in tmp_path.iterdir()} == written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            [],
            "nothing to measure on: give one of --photos, --shop, --people, --things, --pictures, --street",
        ),
        (["--photos", "missing"], "--photos must be a folder, missing is none"),
        (["--street", "missing"], "--street must be a folder, missing is none"),
    ],
)
def test_wrong_calls(options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bundle", "--out", str(tmp_path / "out"), *options])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
