"""The best of several variants: which can't be told from it, and what it is worth after being picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .uncertain import Estimate

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


def best_set(leads: Sequence[Estimate | None], level: float = 0.95) -> list[int]:
    """Variants that can't be told from the best.

    A variant leaves the set when the one that came out fastest is faster at 1 - level, corrected for
    the number of others. The best one stays in with probability ``level`` at least (multiple
    comparisons with the best: J. C. Hsu, "Constrained simultaneous confidence intervals for multiple
    comparisons with the best", Annals of Statistics 12, 1984, with Bonferroni's correction in place of
    the multivariate t).

    Args:
        leads: how much faster the fastest is than each variant, on the log scale; None for itself.
        level: confidence level.
    """
    tail = (1 - level) / max(1, len(leads) - 1)
    return [index for index, lead in enumerate(leads) if lead is None or lead.low(tail) <= 0]


def winner(speedups: Sequence[Estimate], leads: Sequence[Estimate | None], level: float = 0.95) -> Winner:
    """The fastest of several variants, with an estimate and an interval that know of the choice.

    Coming first takes luck, so the lower end allows for as many comparisons as there are contenders:
    variants that are not shown to be behind the winner. Finding them takes a share of the error (the
    two-stage procedure of J. P. Romano, A. M. Shaikh and M. Wolf, Econometrica 82, 2014). Luck does not
    make the upper end miss more often. The point is drawn towards the contenders' mean as far as
    their spread is what noise alone would give (C. N. Morris, "Parametric empirical Bayes inference",
    Journal of the American Statistical Association 78, 1983).

    Args:
        speedups: log speed-ups over the baseline.
        leads: how much faster the fastest is than each of them; None for itself.
        level: confidence level.
    """
    first = leads.index(None)
    own, tail = speedups[first], (1 - level) / 2
    if len(speedups) == 1:
        return Winner(0, own.value, own.low(tail), own.high(tail), 1)
    spent = SCREEN * (1 - level)
    screen = spent / (len(speedups) - 1)
    close = [i for i, lead in enumerate(leads) if lead is None or lead.low(screen) <= 0]
    low, high = own.low((tail - spent) / len(close)), own.high(tail)
    value = float(np.clip(_shrunk(speedups, leads, close, first), low, high))
    return Winner(first, value, low, high, len(close))


def _shrunk(
    speedups: Sequence[Estimate], leads: Sequence[Estimate | None], close: list[int], first: int
) -> float:
    if len(close) == 1:
        return speedups[first].value
    values = np.array([speedups[i].value for i in close])
    # The variance of a difference of two is twice that of one; the baseline's is in neither.
    halves = [lead.variance / 2 for i in close if (lead := leads[i]) is not None]
    noise, spread = float(np.mean(halves)), float(values.var(ddof=1))
    keep = max(0.0, 1 - noise / spread) if spread else 0.0
    return float(values.mean() + keep * (speedups[first].value - values.mean()))
