"""What passes from one process to another, and what lives on in a forked one; memory is measured in a process of its own."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from fashion_classifier import (
    ExplanationError,
    FashionClassifier,
    FashionClassifierError,
    HubError,
    InvalidBundleError,
    InvalidImageError,
    InvalidReferenceError,
    ModelIntegrityError,
    explain,
    predict,
)
from tests.patience import PATIENCE

PHOTO = "examples/dress.jpg"
COPIES: list[Callable[[Any], Any]] = [lambda value: pickle.loads(pickle.dumps(value)), copy.deepcopy, copy.copy]


def in_a_process_of_its_own(program: str, *arguments: str) -> str:
    """What a program prints. It may hang, and must not take this process along."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    child = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    sys.stderr.write(child.stderr)
    assert child.returncode == 0
    return child.stdout


@pytest.mark.parametrize("again", COPIES, ids=["pickle", "deepcopy", "copy"])
@pytest.mark.parametrize(
    "error",
    [
        FashionClassifierError("a", 5),
        InvalidImageError("The data is empty.", "a path", 3),
        InvalidBundleError(Path("folder"), "it is empty."),
        ModelIntegrityError(Path("folder/model"), "12", "34"),
        InvalidReferenceError(5, "it is a number"),
        HubError("owner/name", "v1", "it is down."),
        ExplanationError("Unknown target."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_pass(error: FashionClassifierError, again: Callable[[Any], Any]) -> None:
    received = again(error)
    assert type(received) is type(error)
    assert (str(received), received.args, vars(received)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("again", COPIES, ids=["pickle", "deepcopy", "copy"])
def test_answers_and_classifiers_pass(again: Callable[[Any], Any]) -> None:
    prediction = predict(PHOTO)
    explanation = explain(prediction, method="gradcam")
    assert again(explanation).faithfulness == explanation.faithfulness
    for received in (again(prediction), again(explanation).prediction):
        assert received.to_dict() == prediction.to_dict()
        np.testing.assert_array_equal(received.image.photo, prediction.image.photo)
        assert predict(received.image).to_dict() == prediction.to_dict()
    classifier = FashionClassifier.from_pretrained()
    assert again(classifier).bundle == classifier.bundle
    assert again(classifier).predict(PHOTO).to_dict() == prediction.to_dict()


def test_a_bad_picture_breaks_no_pool(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(InvalidImageError, match="not an image of a known format"):
            pool.submit(predict, str(tmp_path / "bad.jpg")).result(PATIENCE)
        assert pool.submit(predict, PHOTO).result(PATIENCE).to_dict() == predict(PHOTO).to_dict()
        classifier = FashionClassifier.from_pretrained()
        assert pool.submit(classifier.predict, PHOTO).result(PATIENCE).label == "Dress"


FORKS = """
import faulthandler, sys, threading, multiprocessing
from fashion_classifier import predict

def name(picture):
    while not stop.is_set():
        predict(picture)

def answer(picture):
    faulthandler.dump_traceback_later(240)  # where it hangs
    assert [prediction.label for prediction in predict([picture] * 2)] == ["Dress"] * 2

stop = threading.Event()
threads = [threading.Thread(target=name, args=sys.argv[2:]) for _ in range(8)]
for thread in threads:
    thread.start()
context = multiprocessing.get_context("fork")
for _ in range(int(sys.argv[1])):
    child = context.Process(target=answer, args=sys.argv[2:])
    child.start()
    child.join(300)
    print(child.exitcode)
    if child.exitcode is None:
        child.kill()
        break
stop.set()
"""


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_process_that_is_forked_while_threads_predict_predicts(times: int) -> None:
    assert in_a_process_of_its_own(FORKS, str(times), PHOTO).split() == ["0"] * times


IMPORTED = """
import sys
from pathlib import Path
from fashion_classifier import InvalidImageError, explain, find_garments, predict

before = set(sys.modules)
for path in sys.argv[1:]:
    try:
        prediction = predict(path)
    except InvalidImageError:
        continue
    predict(Path(path).read_bytes())
    explain(prediction, looks=10)
    explain(prediction, method="gradcam")
find_garments(path)
print(sorted(set(sys.modules) - before))
"""


def test_predicting_imports_nothing(tmp_path: Path) -> None:
    """A process that is forked while another thread imports something waits for it without end, if it needs the same."""
    photo = Image.open(PHOTO)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    files = [tmp_path / f"photo.{name}" for name in ("jpg", "png", "webp", "gif", "bmp", "ppm", "tiff", "avif", "mpo")]
    for file in files:
        photo.save(file, exif=turned)
    (tmp_path / "text.png").write_text("no picture")
    heic = Path(__file__).parent / "fixtures" / "shirt.heic"
    paths = [*files, tmp_path / "text.png", heic, "examples/fashion-mnist-bag.png", PHOTO]
    assert in_a_process_of_its_own(IMPORTED, *map(str, paths)) == "[]\n"


OUTLIVES = """
import sys, threading
from fashion_classifier import predict

def name():
    threading.main_thread().join()
    print(predict(sys.argv[1]).label)

threading.Thread(target=name).start()
"""


def test_a_thread_that_outlives_the_main_thread_predicts() -> None:
    assert in_a_process_of_its_own(OUTLIVES, PHOTO) == "Dress\n"


WITHOUT_TENSORFLOW = """
import sys
from fashion_classifier import explain, predict

for picture in sys.argv[1:]:
    for options in ({"looks": 10}, {"method": "gradcam"}, {"method": "gradcam", "against": "Bag"}):
        explain(predict(picture), target="Coat", **options).sentence
print([name for name in ("tensorflow", "keras", "tf_keras_vis", "matplotlib") if name in sys.modules])
"""


def test_the_default_and_gradcam_load_no_tensorflow() -> None:
    assert in_a_process_of_its_own(WITHOUT_TENSORFLOW, PHOTO, "examples/fashion-mnist-bag.png") == "[]\n"


FORK_WITH_TENSORFLOW = """
import multiprocessing, sys
from fashion_classifier import ExplanationError, explain, predict

def answer(prediction):
    try:
        explain(prediction, method="gradcam++")
    except ExplanationError as error:
        print(error, flush=True)

prediction = predict(sys.argv[1])
explain(prediction, method="gradcam++")
child = multiprocessing.get_context("fork").Process(target=answer, args=(prediction,))
child.start()
child.join(300)
child.kill()
"""


def test_explain_in_a_process_that_was_forked_with_tensorflow_says_so(
    tiny_bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASHION_CLASSIFIER_MODEL", str(tiny_bundles["one look"]))
    expected = "TensorFlow would hang here, in a process forked from one that had loaded it: start processes with 'spawn'.\n"
    assert in_a_process_of_its_own(FORK_WITH_TENSORFLOW, PHOTO) == expected


MEMORY = """
import os, resource, sys
from concurrent.futures import ThreadPoolExecutor

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # as on a Space: more cores run more networks at once
from fashion_classifier import predict

def resident():
    with open("/proc/self/statm") as file:
        print(int(file.read().split()[1]) * resource.getpagesize())

picture = sys.argv[1]
for _ in range(8):
    predict(picture)
resident()
predict([picture] * 32)
resident()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: predict(picture).label, range(64)))
    list(pool.map(lambda _: len(predict([picture] * 16)), range(8)))
resident()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_lists_and_threads_give_back_what_they_took() -> None:
    single, after_a_list, after_threads = map(int, in_a_process_of_its_own(MEMORY, PHOTO).split())
    assert after_a_list < 1.3 * single
    assert after_threads < 1.3 * single


LARGE_BLOCKS = """
import resource, threading
from fashion_classifier.memory import give_back_large_blocks

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def take():
    for megabytes in (25, 30, 20, 28):
        block = b"x" * (megabytes * 2**20)
        small.append(b"y" * len(small))
        del block

give_back_large_blocks()
small, before = [], resident()
for threads in [[threading.Thread(target=take) for _ in range(16)] for _ in range(2)]:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_blocks_are_given_back() -> None:
    assert int(in_a_process_of_its_own(LARGE_BLOCKS)) < 30e6  # 200 MB and more where malloc keeps them
