"""How much is taken at once: more is refused at once, with a word on when to come back, and no visitor takes all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

RETRY = 5  # seconds after which there is mostly room again


class BusyError(Exception):
    """So much is being done already that more would only wait.

    Attributes:
        seconds: After which to try again.
    """

    def __init__(self, problem: str, seconds: int = RETRY) -> None:
        self.seconds = seconds
        super().__init__(problem)


class Lane:
    """A bounded number of calls that run or wait, a bounded number of each visitor's. Safe to use from several threads."""

    def __init__(self, what: str, most: int, each: int) -> None:
        """Let in `most` calls, of one visitor `each`; `what` they ask for is told to those who are refused."""
        self._what, self._most, self._each = what, most, each
        self._inside: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def place(self, visitor: str) -> Iterator[None]:
        """Be one of those calls.

        Args:
            visitor: Who asks, "" for somebody unknown, who may take all.

        Raises:
            BusyError: There are as many already.
        """
        with self._lock:
            if self._inside.total() >= self._most:
                raise BusyError(f"{self._most} {self._what} are waiting already; try again in {RETRY} seconds.")
            if visitor and self._inside[visitor] >= self._each:
                raise BusyError(f"{self._each} {self._what} of yours are waiting already; try again when they are answered.")
            self._inside[visitor] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[visitor] -= 1
                self._inside += Counter()  # forgets who has none left
