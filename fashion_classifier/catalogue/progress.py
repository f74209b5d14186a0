"""How far a job is, and how long it will take."""

from dataclasses import dataclass, replace
from datetime import timedelta


@dataclass(frozen=True)
class Progress:
    """What a run has done up to now.

    Attributes:
        parts: Of the source.
        before: Parts that were done before this run.
        workers: Of this run.
        done: Parts that it has done.
        pictures: That it named in them.
        busy: Seconds that its workers took for them, together: without their start, and what they wait.
        seconds: Since it began.
    """

    parts: int
    before: int
    workers: int
    done: int = 0
    pictures: int = 0
    busy: float = 0.0
    seconds: float = 0.0

    def after(self, pictures: int, busy: float, seconds: float) -> "Progress":
        """The progress when one more part is done, of so many pictures in so many seconds, and so long since the run began."""
        return replace(self, done=self.done + 1, pictures=self.pictures + pictures, busy=self.busy + busy, seconds=seconds)

    @property
    def rate(self) -> float:
        """Pictures a second and worker."""
        return self.pictures / self.busy if self.busy else 0.0

    @property
    def left(self) -> timedelta:
        """How long the rest will take at the rate up to now, to the second."""
        return timedelta(seconds=round((self.parts - self.before - self.done) * self.busy / self.done / self.workers))

    def __str__(self) -> str:
        done = f"{self.before + self.done:,} of {self.parts:,} parts"
        return f"{done}; {self.pictures:,} pictures in this run, {self.rate * self.workers:.1f} a second; {self.left} left"
