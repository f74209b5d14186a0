import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_classifier import Bundle, FashionClassifier
from fashion_classifier.bundle import DEFAULT_MODEL
from tests.drawn_garments import photo, shirt
from train.networks.lineage import lineage_of_file
from train.pictures.fashion_mnist import Pictures
from train.pictures.splits import split_of
from train.reproduce import Sources, Step, main, run, steps

FOLDERS = Path("data"), Path("photos"), Path("street")


def test_the_chain_from_nothing() -> None:
    listed = steps(Path("out"), "1.2.0", Sources(*FOLDERS, initial=None))
    trained = [step.arguments for step in listed if "--run" in step.arguments]
    runs = [arguments[arguments.index("--run") + 1] for arguments in trained]
    thumbnails = "resnet-first", "resnet-second", "resnet-third", "resnet"
    of_photos = "photos-first", "photos-second", "photos-third", "photos-fourth", "photos-fifth", "photos"
    faded = "faded-first", "faded-second", "faded-third", "faded-fourth", "faded"
    assert runs == [
        *(f"out/{name}-{seed}" for name in ("ann", "cnn") for seed in range(3)),
        *(f"out/{name}" for name in (thumbnails[0], "segmentation", of_photos[0], faded[0], *thumbnails[1:])),
        *(f"out/{name}" for name in (*of_photos[1:], *faded[1:])),
    ]
    continued = [arguments for arguments in trained if arguments[0] == "resnet-continued"]
    assert [arguments[arguments.index("--initial") + 1] for arguments in continued] == [
        "out/resnet-first",
        "out/resnet-second",
    ]
    averaged = [step.arguments for step in listed if step.module == "train.networks.average"]
    assert [arguments[1::2] for arguments in averaged] == [
        ("out/resnet", "out/resnet-third", "out/resnet-second", "0.5"),
        ("out/photos-fourth", "out/photos-third", "out/photos-second", "0.5"),
        ("out/photos-fifth", "out/photos-fourth", "out/photos-first", "0.4"),
        ("out/faded-third", "out/faded-second", "out/faded-first", "0.5"),
        ("out/faded", "out/faded-fourth", "out/faded-third", "0.5"),
    ]
    assert [arguments[1] for arguments in trained if "--refit" in arguments] == [
        "out/photos-third",
        "out/photos",
        "out/faded-second",
        "out/faded-fourth",
    ]
    made: set[str] = set()  # nothing is used before it is there
    for step in listed:
        used = {
            argument for argument in step.arguments if argument.startswith("out/") and not argument.startswith("out/report")
        }
        new = {f"{path}/bundle" for path in used} if step.module == "train.export" else set()
        if "--run" in step.arguments:
            new = {step.arguments[step.arguments.index("--run") + 1]}
        assert used - new <= made, step
        made |= new
    assert [step.module for step in listed[-4:]] == [
        "train.reports.thumbnails",
        "train.reports.photos",
        "train.reports.typicality",
        "train.reports.compare",
    ]


def test_a_bundle_to_start_from() -> None:
    listed = steps(Path("out"), "1.2.0", Sources(*FOLDERS, initial=Path("bundle")), smoke=True)
    assert "train.segmentation" not in {step.module for step in listed}
    trained = [step for step in listed if step.module in ("train.thumbnails", "train.photos")]
    assert len(trained) == 2 + 7
    assert all(step.arguments[len(step.arguments) - step.arguments[::-1].index("--epochs")] == "1" for step in trained)
    assert [step.arguments[step.arguments.index("--initial") + 1] for step in trained[2:]] == [
        "bundle",
        "out/resnet-second",
        "bundle",
        "out/photos-second",
        "out/photos-fifth",
        "bundle",
        "out/faded-third",
    ]


def test_what_a_step_takes() -> None:
    taken = run(Step("timeit", ("-n", "1", "-r", "1", "sum(range(3_000_000))")))
    assert 0 < taken.core_hours < taken.hours * 1.5 < 0.05


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def sources(tmp_path: Path, thumbnails: Pictures) -> Path:
    """5,400 training images, of which 400 are left to train on, six phone photos and twenty of the street."""
    labels = thumbnails.targets.argmax(axis=1).astype(np.uint8)
    write_idx(tmp_path / "train-images-idx3-ubyte", np.tile(thumbnails.images, (27, 1, 1)))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.tile(labels, 27))
    write_idx(tmp_path / "t10k-images-idx3-ubyte", thumbnails.images)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", labels)
    for folder in ("images", "photos", "masks"):
        (tmp_path / folder).mkdir()
    rows = ["image,sender_id,label,kids"]
    for split in ("training", "validation", "test"):
        sender = next(name for name in map(str, range(100)) if split_of(name) == split)
        for label in ("Shirt", "Hat"):
            rows.append(f"{split}-{label},{sender},{label},False")
            drawn = photo(shirt(60, 80), (200, 20, 20), (170, 170, 160))
            Image.fromarray(drawn).save(tmp_path / "images" / f"{split}-{label}.jpg")
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "labels.json").write_text('["null", "skin", "coat"]')
    for number in range(0, 200, 10):
        Image.fromarray(photo(shirt(90, 120), (20, 40, 160), (90, 120, 80))).save(tmp_path / "photos" / f"{number:04}.jpg")
        Image.fromarray(shirt(90, 120).astype(np.uint8) * 2).save(tmp_path / "masks" / f"{number:04}.png")
    return tmp_path


@pytest.mark.slow
def test_the_whole_chain_for_a_moment(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    folders = [f"--{name}={sources}" for name in ("data", "photos", "street")]
    main(["--out", str(out), "--version", "9.9.9", *folders, "--initial", str(DEFAULT_MODEL), "--smoke"])
    classifier = FashionClassifier.from_pretrained(out / "resnet" / "bundle")
    assert classifier.version == "9.9.9"
    assert [member.form for member in classifier.bundle.manifest.experts["photo"].members] == ["plain", "faded mirrored"]
    origin = lineage_of_file(classifier.bundle, "thumbnail.tflite")
    assert [parent["share"] for parent in origin.record["parents"]] == [0.5, 0.5]
    assert lineage_of_file(Bundle(DEFAULT_MODEL), "thumbnail.tflite").runs.items() <= origin.runs.items()
    assert json.loads((out / "report" / "evaluation.json").read_text())["n"] == 200
    assert json.loads((out / "report" / "photos.json").read_text()).keys() == {"photos", "street"}
    assert (out / "report" / "typicality.md").is_file()
    assert (out / "report" / "comparison.md").read_text().startswith("# ann, cnn, resnet on the 200 test images")
    taken = json.loads((out / "steps.json").read_text())
    assert len(taken) == 2 + 2 + 7 + 5 + 1 + 4
    assert all(step["core_hours"] > 0 for step in taken.values())
