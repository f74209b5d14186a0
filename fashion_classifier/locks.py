"""Locks that are free again in a forked child, where the threads that held them are not."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from threading import Lock
from typing import TypeVar, TypeVarTuple

import cv2

Arguments = TypeVarTuple("Arguments")
T = TypeVar("T")


if hasattr(os, "register_at_fork"):
    # a lock of OpenCV's threads may be held at the fork, and none of them is in the child: it does without them
    os.register_at_fork(after_in_child=lambda: cv2.setNumThreads(0))


class ForkedLock:
    """A lock or a semaphore, made anew in each forked child; one for a module, as it is never forgotten."""

    def __init__(self, make: Callable[[], AbstractContextManager[bool]] = Lock) -> None:
        self._make = make
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = self._make()

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(None, None, None)


def once(load: Callable[[*Arguments], T]) -> Callable[[*Arguments], T]:
    """Call a function once for each of its arguments, and give all threads what it returned."""
    kept: dict[tuple[object, ...], T] = {}
    lock = ForkedLock()

    @wraps(load)
    def get(*args: *Arguments) -> T:
        with lock:
            if args not in kept:
                kept[args] = load(*args)
            return kept[args]

    return get
