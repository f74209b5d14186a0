"""What was made is kept for who asks next, as far as a number of bytes goes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Values by key, those used last; who asks for one that is being made waits for it. Safe to use from several threads."""

    def __init__(self, most: int, size: Callable[[V], int]) -> None:
        """Keep at most so many bytes, as `size` tells of each value."""
        self._most, self._size = most, size
        self._futures: dict[Hashable, Future[V]] = {}
        self._sizes: OrderedDict[Hashable, int] = OrderedDict()  # of what is made, the one used last at the end
        self._lock = Lock()
        self.bytes = 0  # that are kept

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, made if there is none. What `make` raises is raised for all who wait, and not kept."""
        with self._lock:
            found = self._futures.get(key)
            future = self._futures.setdefault(key, Future())
            if key in self._sizes:
                self._sizes.move_to_end(key)
        try:
            if found is None:
                self._fill(key, future, make)
            return future.result()
        finally:
            del future, found  # an error holds this frame, which would hold the error, and what it is about

    def _fill(self, key: Hashable, future: Future[V], make: Callable[[], V]) -> None:
        try:
            value = make()
        except BaseException as error:  # whoever waits must not wait for ever
            with self._lock:
                del self._futures[key]
            future.set_exception(error)
            del future  # as above
            raise
        future.set_result(value)
        with self._lock:
            self._sizes[key] = self._size(value)
            self.bytes += self._sizes[key]
            while self.bytes > self._most:
                oldest, size = self._sizes.popitem(last=False)
                self.bytes -= size
                del self._futures[oldest]
