"""Several tests in one answer: corrected p-values, and the level that each test is left with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
"""Probability of at least one wrong claim that is accepted in a family of claims."""


def holm(p_values: Floats) -> Floats:
    """Adjust p-values [K] for multiple comparisons (S. Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def holm_levels(p_values: Floats, alpha: float = ALPHA) -> Floats:
    """The level [K] at which Holm's procedure tests each hypothesis.

    The smallest p-value is tested at alpha / K, the next at alpha / (K - 1), and so on to the first
    that fails; all from there on are left with the level at which that one failed. So a bound at
    1 - level excludes the hypothesis just where Holm rejects it.
    """
    order = np.argsort(p_values, kind="stable")
    left = np.arange(len(p_values), 0, -1)
    failed = np.flatnonzero(p_values[order] * left > alpha)
    if len(failed):
        left[failed[0] :] = left[failed[0]]
    levels = np.empty(len(p_values))
    levels[order] = alpha / left
    return levels


def exact_upper(count: int, trials: int, level: float = 0.975) -> float:
    """Exact upper bound of a probability of which ``count`` in ``trials`` were seen.

    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934). "0 of 20" allows up to 17 %.

    Args:
        count: how often it was seen.
        trials: how often it could have been.
        level: one-sided; 0.975 is the upper end of the two-sided 95 % interval.

    Raises:
        ValueError: no trial, or a count outside of 0 to ``trials``.
    """
    if not 0 <= count <= trials or trials < 1:
        raise ValueError(f"{count} of {trials}: a count from 0 to the number of trials is needed")
    return 1.0 if count == trials else float(stats.beta.ppf(level, count + 1, trials - count))
