import subprocess
import sys
from pathlib import Path

import pytest

from train.commands import FOLDERS, add_data, add_folders, command_parser, given_data, told

ROOT = Path(__file__).parent.parent.parent
# whatever can be typed after `python -m`
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "train").rglob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)
SLOW = {"keras", "tensorflow", "torch", "jax", "sklearn", "scipy", "skimage", "matplotlib"}  # seconds each


def test_help_waits_for_nothing_that_takes_seconds_to_load() -> None:
    program = f"""
import importlib, sys, time
for name in {COMMANDS}:
    before = time.process_time()
    command = importlib.import_module(name)
    sys.argv = [name, "--help"]
    try:
        command.main()
    except SystemExit as ended:
        assert ended.code == 0
    else:
        raise AssertionError(name)
    taken = time.process_time() - before
    assert taken < 1, (name, taken)
    assert not {SLOW} & set(sys.modules), name
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
    assert {"train.photos", "train.segmentation", "train.reports.outfits"} < set(COMMANDS)
    assert len(COMMANDS) >= 19


def test_help_tells_the_defaults_that_there_are() -> None:
    parser = command_parser("What it does.\n\n    as it is typed")
    parser.add_argument("--epochs", type=int, default=7, help="to train")
    parser.add_argument("--h5", action="store_true", help="add a file")
    parser.add_argument("--run", action="append", default=[], help="folder")
    add_data(parser)
    text = parser.format_help()
    assert "What it does.\n\n    as it is typed\n" in text
    assert "to train (default: 7)\n" in text
    assert text.count("(default:") == 2  # that, and what --data says itself
    assert given_data(parser.parse_args(["--data", "folder"])) == " --data folder"
    assert given_data(parser.parse_args([])) == ""


def test_folders_are_options_of_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    parser = command_parser("")
    add_folders(parser, "photos", required=True)
    add_folders(parser, "shop", "people")
    arguments = parser.parse_args(["--photos", "here", "--people", "there"])
    assert vars(arguments) == {"photos": Path("here"), "shop": None, "people": Path("there")}
    assert FOLDERS["shop"] in parser.format_help()
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert capsys.readouterr().err.endswith("required: --photos\n")


def test_what_is_wrong_with_a_folder_is_told_in_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, told(command_parser("")):
        raise FileNotFoundError("There is no such folder: give another one.")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "There is no such folder: give another one.\n"
    with pytest.raises(KeyError), told(command_parser("")):
        raise KeyError("a mistake of ours")


def test_quiet_keeps_away_what_libraries_print_but_no_error() -> None:
    program = """
import os, sys
from train.commands import quiet
print("before")
try:
    with quiet():
        print("printed")
        os.write(1, b"written")
        os.write(2, b"logged")
        raise ValueError("as ever")
except ValueError as error:
    print("after", error)
print("still there", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("before\nafter as ever\n", "still there\n")
