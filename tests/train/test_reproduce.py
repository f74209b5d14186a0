import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import FashionClassifier
from tests.tiny_folders import write_folders
from train import reproduce
from train.commands import FOLDERS
from train.pictures.fashion_mnist import Pictures
from train.reproduce import Sources, Step, Taken, main, run, steps

ROOT = Path(__file__).parent.parent.parent
SOURCES = Sources(Path("data"), Path("photos"), Path("street"))
ALL = replace(SOURCES, shop=Path("shop"), people=Path("people"), things=Path("things"), pictures=Path("pictures"))
KEPT = Path("kept")  # a bundle


def value(step: Step, option: str) -> str | None:
    """What an option has; of several equal ones the last counts."""
    words = step.arguments[::-1]
    return words[words.index(option) - 1] if option in words else None


def test_the_chain_from_nothing() -> None:
    listed = steps(Path("out"), "1.2.0", SOURCES)
    assert [(step.module.removeprefix("train."), value(step, "--run")) for step in listed] == [
        *(("thumbnails", f"out/{name}-{seed}") for name in ("ann", "cnn") for seed in range(3)),
        *[("export", None)] * 6,
        *(("thumbnails", f"out/resnet-{number}") for number in (1, 2, 3)),
        ("networks.average", "out/resnet"),
        ("export", None),
        ("orientation", "out/orientation"),
        ("segmentation", "out/segmentation"),
        ("photos", "out/photos-1"),
        ("photos", "out/photos-2"),
        ("networks.average", "out/photos"),
        ("export", None),
        *((f"reports.{name}", None) for name in ("thumbnails", "photos", "outfits", "typicality", "explanations", "compare")),
    ]
    assert [(step.arguments[0], value(step, "--initial")) for step in listed if step.module == "train.thumbnails"][6:] == [
        ("resnet", None),
        ("resnet-continued", "out/resnet-1"),
        ("resnet-continued", "out/resnet-2"),
    ]
    first, second = (step for step in listed if step.module == "train.photos")
    assert (value(first, "--initial"), value(second, "--initial")) == (None, "out/photos-1")
    averages = [step.arguments[1::2] for step in listed if step.module == "train.networks.average"]
    assert averages == [
        ("out/resnet", "out/resnet-3", "out/resnet-2", "0.5"),
        ("out/photos", "out/photos-2", "out/photos-1", "0.5"),
    ]
    exported = [step for step in listed if step.module == "train.export"]
    assert exported[-1].arguments[:2] == ("out/resnet", "out/bundle")
    assert (value(exported[-1], "--segmentation"), value(exported[-1], "--photo-run")) == ("out/segmentation", "out/photos")
    assert value(exported[-1], "--orientation") == "out/orientation"
    assert {value(step, "--version") for step in exported} == {"1.2.0"}


@pytest.mark.parametrize("thumbnails", [None, KEPT])
@pytest.mark.parametrize("smoke", [False, True])
def test_nothing_is_used_before_it_is_there(thumbnails: Path | None, smoke: bool) -> None:
    made: set[str] = set()
    for step in steps(Path("out"), "1.2.0", replace(ALL, thumbnails=thumbnails), smoke=smoke):
        used = {word for word in step.arguments if word.startswith("out/") and word != "out/report"}
        new = {word for word in (value(step, "--run"), step.arguments[1]) if word in used}
        if step.module == "train.reports.compare":
            used, new = used | {f"{place}/bundle" for place in used}, set()
        elif step.module == "train.export":
            new = {step.arguments[1]}
        assert used - new <= made, step
        made |= new
    assert "out/bundle" in made


def options(sources: Sources) -> dict[str, list[str]]:
    """The options of each module that name folders of data."""
    listed = steps(Path("out"), "1.2.0", replace(sources, thumbnails=KEPT))
    names = {f"--{name}" for name in ("data", "photos", "street", "shop", "people", "things", "pictures")}
    for step in listed:
        for name in names.intersection(step.arguments):
            assert value(step, name) == name[2:]
    return {step.module: [word[2:] for word in step.arguments if word in names] for step in listed}


def test_folders_are_options_where_they_are_given() -> None:
    assert options(ALL) == {
        "train.orientation": ["data"],
        "train.segmentation": ["photos", "street", "shop"],
        "train.photos": ["photos", "street", "shop", "people", "things", "pictures", "data"],
        "train.networks.average": [],
        "train.export": ["data", "photos", "street", "shop", "people"],
        "train.reports.thumbnails": ["data"],
        "train.reports.photos": ["photos", "street", "shop", "people", "things"],
        "train.reports.outfits": ["street", "people"],
        "train.reports.typicality": ["photos", "shop", "things", "data"],
        "train.reports.explanations": ["photos", "street", "data"],
    }
    assert options(SOURCES) == {
        "train.orientation": ["data"],
        "train.segmentation": ["photos", "street"],
        "train.photos": ["photos", "street", "data"],
        "train.networks.average": [],
        "train.export": ["data", "photos", "street"],
        "train.reports.thumbnails": ["data"],
        "train.reports.photos": ["photos", "street"],
        "train.reports.outfits": ["street"],
        "train.reports.typicality": ["photos", "data"],
        "train.reports.explanations": ["photos", "street", "data"],
    }


def test_a_kept_network_for_thumbnails_is_not_trained() -> None:
    listed = steps(Path("out"), "1.2.0", replace(SOURCES, thumbnails=KEPT))
    assert [step.module.removeprefix("train.") for step in listed] == [
        *("orientation", "segmentation", "photos", "photos", "networks.average", "export"),
        *("reports.thumbnails", "reports.photos", "reports.outfits", "reports.typicality", "reports.explanations"),
    ]
    assert listed[5].arguments[:2] == ("kept", "out/bundle")


TRAINERS = ("train.thumbnails", "train.orientation", "train.segmentation", "train.photos")


def test_every_network_for_a_moment() -> None:
    listed = steps(Path("out"), "1.2.0", SOURCES, smoke=True)
    trained = [step for step in listed if step.module in TRAINERS]
    assert len(trained) == 2 + 3 + 4
    assert {value(step, "--epochs") for step in trained} == {"1"}
    assert [value(step, "--batches") for step in trained] == [None] * 6 + ["2"] * 3


def test_every_module_knows_the_options_that_it_is_given() -> None:
    for step in steps(Path("out"), "1.2.0", ALL, smoke=True):
        source = (ROOT / f"{step.module.replace('.', '/')}.py").read_text()
        source = source.replace("add_data(parser)", '"--data"')
        for option in (word for word in step.arguments if word.startswith("--")):
            name = option.removeprefix("--")
            assert (f'"{name}"' if name in FOLDERS else f'"{option}"') in source, (step.module, option)


def test_what_a_step_takes() -> None:
    taken = run(Step("timeit", ("-n", "1", "-r", "1", "sum(range(3_000_000))")))
    assert 0 < taken.core_hours < taken.hours * 1.5 < 0.05


def test_what_each_step_took_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Step] = []

    def run(step: Step) -> Taken:
        ran.append(step)
        return Taken(0.5, 0.75)

    monkeypatch.setattr(reproduce, "run", run)
    out, given = tmp_path / "out", {name: tmp_path / name for name in ("data", "photos", "street", "shop", "thumbnails")}
    command = ["--out", f"{out}", "--version", "9.9.9", *(f"--{name}={folder}" for name, folder in given.items())]
    main(command)
    assert ran == steps(out, "9.9.9", Sources(**given))
    main(command)
    taken = json.loads((out / "steps.json").read_text())
    assert len(taken) == 11
    assert list(taken.values()) == [{"hours": 1.0, "core_hours": 1.5}] * 11


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def folders(tmp_path: Path, thumbnails: Pictures) -> dict[str, Path]:
    """A few pictures of every source, and 5,400 training images, of which 400 are left to train on."""
    data = tmp_path / "data"
    data.mkdir()
    labels = thumbnails.targets.argmax(axis=1).astype(np.uint8)
    write_idx(data / "train-images-idx3-ubyte", np.tile(thumbnails.images, (27, 1, 1)))
    write_idx(data / "train-labels-idx1-ubyte", np.tile(labels, 27))
    write_idx(data / "t10k-images-idx3-ubyte", thumbnails.images)
    write_idx(data / "t10k-labels-idx1-ubyte", labels)
    return write_folders(tmp_path) | {"data": data}


@pytest.mark.slow
def test_the_whole_chain_for_a_moment(folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    main(["--out", f"{out}", "--version", "9.9.9", *(f"--{name}={folder}" for name, folder in folders.items()), "--smoke"])
    classifier = FashionClassifier.from_pretrained(out / "bundle")
    assert classifier.version == "9.9.9"
    assert [member.form for member in classifier.bundle.manifest.experts["photo"].members] == ["garment", "garment mirrored"]
    assert json.loads((out / "report" / "evaluation.json").read_text())["n"] == 200
    reported = json.loads((out / "report" / "photos.json").read_text())
    assert reported.keys() == {"photos", "street", "shop", "people", "things"}
    assert (out / "report" / "typicality.md").is_file()
    assert (out / "report" / "explanations.md").is_file()
    assert (out / "report" / "comparison.md").read_text().startswith("# ann, cnn, resnet on the 200 test images")
    taken = json.loads((out / "steps.json").read_text())
    assert len(taken) == 2 + 2 + 3 + 1 + 1 + 5 + 1 + 6
    assert all(step["core_hours"] > 0 for step in taken.values())
