"""How far a job is, and how long it will take."""

from dataclasses import dataclass, replace
from datetime import timedelta


@dataclass(frozen=True)
class Progress:
    """What a run has done up to now.

    Attributes:
        parts: Of the source.
        before: Parts that were done before this run.
        done: Parts that this run has done.
        pictures: That it named.
        seconds: That it took for them.
    """

    parts: int
    before: int
    done: int
    pictures: int
    seconds: float

    @property
    def left(self) -> timedelta:
        """How long the rest will take at the rate up to now, to the second."""
        return timedelta(seconds=round((self.parts - self.before - self.done) * self.seconds / self.done))

    def __str__(self) -> str:
        rate = self.pictures / self.seconds
        done = f"{self.before + self.done:,} of {self.parts:,} parts"
        return f"{done}; {self.pictures:,} pictures in this run, {rate:.1f} a second; {self.left} left"

    def after(self, pictures: int, seconds: float) -> "Progress":
        """The progress when one more part is done, of so many pictures, in so many seconds since the run began."""
        return replace(self, done=self.done + 1, pictures=self.pictures + pictures, seconds=seconds)
