"""Whose cameras are watched: few at once, of each visitor one; frames are dropped, none waits. Gradio is unknown here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from page.limits import RETRY, BusyError

MOST = 4  # cameras at once
REST = 3  # times what its last frame took, for which a camera rests: it has at most a quarter of one core
PACE = 0.15  # seconds, the shortest rest; cameras send a frame in `EVERY`, and some come sooner than that
EVERY = 0.3  # seconds
SECONDS = 120  # for which a camera is watched
GONE = 5.0  # seconds without a frame, after which a camera has given up its place and may begin anew

T = TypeVar("T")


@dataclass
class Place:
    """A camera that is watched.

    Attributes:
        visitor: Whose it is.
        ends: When it has been watched for long enough, seconds.
        seen: When its last frame came.
        rests: Until when its frames are dropped.
    """

    visitor: str
    ends: float
    seen: float
    rests: float = 0.0


class Cameras:
    """The cameras that are watched. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[str, Place] = {}
        self._looking = False  # at a frame: one at a time, of all cameras
        self._lock = Lock()

    def look(self, camera: str, visitor: str, name: Callable[[], T]) -> T | None:
        """What `name` makes of a camera's next frame; None where the frame is dropped.

        Args:
            camera: An id of its own.
            visitor: Whose it is; "" for somebody unknown, who may have all.
            name: Looks at the frame.

        Raises:
            BusyError: So many cameras are watched already, of all visitors or of this one; or this one was, for long enough.
        """
        with self._lock:
            start = self._clock()
            place = self._place(camera, visitor, start)
            if start < place.rests or self._looking:
                return None
            self._looking = True
        try:
            return name()
        finally:
            with self._lock:
                end = self._clock()
                place.rests = end + max(PACE, REST * (end - start))
                self._looking = False

    def watches(self, camera: str) -> bool:
        """Whether a camera has sent a frame lately."""
        with self._lock:
            return camera in self._present(self._clock())

    def _place(self, camera: str, visitor: str, now: float) -> Place:
        self._places = self._present(now)
        if camera not in self._places:
            watched = [place.visitor for place in self._places.values() if now < place.ends]
            if visitor and visitor in watched:
                raise BusyError("One camera of yours is watched already; stop that one.")
            if len(watched) >= MOST:
                raise BusyError(f"{MOST} cameras are watched already; try again in {RETRY} seconds.")
            self._places[camera] = Place(visitor, now + SECONDS, now)
        place = self._places[camera]
        place.seen = now
        if now >= place.ends:
            raise BusyError(f"The {SECONDS // 60} minutes are over; stop the camera, and start it again in {RETRY} seconds.")
        return place

    def _present(self, now: float) -> dict[str, Place]:
        return {camera: place for camera, place in self._places.items() if place.seen >= now - GONE}
