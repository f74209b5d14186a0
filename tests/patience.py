"""How tests wait: for a condition, however long a busy machine takes. The limit only ends what would hang for ever."""

import time
from collections.abc import Callable

PATIENCE = 600  # seconds


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that nothing tells of."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
