"""Is the variant good enough: non-inferiority at a margin, or an honest "undecided"."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .quality import check_classes
from .resampling import Floats, Ints, Scores, Statistic, kinds, resample

Metric = Literal["accuracy", "macro_f1", "weighted_f1"]
Outcome = Literal["non-inferior", "inferior", "undecided"]

MARGIN = 0.99
"""Share of the baseline's score that a variant must keep: MLPerf Inference's rule."""

MAX_GROWTH = 1000
"""A decision that needs more than this many times the documents is not in reach."""


@dataclass(frozen=True)
class NonInferiority:
    """Whether a variant keeps a share of the baseline's score.

    Attributes:
        outcome: "non-inferior" (the lower bound of the ratio reaches the margin), "inferior"
            (the upper bound lies below it) or "undecided".
        ratio: variant's score / baseline's score.
        low: lower one-sided confidence bound of the ratio.
        high: upper one-sided confidence bound of the ratio.
        level: confidence level of each bound.
        margin: the share to be kept.
        metric: the score compared.
        documents: number of documents.
        documents_needed: when undecided, an estimate of how many documents in all would decide
            it if more of them behaved like these; None when decided, when the ratio lies on the
            margin, or when it is over ``MAX_GROWTH`` times as many.
    """

    outcome: Outcome
    ratio: float
    low: float
    high: float
    level: float
    margin: float
    metric: Metric
    documents: int
    documents_needed: int | None


def non_inferior(
    labels: Ints,
    baseline: Ints,
    variant: Ints,
    *,
    margin: float = MARGIN,
    metric: Metric = "weighted_f1",
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> NonInferiority:
    """Decide whether the variant keeps ``margin`` of the baseline's score.

    Args:
        labels: true classes [N].
        baseline: classes predicted by the baseline [N].
        variant: classes predicted by the variant [N].
        margin: share of the score to be kept.
        metric: the score.
        level: confidence level of each of the two one-sided bounds.
        resamples: resamples of the documents.
        seed: their seed.

    Returns:
        The decision. A wrong "non-inferior" has probability 1 - ``level`` at most, also where
        few or no predictions changed; see ``resampling``.

    Raises:
        ValueError: shapes don't fit, no documents, the baseline's score is 0, or an option is
            out of range.
    """
    check_classes(labels, baseline, variant)
    if not 0 < margin <= 1:
        raise ValueError("margin must lie between 0 and 1")
    if not 0.5 < level < 1:
        raise ValueError("level must lie between 0.5 and 1")
    if resamples < 100:
        raise ValueError("resamples must be at least 100")
    found = kinds(labels, baseline, variant)
    statistic = _ratio_of(metric)

    old, new = found.tallies(found.counts[None])
    ratio = float(statistic(old.scores(), new.scores())[0])
    if not np.isfinite(ratio):
        raise ValueError(f"the baseline's {metric} is 0: there is nothing to keep a share of")

    def bounds(growth: float) -> tuple[float, float]:
        grown = replace(found, counts=found.counts * growth)
        drawn = resample(grown, resamples, seed)
        low, high = (drawn.bound(statistic, 1 - level, lower=side) for side in (True, False))
        return low, high

    low, high = bounds(1.0)
    outcome = _decide(low, high, margin)
    needed = None
    if outcome == "undecided":
        needed = _documents_needed(lambda growth: _decide(*bounds(growth), margin), len(labels))
    return NonInferiority(outcome, ratio, low, high, level, margin, metric, len(labels), needed)


def _ratio_of(metric: Metric) -> Statistic:
    if metric not in ("accuracy", "macro_f1", "weighted_f1"):
        raise ValueError(f"unknown metric {metric!r}")

    def ratio(old: Scores, new: Scores) -> Floats:
        before: Floats = getattr(old, metric)
        after: Floats = getattr(new, metric)
        return np.divide(after, before, out=np.full_like(before, np.inf), where=before > 0)

    return ratio


def _decide(low: float, high: float, margin: float) -> Outcome:
    if low >= margin:
        return "non-inferior"
    return "inferior" if high < margin else "undecided"


def _documents_needed(decide: Callable[[float], Outcome], documents: int) -> int | None:
    """Least number of documents that decides, by doubling and then halving the gap."""
    below, above = 1.0, 2.0
    while decide(above) == "undecided":
        below, above = above, 2 * above
        if above > MAX_GROWTH:
            return None
    while above / below > 1.02:
        middle = float(np.sqrt(below * above))
        if decide(middle) == "undecided":
            below = middle
        else:
            above = middle
    return int(np.ceil(above * documents))
