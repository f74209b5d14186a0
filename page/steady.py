"""What a camera shows, of its last frames: one frame is often wrong, and a name that flickers cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass

from fashion_classifier import Prediction

NOTHING = ""  # the name of what is none of the ten
FADES = 0.7  # seconds after which a frame counts half
LEAD = 0.15  # of the average, by which another name must lead to take the place of the present one


@dataclass(frozen=True)
class Steady:
    """The exponential average of what was seen, and the name that is held.

    Attributes:
        shares: Of each of the ten names, and of `NOTHING`, the average over the frames; their sum is 1. A frame that is not
            sure counts wholly for `NOTHING`.
        name: What is told: one of these.
        time: Of the last frame, seconds.
    """

    shares: Mapping[str, float]
    name: str
    time: float

    @property
    def uncertain(self) -> bool:
        return self.name == NOTHING

    @property
    def label(self) -> str:
        """The name that is held; of `NOTHING` the one that is seen most."""
        return self.name or self.top(1)[0][0]

    @property
    def confidence(self) -> float:
        """The average of `label`, among the ten."""
        return dict(self.top(len(self.shares)))[self.label]

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k names that are seen most, with their averages among the ten."""
        ten = {name: share for name, share in self.shares.items() if name != NOTHING}
        all_ten = sum(ten.values()) or 1.0
        return sorted(((name, share / all_ten) for name, share in ten.items()), key=lambda item: -item[1])[:k]


def after(before: Steady | None, prediction: Prediction, time: float) -> Steady:
    """What is seen after one more frame.

    Args:
        before: What was seen until then; None at the start.
        prediction: Of the frame.
        time: Of the frame, seconds, of any clock that runs steadily.
    """
    share = 0.0 if prediction.uncertain else 1.0
    frame = {name: share * probability for name, probability in prediction.probabilities.items()} | {NOTHING: 1 - share}
    if before is None:
        return Steady(frame, max(frame, key=frame.__getitem__), time)
    kept = 0.5 ** (max(time - before.time, 0.0) / FADES)
    shares = {name: kept * before.shares[name] + (1 - kept) * frame[name] for name in frame}
    leading = max(shares, key=shares.__getitem__)
    name = leading if shares[leading] >= shares[before.name] + LEAD else before.name
    return Steady(shares, name, time)
