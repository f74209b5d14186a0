"""Learning rates that change from step to step."""

from typing import Any

import keras
from keras import ops


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak over the first 20 % of the steps, then linear to zero (Smith 2018, arXiv 1803.09820)."""

    def __init__(self, peak: float, steps: int, warm_up: float = 0.2) -> None:
        self.peak, self.steps, self.warm_up = peak, steps, warm_up

    def __call__(self, step: Any) -> Any:
        progress = ops.cast(step, "float32") / self.steps
        rising = progress / self.warm_up
        falling = (1.0 - progress) / (1.0 - self.warm_up)
        return self.peak * ops.maximum(0.0, ops.minimum(rising, falling))

    def get_config(self) -> dict[str, float]:
        return {"peak": self.peak, "steps": self.steps, "warm_up": self.warm_up}
