"""Two pieces of code timed in turns, so that whatever happens to the clock happens to both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SECONDS = 0.4
LEAST, MOST = 12, 400
_WARM_UP = 3


@dataclass(frozen=True)
class Gain:
    """What the second saves against the first, in one process.

    Attributes:
        float_ms: median time of the first.
        int8_ms: median time of the second.
        gain_ms: median of the differences of pairs; positive: the second is faster.
        gain_low_ms: lower end of the 95 % interval of that median, from its order statistics.
        gain_high_ms: upper end.
        pairs: number of pairs.
    """

    float_ms: float
    int8_ms: float
    gain_ms: float
    gain_low_ms: float
    gain_high_ms: float
    pairs: int


def time_pair(old: Callable[[], object], new: Callable[[], object], seconds: float = SECONDS) -> Gain:
    """Time both in turns, each going first in every other pair, for about ``seconds``."""
    for _ in range(_WARM_UP):
        old()
        new()
    times: list[tuple[int, int]] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST or (time.perf_counter() < end and len(times) < MOST):
        if len(times) % 2:
            second, first = _ns(new), _ns(old)
        else:
            first, second = _ns(old), _ns(new)
        times.append((first, second))
    return gain(np.array(times, np.float64) / 1e6)


def gain(pairs: NDArray[np.float64]) -> Gain:
    """Summary of paired times [N, 2] in milliseconds."""
    saved = np.sort(pairs[:, 0] - pairs[:, 1])
    count = len(saved)
    # The sign test turned round: it supposes nothing about how times are distributed.
    low = max(0, int(stats.binom.ppf(0.025, count, 0.5)) - 1)
    first, second = np.median(pairs, axis=0)
    return Gain(
        float_ms=float(first),
        int8_ms=float(second),
        gain_ms=float(np.median(saved)),
        gain_low_ms=float(saved[low]),
        gain_high_ms=float(saved[count - 1 - low]),
        pairs=count,
    )


def _ns(function: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    function()
    return time.perf_counter_ns() - start
