"""The service under the page: what is kept, and for how many."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fashion_classifier import Bundle, FashionClassifier, InvalidImageError, InvalidPlaceError, find_garments
from fashion_classifier.bundle import DEFAULT_MODEL
from fashion_classifier.decoding import may_take_long
from fashion_classifier.monitoring import Journal
from page import words
from page.cache import Cache
from page.limits import BusyError, Lane, Turns
from page.service import SLOW_EACH, Service
from page.visitors import asking
from tests.patience import PATIENCE, eventually

COAT = Path("examples/coat.jpg").read_bytes()
HEIC = (Path(__file__).parent / "fixtures" / "shirt.heic").read_bytes()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(FashionClassifier(Bundle(DEFAULT_MODEL)), Journal(tmp_path_factory.mktemp("journal")))


def test_a_cache_keeps_what_was_used_last() -> None:
    made: list[str] = []

    def make(key: str) -> str:
        return cache.get(key, lambda: made.append(key) or key * 4)  # type: ignore[func-returns-value]

    cache = Cache[str](10, len)
    assert [make(key) for key in ("a", "b", "a", "c", "a", "b")] == ["aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"]
    assert made == ["a", "b", "c", "b"]  # b made room for c
    assert cache.bytes == 8
    assert cache.get("large", lambda: "x" * 11) == "x" * 11  # given, and not kept
    assert cache.bytes == 0


def test_who_asks_for_what_is_being_made_waits_for_it() -> None:
    cache, go_on, made = Cache[str](10, len), threading.Event(), list[int]()

    def slow() -> str:
        made.append(1)
        assert go_on.wait(PATIENCE)
        return "a"

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(cache.get, "key", slow) for _ in range(8)]
        eventually(lambda: bool(made))
        go_on.set()
        assert [one.result() for one in asked] == ["a"] * 8
    assert made == [1]


def test_what_fails_is_tried_again() -> None:
    cache = Cache[float](10, lambda value: 1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cache.get("key", lambda: 1 / 0)
    assert cache.get("key", lambda: 0.5) == 0.5


def test_a_lane_is_bounded_for_all_and_for_each() -> None:
    lane = Lane("calls", 3, 2)
    with lane.place("a"), lane.place("a"):
        with pytest.raises(BusyError, match=r"^2 calls of yours are waiting already; try again when they are answered\.$"):
            lane.place("a").__enter__()
        with (
            lane.place("b"),
            pytest.raises(BusyError, match=r"^3 calls are waiting already; try again in 5 seconds\.$"),
        ):
            lane.place("c").__enter__()
    with lane.place("a"), lane.place(""), lane.place(""):
        pass


def test_visitors_take_turns() -> None:
    turns, ended = Turns(1), list[str]()

    def call(visitor: str) -> None:
        with turns.turn(visitor):
            ended.append(visitor)

    with ThreadPoolExecutor(8) as pool:
        with turns.turn("a"):
            for number, visitor in enumerate("aaabac"):
                pool.submit(call, visitor)
                eventually(lambda waiting=number + 1: sum(map(len, turns._waiting.values())) == waiting)  # type: ignore[misc]
            assert ended == []
        eventually(lambda: len(ended) == 6)
    assert ended == ["a", "b", "c", "a", "a", "a"]
    with turns.turn("a"):  # the place is free again
        pass


def test_what_takes_long_to_decode_keeps_nobody_from_a_turn(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, go_on = threading.Semaphore(0), threading.Event()
    predict = service.classifier.predict

    def slow(picture: bytes) -> object:
        if may_take_long(picture):
            decoding.release()
            assert go_on.wait(PATIENCE)
        return predict(picture)

    def ask(picture: bytes, visitor: str) -> str:
        with asking(visitor):
            return service.predict(picture).label

    monkeypatch.setattr(service.classifier, "predict", slow)
    photos = [HEIC + bytes([number]) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, photo, "a") for photo in photos[:SLOW_EACH]]
        assert decoding.acquire(timeout=PATIENCE)
        eventually(lambda: service._decoding._inside["a"] == SLOW_EACH)
        with pytest.raises(BusyError, match=r"^2 pictures that take long to decode of yours are waiting already"):
            ask(photos[2], "a")
        assert ask(COAT + b"another file", "a") == "Coat"
        asked.append(pool.submit(ask, photos[3], "b"))
        go_on.set()
        assert [one.result() for one in asked] == ["Shirt"] * 3


def test_a_picture_is_named_once_whoever_asks(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    predict = service.classifier.predict

    def counted(picture: object, **options: object) -> object:
        decoded.extend([picture] if isinstance(picture, bytes) else [])
        return predict(picture, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(service.classifier, "predict", counted)
    answer = service.answer(COAT)
    service.garments(COAT)
    service.predict(COAT, (100, 150))
    service.explain(COAT)
    service.correct(answer.event, COAT, None, "Dress", keep_picture=False)
    assert service.answer(COAT).prediction is answer.prediction
    assert decoded == [COAT]


def test_a_garment_by_its_number(service: Service, outfit: Path) -> None:
    expected = find_garments(outfit)
    assert service.predict(outfit.read_bytes(), 1).probabilities == expected[1].probabilities
    for number in (-1, len(expected)):
        with pytest.raises(InvalidPlaceError, match=f"There is no garment {number} among {len(expected)}"):
            service.predict(outfit.read_bytes(), number)


def test_words(service: Service) -> None:
    assert [words.percent(share) for share in (0.004, 0.5, 0.994, 0.997, 0.99999, 1.0)] == [
        "0%",
        "50%",
        "99%",
        "99.7%",
        "99.9%",
        "99.9%",
    ]
    told = "/srv/app/model is broken, see https://host/a/b or C:/x and T-shirt/top."
    assert words.without_folders(told) == "model is broken, see https://host/a/b or C:/x and T-shirt/top."
    with pytest.raises(InvalidImageError) as caught:
        service.predict(b"hello")
    assert words.sentence(caught.value).endswith("Accepted: JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF, PPM, HEIC files.")
