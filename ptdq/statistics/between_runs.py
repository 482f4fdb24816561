"""A figure of one run against those of earlier runs: how much runs of the same code differ.

The interval of a run knows its rounds and documents. It does not know that the next run, of the very same
code, comes out elsewhere: memory lies elsewhere, the machine is in another mood. Only other runs tell how
much. Of runs that fall into groups of the same content, the variance within the groups is that variance.

Nights are not normal: most are alike, and some are far off. A t distribution of as many degrees of
freedom as there are runs calls those far off a change. So no more than ``MOST_DF`` are counted, whatever
the number of runs: the quantiles are those of a distribution without a variance, and Holm's small levels
can be trusted. The price is power: what is smaller than several standard deviations of a night is found
by measuring the old artifact again within the run, or by a change point of the history.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .uncertain import Estimate

Floats = npt.NDArray[np.float64]

LEAST_RUNS = 8
"""Fewest runs of a single content that tell how much runs differ."""

MOST_DF = 2
"""Most degrees of freedom of the t quantile. By simulation, eight runs and six comparisons: with 3, a
false alarm comes in 12 % where one night in five is far off, and with as many as there are runs in 16 %
where nights have the t distribution of 3 degrees of freedom."""


def enough(groups: Sequence[Floats]) -> bool:
    """Whether groups of runs of the same content tell how much runs differ."""
    return sum(len(group) - 1 for group in groups if len(group)) >= LEAST_RUNS - 1


def change_between(
    old: Floats, new: float, others: Sequence[Floats] = (), error: float = 0.0
) -> Estimate | None:
    """How far one run is from the mean of earlier ones.

    Args:
        old: the figure in each earlier run of the old content [n], on the log scale; one at least.
        new: that of the new run.
        others: that of runs of other contents, an array each: they tell of the variance alone.
        error: standard error of the new figure within its run; a run that was noisier than others is not
            taken to be as sure as they are.

    Returns:
        New minus mean of old; None where there are too few runs to tell how much they differ.

    Raises:
        ValueError: no run of the old content.
    """
    if not len(old):
        raise ValueError("no run to compare with")
    groups = [old, *others]
    if not enough(groups):
        return None
    df = sum(len(group) - 1 for group in groups if len(group))
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if len(group)) / df
    spread = within / len(old) + max(within, error**2)
    return Estimate(new - float(old.mean()), spread, 0.0, min(df, MOST_DF), MOST_DF)
