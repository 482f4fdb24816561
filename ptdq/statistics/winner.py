"""The best of several variants: which can't be told from it, and what it is worth after being picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .uncertain import Estimate

Floats = npt.NDArray[np.float64]

SCREEN = 0.1
"""Share of an interval's error that finding the contenders may take."""


@dataclass(frozen=True)
class Winner:
    """The variant that came out fastest.

    Attributes:
        index: which one.
        value: its log speed-up, drawn towards that of the contenders; about unbiased.
        low: lower end of its interval, corrected for its having been picked.
        high: upper end.
        contenders: how many variants may have come first by chance.
    """

    index: int
    value: float
    low: float
    high: float
    contenders: int


def best_set(differences: dict[tuple[int, int], Estimate], count: int, level: float = 0.95) -> list[int]:
    """Variants that can't be told from the best.

    A variant leaves the set when another is faster at 1 - level, corrected for the number of others.
    The best one stays in with probability ``level`` at least (multiple comparisons with the best: J.
    C. Hsu, "Constrained simultaneous confidence intervals for multiple comparisons with the best",
    Annals of Statistics 12, 1984, with Bonferroni in place of the multivariate t).

    Args:
        differences: for pairs (i, j), how much faster i is than j, on the log scale.
        count: number of variants.
        level: confidence level.
    """
    tail = (1 - level) / max(1, count - 1)
    beaten: set[int] = set()
    for (i, j), estimate in differences.items():
        if estimate.low(tail) > 0:
            beaten.add(j)
        elif estimate.high(tail) < 0:
            beaten.add(i)
    return [index for index in range(count) if index not in beaten]


def winner(
    speedups: Sequence[Estimate],
    differences: dict[tuple[int, int], Estimate],
    level: float = 0.95,
) -> Winner:
    """The fastest of several variants, with an estimate and an interval that know of the choice.

    Coming first takes luck, so the lower end allows for as many comparisons as there are contenders:
    variants that are not behind the winner beyond doubt. Finding them takes a share of the error (the
    two-stage procedure of J. P. Romano, A. M. Shaikh and M. Wolf, Econometrica 82, 2014). Luck does not
    make the upper end miss more often. The point is drawn towards the contenders' mean as far as
    their spread is what noise alone would give (C. N. Morris, "Parametric empirical Bayes inference",
    Journal of the American Statistical Association 78, 1983).

    Args:
        speedups: log speed-ups over the baseline.
        differences: for pairs (i, j) of indices of these, i < j, how much faster i is than j.
        level: confidence level.
    """
    values = np.array([estimate.value for estimate in speedups])
    first = int(values.argmax())
    mine, tail = speedups[first], (1 - level) / 2
    if len(speedups) == 1:
        return Winner(0, mine.value, mine.low(tail), mine.high(tail), 1)
    screen = SCREEN * (1 - level) / (len(speedups) - 1)
    contenders = [
        i for i in range(len(speedups)) if i == first or not _behind(differences, first, i, screen)
    ]
    low = mine.low((tail - SCREEN * (1 - level)) / len(contenders))
    high = mine.high(tail)
    value = float(np.clip(_shrunk(values, differences, contenders, first), low, high))
    return Winner(first, value, low, high, len(contenders))


def _behind(differences: dict[tuple[int, int], Estimate], first: int, other: int, tail: float) -> bool:
    """Whether the first is faster than the other beyond doubt."""
    if first < other:
        return differences[first, other].low(tail) > 0
    return differences[other, first].high(tail) < 0


def _shrunk(
    values: Floats, differences: dict[tuple[int, int], Estimate], contenders: list[int], first: int
) -> float:
    if len(contenders) == 1:
        return float(values[first])
    close = values[contenders]
    # The variance of a difference of two is twice that of one; the baseline's is in neither.
    pairs = [e.variance / 2 for (i, j), e in differences.items() if i in contenders and j in contenders]
    noise, spread = float(np.mean(pairs)), float(close.var(ddof=1))
    keep = max(0.0, 1 - noise / spread) if spread else 0.0
    return float(close.mean() + keep * (values[first] - close.mean()))
