"""Latency summary of one cell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptdq.statistics.summary import summarize


def test_by_hand() -> None:
    found = summarize(np.arange(1, 102, dtype=np.float64) * 1e6)
    assert found.documents == 101
    assert (found.mean_ms, found.p50_ms, found.max_ms) == (51.0, 51.0, 101.0)
    assert (found.p90_ms, found.p95_ms, found.p99_ms) == (91.0, 96.0, 100.0)
    assert found.documents_per_second == pytest.approx(1000 / 51)


@given(st.lists(st.floats(1e3, 1e11), min_size=1, max_size=50))
def test_order_of_the_percentiles(values: list[float]) -> None:
    found = summarize(np.array(values))
    rising = [found.p50_ms, found.p90_ms, found.p95_ms, found.p99_ms, found.max_ms]
    assert rising == sorted(rising)
    assert found.p95_ms == pytest.approx(np.percentile(values, 95) / 1e6)
    assert found.documents_per_second * found.mean_ms == pytest.approx(1000)


@pytest.mark.parametrize("times", [np.array([]), np.ones((2, 2)), np.zeros(3), np.array([np.inf])])
def test_rejects_what_it_cannot_use(times: np.ndarray) -> None:
    with pytest.raises(ValueError, match="times must be"):
        summarize(times)
