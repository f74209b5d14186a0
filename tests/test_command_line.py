import json
import subprocess
import sys
from pathlib import Path

import pytest

from fashion_classifier import predict
from fashion_classifier.__main__ import main

COAT, BAG = "examples/coat.jpg", "examples/fashion-mnist-bag.png"


def test_one_line_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([COAT, BAG, "--top", "2"]) == 0
    expected = [
        f"{path}: " + ", ".join(f"{label} {probability:.1%}" for label, probability in predict(path).top(2))
        for path in (COAT, BAG)
    ]
    assert capsys.readouterr().out.splitlines() == expected


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
    assert output.out.startswith(f"{COAT}: Coat ")
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
