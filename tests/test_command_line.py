import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fashion_classifier
from fashion_classifier import FashionClassifier, find_garments, predict
from fashion_classifier.__main__ import main

COAT, BAG, HAT = "examples/coat.jpg", "examples/fashion-mnist-bag.png", "examples/hat.jpg"


def test_one_picture_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([COAT, "--top", "2"]) == 0
    (first, p), (second, q) = predict(COAT).top(2)
    assert capsys.readouterr().out == f"{COAT}: {first} {p:.1%}, {second} {q:.1%}\n"


def test_several_pictures_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([COAT, BAG, HAT]) == 0
    coat, bag, hat = capsys.readouterr().out.splitlines()
    # the longest path has 30 characters, the longest label 11
    assert len(BAG) == 30
    assert coat == f"{COAT}{' ' * 13}  Coat{' ' * 9}{predict(COAT).confidence:6.1%}"
    assert bag == f"{BAG}  Bag{' ' * 10}{predict(BAG).confidence:6.1%}"
    assert hat.endswith("%  not sure")


def test_lines_for_several_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([COAT, BAG, "--format", "line"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{COAT}: Coat ")
    assert second.startswith(f"{BAG}: Bag ")


def test_every_garment_has_a_line(outfit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = find_garments(outfit)
    assert len(expected) > 1
    assert main([str(outfit), "--all"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{outfit}: {one.label} {one.confidence:.1%}" for one in expected]
    assert main([str(outfit), HAT, "--all", "--json"]) == 0
    output = capsys.readouterr()
    garments = json.loads(output.out)
    assert [(one["picture"], one["box"]) for one in garments] == [(str(outfit), list(one.image.box)) for one in expected]
    assert output.err == f"{HAT}: No garment is found.\n"


def test_the_garment_at_a_point(outfit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(outfit), "--at", "130,300"])
    expected = predict(outfit, at=(130, 300))
    assert capsys.readouterr().out == f"{outfit}: {expected.label} {expected.confidence:.1%}\n"
    assert main([str(outfit), "--at", "300,0"]) == 1
    assert "The point (300, 0) lies outside the picture; the picture has 260x" in capsys.readouterr().err
    for options, problem in (
        ([COAT, "--at", "1,2"], "argument --at: is for one picture, received 2"),
        (["--at", "1"], "argument --at: takes two numbers X,Y, received '1'"),
        (["--at", "1,2", "--all"], "argument --all: not allowed with argument --at"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([str(outfit), *options])
        assert problem in capsys.readouterr().err


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([COAT, "missing, or not.png", "--format", "csv"]) == 1
    good, bad = csv.DictReader(io.StringIO(capsys.readouterr().out))
    prediction = predict(COAT)
    assert (good["picture"], good["label"], good["uncertain"], good["error"]) == (COAT, "Coat", "False", "")
    assert float(good["confidence"]) == pytest.approx(prediction.confidence)
    assert good["model_version"] == prediction.model_version
    assert (bad["picture"], bad["label"]) == ("missing, or not.png", "")
    assert bad["error"].startswith("Cannot read the file 'missing, or not.png': No such file")


def test_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        shutil.copy(BAG, tmp_path / f"{number:02}.PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "05.PNG").write_bytes(b"damaged")
    assert main([str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert [Path(line.split()[0]).name for line in output.out.splitlines()] == [f"{n:02}.PNG" for n in range(12) if n != 5]
    progress = [line for line in output.err.splitlines() if " of 12" in line]
    assert progress == ["2 of 12", "4 of 12", "6 of 12", "8 of 12", "10 of 12", "12 of 12"]
    assert len(output.err.splitlines()) == 7  # and the damaged file
    assert "is not an image of a known format" in output.err


def test_a_pattern_that_the_shell_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b.png", "a.png", "c[1].png"):
        shutil.copy(BAG, tmp_path / name)
    assert main([str(tmp_path / "?.png"), str(tmp_path / "c[1].png"), "--json"]) == 0
    output = capsys.readouterr()
    assert [Path(answer["picture"]).name for answer in json.loads(output.out)] == ["a.png", "b.png", "c[1].png"]
    assert output.err == ""


def test_where_no_picture_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = str(tmp_path / "*.jpg")
    assert main([pattern, str(tmp_path), COAT]) == 1
    output = capsys.readouterr()
    assert output.out.startswith(f"{COAT}: Coat ")
    assert output.err.splitlines()[:2] == [f"{pattern}: No picture is there.", f"{tmp_path}: No picture is there."]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    model = FashionClassifier.from_pretrained().version
    assert capsys.readouterr().out == f"fashion-classifier {fashion_classifier.__version__}, model {model}\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([COAT, "--json", "--top", "3"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["picture"] == COAT
    assert answer["label"] == "Coat"
    assert answer["top"] == [list(pair) for pair in predict(COAT).top(3)]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_a_bad_file_does_not_stop_the_good_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    assert main([str(bad), COAT, "missing.png"]) == 1
    output = capsys.readouterr()
    assert output.out.split()[:2] == [COAT, "Coat"]
    first, second = output.err.splitlines()
    assert first.startswith(f"{bad}: The file '{bad}' ")
    assert "is not an image of a known format" in first
    assert second.startswith("missing.png: Cannot read the file 'missing.png': No such file or directory.")


def test_json_of_a_bad_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["missing.png", COAT, "--json"]) == 1
    bad, good = json.loads(capsys.readouterr().out)
    assert bad["picture"] == "missing.png"
    assert "No such file" in bad["error"]
    assert good["label"] == "Coat"


def test_a_missing_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([COAT, "--model", str(tmp_path)]) == 1
    assert "is not a usable model bundle: cannot read manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], [COAT, "--top", "0"], [COAT, "--top", "11"], [COAT, "--nonsense"]])
def test_a_wrong_call(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m fashion_classifier" in capsys.readouterr().err


def test_as_a_process() -> None:
    result = subprocess.run([sys.executable, "-m", "fashion_classifier", COAT], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"{COAT}: Coat ")
