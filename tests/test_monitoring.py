import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import CommitOperationAdd, CommitScheduler, HfApi
from PIL import Image

from fashion_classifier import LABELS, Prediction, canonicalize, monitoring, predict
from fashion_classifier.bundle import DEFAULT_MODEL, Bundle
from fashion_classifier.mirror import MirrorApi
from fashion_classifier.monitoring import NONE_OF_THE_TEN, Journal, journal_from_environment, read_events
from tests.loopback_hub import WRITE_TOKEN, Handler, LoopbackHub
from tests.patience import eventually
from train.pictures.feedback import feedback_pictures, load_feedback

UPLOADS = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
"""huggingface_hub 2.4 uploads large files by a name of httpx2's that is about to go."""


def predicted(label: str = "Coat", shade: int = 40) -> Prediction:
    """An answer to a dark square of 40x40 pixels on a white picture, 100 wide and 80 high."""
    photo = np.full((80, 100, 3), 255, np.uint8)
    photo[20:60, 30:70] = shade
    probabilities = {name: 0.91 if name == label else 0.01 for name in LABELS}
    return Prediction(probabilities, 0.66666, canonicalize(photo), Bundle(DEFAULT_MODEL))


def test_a_prediction_is_one_line_without_the_picture(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    event = Journal(tmp_path / "new").record(predicted(), seconds=0.01234)
    (path,) = (tmp_path / "new").iterdir()
    (line,) = path.read_text().splitlines()
    entry = json.loads(line)
    noted = datetime.fromisoformat(entry.pop("time"))  # to the millisecond
    assert before - timedelta(milliseconds=1) < noted <= datetime.now(UTC)
    assert entry == {
        "event": "prediction",
        "id": event,
        "version": Bundle(DEFAULT_MODEL).manifest.version,
        "commit": None,
        "label": "Coat",
        "confidence": 0.91,
        "uncertain": False,
        "typicality": 0.6667,
        "input": {
            "width": 100,
            "height": 80,
            "isolation": "white background",
            "box": None,
            "covered": 0.2,  # 40 x 40 of 100 x 80
            "mean": 215.0,  # 255 - 40 all over the 28x28
            "standard deviation": 0.0,
        },
        "milliseconds": 12.34,
    }


def test_corrections_keep_a_picture_only_with_consent(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    one, two = predicted("Coat"), predicted("Bag", shade=90)
    journal.correct("a", one, "Shirt", keep_picture=False)
    journal.correct("b", two, NONE_OF_THE_TEN, keep_picture=True)
    first, second = read_events(tmp_path)
    assert (first["id"], first["label"], first["answer"], first["picture"]) == ("a", "Shirt", "Coat", None)
    assert (second["label"], second["answer"], second["picture"]) == (NONE_OF_THE_TEN, "Bag", "pictures/b.png")
    with Image.open(tmp_path / "pictures" / "b.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), two.image.photo)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["b.png"]


def test_consent_may_be_taken_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.correct("a", predicted(), "Shirt", keep_picture=True)
    journal.correct("a", predicted(), "Shirt", keep_picture=False)
    assert list((tmp_path / "pictures").iterdir()) == []
    assert load_feedback(tmp_path).groups == ()


def test_pictures_are_kept_as_long_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    assert journal.correct("a", predicted(), "Shirt", keep_picture=True)
    monkeypatch.setattr(monitoring, "MAX_PICTURES", 1)
    assert not journal.correct("b", predicted(), "Shirt", keep_picture=True)
    assert [event["picture"] for event in read_events(tmp_path)] == ["pictures/a.png", None]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["a.png"]


def test_the_oldest_predictions_go_and_corrections_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "MAX_FILE", 1000)  # bytes, of two or three lines
    monkeypatch.setattr(monitoring, "MAX_LINES", 5000)
    journal = Journal(tmp_path)
    journal.correct("a", predicted(), "Shirt", keep_picture=False)
    ids = [journal.record(predicted(), 0.001) for _ in range(100)]
    kept = [event["id"] for event in read_events(tmp_path)]
    assert kept[0] == "a"
    assert 5 < len(kept) < 15
    assert kept[1:] == ids[len(ids) - len(kept) + 1 :]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) < 6000


def test_within_a_millisecond_a_prediction_comes_before_its_correction(tmp_path: Path) -> None:
    prediction = {"event": "prediction", "id": "a", "time": GOOD["time"]}
    (tmp_path / "day-0000.jsonl").write_text(json.dumps(prediction) + "\n")
    (tmp_path / "day-0000-corrections.jsonl").write_text(json.dumps(GOOD) + "\n")
    for written_last in ("day-0000.jsonl", "day-0000-corrections.jsonl"):
        os.utime(tmp_path / written_last)
        assert [event["event"] for event in read_events(tmp_path)] == ["prediction", "correction"]


def test_the_latest_events_are_read_without_all_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path)
    ids = [journal.record(predicted(), 0.001) for _ in range(20)]
    old = tmp_path / "2020-01-01-a.jsonl"
    old.write_text("not read\n")
    os.utime(old, (0, 0))
    assert [event["id"] for event in read_events(tmp_path, latest=5)] == ids[-5:]
    assert caplog.text == ""
    assert len(read_events(tmp_path, latest=21)) == 20
    assert "holds a line that is not an event" in caplog.text


CORRECTING = """
import sys
from pathlib import Path
from tests.test_monitoring import predicted
from fashion_classifier.monitoring import Journal

journal, prediction = Journal(Path(sys.argv[1])), predicted()
for number in range(200):
    journal.correct(str(number), prediction, "Shirt", keep_picture=True)
    print("thanked", number, flush=True)
"""


def test_a_correction_that_was_thanked_for_outlives_a_crash(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CORRECTING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        thanked = [process.stdout.readline() for _ in range(80)]
        process.kill()
        thanked += process.stdout.readlines()  # those between the two
    numbers = [line.split()[1] for line in thanked if line.endswith("\n")]
    events = {event["id"]: event for event in read_events(tmp_path)}
    assert set(numbers) <= events.keys()
    assert 80 <= len(numbers) < 200
    for number in numbers:
        with Image.open(tmp_path / events[number]["picture"]) as picture:
            picture.load()


def test_an_unknown_correction(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"Unknown label 'Hat'; allowed are T-shirt/top, .*, Ankle boot and 'None of the ten'\."
    ):
        Journal(tmp_path).correct("a", predicted(), "Hat", keep_picture=True)
    assert list(tmp_path.iterdir()) == []


def test_many_threads_and_two_processes_worth_of_journals(tmp_path: Path) -> None:
    journals = [Journal(tmp_path), Journal(tmp_path)]
    prediction = predicted()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda i: journals[i % 2].record(prediction, 0.001), range(200)))
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert sorted(event["id"] for event in read_events(tmp_path)) == sorted(ids)


def test_a_line_cut_off_by_a_crash_loses_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Journal(tmp_path).record(predicted(), 0.1)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '5\n{"event": "predic')
    assert len(read_events(tmp_path)) == 1
    assert "holds a line that is not an event" in caplog.text


GOOD = {
    "time": "2026-11-26T10:00:00.000+00:00",
    "event": "correction",
    "id": "a",
    "version": "v1",
    "label": "Shirt",
    "answer": "Coat",
    "picture": "pictures/a.png",
}


@pytest.mark.parametrize(
    "line",
    [
        *(
            json.dumps({name: value for name, value in GOOD.items() if name != missing})
            for missing in GOOD
            if missing != "version"
        ),
        *(
            json.dumps(GOOD | changed)
            for changed in (
                {"event": "other"},
                {"id": 5},
                {"id": "../a", "picture": "pictures/../a.png"},
                {"time": "yesterday"},
                {"time": "2026-11-26T10:00:00"},
                {"time": 5},
                {"label": "Hat"},
                {"label": "\x1b[2J"},
                {"label": ["Coat"]},
                {"answer": ["Coat"]},
                {"answer": NONE_OF_THE_TEN},
                {"picture": "../../etc/passwd"},
                {"picture": "pictures/b.png"},
                {"picture": ["pictures/a.png"]},
                {"version": "\x1b]0;title\x07"},
                {"confidence": 1.5},
                {"confidence": float("nan")},
                {"confidence": "0.5"},
                {"box": "all"},
                {"box": [1, 2, 3]},
                {"box": [-1, 2, 3, 4]},
                {"box": [1, 2, 0, 4]},
                {"box": [1, 2, 3, 1e9]},
                {"box": [1, 2, 3, 4_000]},
                {"box": [True, 2, 3, 4]},
            )
        ),
        "[" * 60_000,
        '{"a":' * 10_000,
        "9" * 10_000,
        "x" * 200_000,
        "null",
        '"correction"',
        "",
    ],
)
def test_a_line_that_is_no_event_is_left_out(line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.jsonl").write_text(f"{line}\n{json.dumps(GOOD)}\n{line}\n")
    assert read_events(tmp_path) == [GOOD]
    assert "holds a line that is not an event" in caplog.text
    assert "\x1b" not in caplog.text


def test_a_line_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"event": "\xff"}\n' + json.dumps(GOOD).encode() + b"\n\xff\0\n")
    assert read_events(tmp_path) == [GOOD]
    assert load_feedback(tmp_path).groups == ()  # its picture is gone


@pytest.mark.parametrize("event", ["", "../a", "a/b", "a.b", "a" * 65, 5])
def test_a_correction_of_what_is_no_event(event: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown event"):
        Journal(tmp_path / "journal").correct(event, predicted(), "Coat", keep_picture=True)
    assert not (tmp_path / "journal").exists()


def test_a_gray_photo_is_no_thumbnail_to_learn_from(tmp_path: Path) -> None:
    """What stands on white is one for `canonicalize`, but a network for photos answered it."""
    gray = np.full((300, 240), 255, np.uint8)
    gray[60:240, 60:180] = np.random.default_rng(0).integers(0, 200, (180, 120))
    prediction = predict(gray)
    assert (canonicalize(gray).is_photo, prediction.image.is_photo) == (False, True)
    Journal(tmp_path).correct("a", prediction, "Coat", keep_picture=True)
    assert len(feedback_pictures(tmp_path)) == 1
    assert load_feedback(tmp_path).groups == ()


def test_corrections_come_back_for_training(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.correct("a", predicted(), "Shirt", keep_picture=True)
    journal.correct("a", predicted(), "Dress", keep_picture=True)  # changed their mind
    journal.correct("b", predicted(shade=90), NONE_OF_THE_TEN, keep_picture=True)
    journal.correct("c", predicted(), "Bag", keep_picture=False)
    pictures = load_feedback(tmp_path)
    assert pictures.groups == ("Dress", NONE_OF_THE_TEN)
    assert pictures.targets.sum(axis=1).tolist() == [1, 0]
    np.testing.assert_array_equal(pictures.images[0], predicted().image.pixels)
    result = subprocess.run(
        [sys.executable, "-m", "train.pictures.feedback", str(tmp_path)], capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert lines[0] == "4 corrections, 3 with their picture"
    assert "1 x answered Coat, corrected to Bag" in lines


def test_the_journal_says_which_garment_of_a_photo_it_speaks_of(tmp_path: Path) -> None:
    photo = np.full((90, 120, 3), (200, 180, 120), np.uint8)
    mask = np.zeros((90, 120), np.bool_)
    mask[20:60, 30:50] = True
    image = canonicalize(photo, segment=lambda photo: mask)
    pointed = Prediction(dict.fromkeys(LABELS, 0.1), 0.5, image, Bundle(DEFAULT_MODEL))
    journal = Journal(tmp_path)
    journal.correct(journal.record(pointed, 0.1), pointed, "Bag", keep_picture=True)
    journal.correct("b", predicted(), "Shirt", keep_picture=True)
    answered, corrected, thumbnail = read_events(tmp_path)
    assert answered["input"]["box"] == corrected["box"] == [30, 20, 20, 40]
    assert thumbnail["box"] is None
    assert [one.box for one in feedback_pictures(tmp_path)] == [(30, 20, 20, 40), None]


@pytest.mark.parametrize("box", [[0, 0, 121, 10], [100, 85, 10, 10]])
def test_a_box_that_is_not_in_its_picture_is_not_believed(box: list[int], tmp_path: Path) -> None:
    event = GOOD | {"picture": "pictures/a.png", "box": box}
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (120, 90)).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "one.jsonl").write_text(json.dumps(event) + "\n")
    assert [one.box for one in feedback_pictures(tmp_path)] == [None]


def test_where_the_journal_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASHION_CLASSIFIER_JOURNAL")
    assert journal_from_environment(tmp_path).folder == tmp_path
    monkeypatch.setenv("FASHION_CLASSIFIER_JOURNAL", "/elsewhere")
    assert journal_from_environment(tmp_path).folder == Path("/elsewhere")


def pushed(hub: LoopbackHub) -> list[str]:
    """The event ids that the dataset on the Hub holds."""
    repository = hub.repositories.get("datasets/owner/journal")
    if repository is None:
        return []
    lines = [
        line for name, content in repository.head.files.items() if name.endswith(".jsonl") for line in content.splitlines()
    ]
    return [json.loads(line)["id"] for line in lines]


def refuse(request: Handler) -> bool:
    request.fail(403, "", "Storage limit reached")
    return True


@pytest.fixture
def schedulers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CommitScheduler]]:
    """Those that were started, which end with the test."""
    started: list[CommitScheduler] = []
    start = CommitScheduler.__init__

    def remember(self: CommitScheduler, **options: Any) -> None:
        start(self, **options)
        started.append(self)

    monkeypatch.setattr(CommitScheduler, "__init__", remember)
    yield started
    for scheduler in started:
        scheduler.stop()


def test_the_mirror_survives_a_hub_that_is_down_at_first_and_refuses_later(
    tmp_path: Path,
    loopback: LoopbackHub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    schedulers: list[CommitScheduler],
) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    monkeypatch.setattr(monitoring, "RETRY", 0.1)
    loopback.stop()
    journal = Journal(tmp_path / "journal")
    first = journal.record(predicted(), 0.1)
    journal.mirror("owner/journal", minutes=0.005)
    eventually(lambda: "The dataset owner/journal cannot be reached, trying again" in caplog.text)

    loopback.start()
    eventually(lambda: pushed(loopback) == [first])
    (scheduler,) = schedulers
    loopback.before = refuse
    second = journal.record(predicted(), 0.1)
    eventually(lambda: scheduler.last_future.done() and scheduler.last_future.exception() is not None)
    loopback.before = lambda request: False
    eventually(lambda: pushed(loopback) == [first, second])
    assert loopback.repositories["datasets/owner/journal"].private


def mirrored(hub: LoopbackHub) -> list[str]:
    """The pictures in the dataset on the Hub, and in any commit of its history."""
    repository = hub.repositories.get("datasets/owner/journal")
    commits = repository.commits if repository else []
    return sorted({path for commit in commits for path in commit.files if path.endswith(".png")})


@UPLOADS
def test_a_picture_that_is_taken_back_leaves_the_dataset_and_no_other(
    tmp_path: Path, loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, schedulers: list[CommitScheduler]
) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    before = Journal(tmp_path / "before the restart")
    for event in "abc":
        before.correct(event, predicted(), "Shirt", keep_picture=True)
    before.mirror("owner/journal", minutes=0.005)
    eventually(lambda: mirrored(loopback) == ["pictures/a.png", "pictures/b.png", "pictures/c.png"])
    before.correct("a", predicted(), "Shirt", keep_picture=False)
    eventually(lambda: mirrored(loopback) == ["pictures/b.png", "pictures/c.png"])
    assert pushed(loopback) == ["a", "b", "c", "a"]
    schedulers.pop().stop()

    journal = Journal(tmp_path / "empty")
    journal.correct("b", predicted(), "Shirt", keep_picture=False)
    journal.correct("d", predicted(), "Shirt", keep_picture=False)
    journal.correct("d", predicted(), "Shirt", keep_picture=True)
    journal.mirror("owner/journal", minutes=0.005)
    eventually(lambda: mirrored(loopback) == ["pictures/c.png", "pictures/d.png"])
    assert sorted(pushed(loopback)) == ["a", "a", "b", "b", "c", "d", "d"]


@UPLOADS
def test_a_picture_that_is_taken_back_while_it_is_pushed(
    tmp_path: Path, loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    api = MirrorApi(tmp_path)
    api.create_repo("owner/journal", repo_type="dataset", private=True)
    Journal(tmp_path).correct("a", predicted(), "Shirt", keep_picture=False)
    listed = [CommitOperationAdd(f"pictures/{name}.png", name.encode()) for name in "ab"]
    api.create_commit("owner/journal", listed, commit_message="Listed before", repo_type="dataset")
    assert mirrored(loopback) == ["pictures/b.png"]


@UPLOADS
def test_pictures_that_are_the_same_are_pushed(tmp_path: Path, loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    (tmp_path / "picture").write_bytes(bytes(3_000_000))
    api = MirrorApi(tmp_path)
    api.create_repo("owner/journal", repo_type="dataset", private=True)
    with ExitStack() as opened:
        files = [opened.enter_context((tmp_path / "picture").open("rb")) for _ in range(5)]
        listed = [CommitOperationAdd(f"pictures/{number}.png", file) for number, file in enumerate(files)]
        api.create_commit("owner/journal", listed, commit_message="Five", repo_type="dataset")
    assert mirrored(loopback) == [f"pictures/{number}.png" for number in range(5)]


def test_nothing_goes_to_a_public_dataset(
    tmp_path: Path, loopback: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    HfApi().create_repo("owner/journal", repo_type="dataset", private=False)
    journal = Journal(tmp_path / "journal")
    journal.record(predicted(), 0.1)
    journal.mirror("owner/journal", minutes=0.005)
    eventually(lambda: "The dataset owner/journal is public: the journal is not pushed there" in caplog.text)
    assert pushed(loopback) == []
