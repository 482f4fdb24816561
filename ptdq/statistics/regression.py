"""Quality where the answer is a number: correlations, and the mean absolute error."""

from __future__ import annotations

import numpy as np

from .resampling import Floats
from .weighted import Rows, Score, Scorer, weighted_mean


def pearson(truth: Floats, answers: Floats) -> Score:
    """Correlation of Pearson; arrays [N]. 0 where one of the two is constant."""

    def score(weights: Floats) -> Floats:
        return _correlation(weights, truth[None], answers[None])

    return score


def spearman(truth: Floats, answers: Floats) -> Score:
    """Correlation of Spearman: Pearson's of the ranks, equal values at the middle of their ranks.

    Ranks are those of the weighted documents, anew for each vector of weights: with whole numbers the
    ranks of a file with as many copies.
    """
    ranks = _Ranks(truth), _Ranks(answers)

    def score(weights: Floats) -> Floats:
        return _correlation(weights, *(each.of(weights) for each in ranks))

    return score


def mean_absolute_error(truth: Floats, answers: Floats) -> Score:
    """Mean distance of the answer from the truth; arrays [N]."""
    return weighted_mean(np.abs(truth - answers))


SCORERS: dict[str, Scorer] = {
    "spearman": spearman,
    "pearson": pearson,
    "mean_absolute_error": mean_absolute_error,
}


def unseen(truth: Floats) -> Rows:
    """Documents at both ends of what is true: the baseline is right, and the variant knows nothing.

    It answers the mean of all. There is no worst answer, since a number may be any.
    """
    ends = np.array([truth.min(), truth.max()])
    return Rows(ends, ends, np.full(2, truth.mean()))


class _Ranks:
    """Ranks of values [N] whose weights differ."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._place = np.empty(len(values), np.int64)
        self._place[self._order] = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])

    def of(self, weights: Floats) -> Floats:
        """Middle rank [B, N] of each value: the weight below it, and half of that of its equals."""
        equal = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        ranks: Floats = (np.cumsum(equal, axis=1) - equal / 2)[:, self._place]
        return ranks


def _correlation(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Weighted correlation [B] of x and y, [B, N] or [1, N]."""
    total = weights.sum(axis=1, keepdims=True)
    # From the first value, so that constant ones differ by nothing and not by a rounding.
    x, y = x - x[:, :1], y - y[:, :1]
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    both: Floats = (weights * x * y).sum(axis=1)
    correlation: Floats = np.divide(both, spread, out=np.zeros_like(both), where=spread > 0)
    return correlation
