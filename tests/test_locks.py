import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fashion_classifier.locks import once
from tests.patience import PATIENCE


def test_threads_that_come_together_load_once_and_nothing_is_forgotten() -> None:
    loaded, together = [], threading.Barrier(8)

    @once
    def load(name: str) -> list[str]:
        loaded.append(name)
        return [name]

    def get(i: int) -> list[str]:
        together.wait(PATIENCE)
        return load("ab"[i % 2])

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(get, range(8)))
    assert sorted(loaded) == ["a", "b"]
    assert all(names is load("ab"[i % 2]) for i, names in enumerate(got))


def test_what_failed_is_tried_again() -> None:
    answers: Iterator[OSError | int] = iter([OSError("the disk is away"), 5])

    @once
    def load() -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(OSError, match="the disk is away"):
        load()
    assert (load(), load()) == (5, 5)
