"""Mixed traffic, shortened: an hour of it is `python -m benchmarks.traffic --minutes 60`."""

import sys
from collections import Counter

import pytest

from benchmarks.servers import PAGE, serving, warm
from benchmarks.traffic import Traffic, drive, report
from page.uploads import QUOTA

MEMORY = 1.5e9  # bytes


def test_the_slope_is_that_of_a_line() -> None:
    traffic = Traffic(400.0, watched=[(second, 5_000_000 + 1000 * second, 0) for second in range(400)])
    assert traffic.slope() == pytest.approx((3_600_000,) * 3)
    noise = [(-1) ** (second // 20) for second in range(400)]  # means of 20 seconds alternate around the line
    noisy = Traffic(400.0, watched=[(n, 5_000_000 + 1000 * n + 5000 * noise[n], 0) for n in range(400)])
    slope, low, high = noisy.slope()
    assert low < 3_600_000 < high
    assert slope - low == pytest.approx(high - slope)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_minute_of_mixed_traffic(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(*PAGE) as server:
        warm(server.url)
        drive(server, 60, 6, seed=1)  # in which caches fill
        traffic = drive(server, 60, 6, seed=2)
    print(report(traffic))
    assert traffic.errors == []
    assert sum(traffic.sent.values()) > 100
    assert len(traffic.sent) == 16
    assert {kind for kind in traffic.sent if kind.startswith("bad")} <= {kind for kind, _ in traffic.refused}
    assert traffic.written == Counter(prediction=traffic.predictions, correction=traffic.corrections)
    slope, low, _ = traffic.slope()
    assert low < 0 or slope / 60 < 75e6  # bytes a minute, a coarse net: caches still fill, with 18 MB on idle cores
    assert max(memory for _, memory, _ in traffic.watched) < MEMORY
    uploads = [size for _, _, size in traffic.watched]
    assert 0 < max(uploads) <= QUOTA
