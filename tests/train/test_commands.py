import subprocess
import sys
from pathlib import Path

import pytest

from train.commands import add_data, command_parser, given_data, told

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ("thumbnails", "export", "reports.compare", "publish", "deploy_space", "adopt", "reproduce")
SLOW = {"keras", "tensorflow", "torch", "jax", "sklearn", "scipy", "matplotlib"}  # seconds each


def test_help_waits_for_nothing_that_takes_seconds_to_load() -> None:
    program = f"""
import importlib, sys
for name in {COMMANDS}:
    command = importlib.import_module(f"train.{{name}}")
    sys.argv = [name, "--help"]
    try:
        command.main()
    except SystemExit as ended:
        assert ended.code == 0
    else:
        raise AssertionError(name)
print(sorted({SLOW} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


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
