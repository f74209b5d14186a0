"""How much is taken at once: more waits, or is refused at once with a word on when to come back; no visitor takes all."""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock

RETRY = 5  # seconds after which there is mostly room again


class BusyError(Exception):
    """So much is being done already that more would only wait.

    Attributes:
        seconds: After which to try again.
    """

    def __init__(self, problem: str, seconds: int = RETRY) -> None:
        self.seconds = seconds
        super().__init__(problem)


class TooLargeError(Exception):
    """A request has more than is taken."""


@dataclass(frozen=True)
class Bound:
    """How much is taken of a kind of body.

    Attributes:
        what: Kind.
        most: Bytes.
        advice: What to do instead.
    """

    what: str
    most: int
    advice: str

    def check(self, size: int) -> None:
        """Raise `TooLargeError` for a body of at least so many bytes."""
        if size > self.most:
            problem = f"Received a {self.what} of {size:,} bytes or more; at most {self.most:,} are taken"
            raise TooLargeError(f"{problem}, {self.advice}.")


CALL = Bound("call", 25_000_000, "upload files instead")  # a data URL of somewhat more than is taken passes, and is told so
FRAME = Bound("frame", 4_000_000, "choose a lower resolution of the camera")


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


class Turns:
    """A number of calls that run at once. Of those that wait the visitors take turns, whoever has how many."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()  # of each visitor; whose turn is next comes first
        self._lock = Lock()

    @contextmanager
    def turn(self, visitor: str) -> Iterator[None]:
        """Wait until this call is one of those that run."""
        mine = Event()
        with self._lock:
            if self._free:
                self._free -= 1
                mine.set()
            else:
                self._waiting.setdefault(visitor, deque()).append(mine)
        mine.wait()
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            visitor, calls = self._waiting.popitem(last=False)
            calls.popleft().set()
            if calls:
                self._waiting[visitor] = calls  # at the end
