"""Is the variant good enough: non-inferiority at a margin, or an honest "undecided".

With many variants just past the margin one of them passes by chance: ``decide_family`` corrects for
their number. Lengths and metrics need no correction. A variant is shipped only if it holds the margin at
every length and by every metric, so the largest of their p-values is a p-value of the variant (R. L.
Berger, Technometrics 24 (1982): the intersection-union test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from .multiplicity import ALPHA, holm_levels
from .quality import check_classes
from .resampling import DEFAULT, Floats, Ints, Kinds, Sampling, Scores, Statistic, kinds, resample

Metric = Literal["accuracy", "macro_f1", "weighted_f1"]
Outcome = Literal["non-inferior", "inferior", "undecided"]

MARGIN = 0.99
"""Share of the baseline's score that a variant must keep: MLPerf Inference's rule."""

METRICS: tuple[Metric, ...] = ("weighted_f1", "macro_f1")
"""Scores that a variant must keep: the one of documents, and the one that a rare class weighs in."""

MAX_GROWTH = 1000
"""A decision that needs more than this many times the documents is not in reach."""

_ESTIMATE = 2000  # resamples for an estimate of documents, which may be rough


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
    """

    outcome: Outcome
    ratio: float
    low: float
    high: float
    level: float
    margin: float
    metric: str
    documents: int


class Decidable(Protocol):
    """What decides whether a variant keeps the margin by one score."""

    @property
    def p_value(self) -> float:
        """Of the hypothesis that it does not."""

    def decide(self, level: float) -> NonInferiority:
        """The decision with bounds of ``level`` each."""


@dataclass(frozen=True)
class Evidence:
    """What the documents say of the share of the baseline's score that a variant keeps.

    Attributes:
        ratio: variant's score / baseline's score.
        lows: that of each resample with a harmful document added [B].
        highs: that of each resample with a helpful one added [B].
        margin: the share to be kept.
        metric: the score compared.
        documents: number of documents.
        found: the documents by kind.
        sampling: of the resamples.
    """

    ratio: float
    lows: Floats
    highs: Floats
    margin: float
    metric: Metric
    documents: int
    found: Kinds
    sampling: Sampling

    @property
    def p_value(self) -> float:
        """One-sided p-value of the hypothesis that the variant does not keep the margin."""
        return (1 + int((self.lows < self.margin).sum())) / (1 + len(self.lows))

    def decide(self, level: float = 1 - ALPHA) -> NonInferiority:
        """Decide with bounds of ``level`` each: a wrong "non-inferior" has probability 1 - ``level``.

        Also where few or no predictions changed; see ``resampling``.

        Raises:
            ValueError: the level is out of range.
        """
        if not 0.5 < level < 1:
            raise ValueError("level must lie between 0.5 and 1")
        low = float(np.quantile(self.lows, 1 - level))
        high = float(np.quantile(self.highs, level))
        outcome = _decide(low, high, self.margin)
        return NonInferiority(
            outcome, self.ratio, low, high, level, self.margin, self.metric, self.documents
        )

    def documents_needed(self, level: float = 1 - ALPHA) -> int | None:
        """Estimate how many documents in all would decide, if more of them behaved like these.

        None where these decide, or where over ``MAX_GROWTH`` times as many would not. It takes a dozen
        resamplings: ask only where the answer is wanted.
        """
        if self.decide(level).outcome != "undecided":
            return None
        below, above = 1.0, float(MAX_GROWTH)
        if self._grown(above, level) == "undecided":
            return None
        while above / below > 1.02:
            middle = float(np.sqrt(below * above))
            if self._grown(middle, level) == "undecided":
                below = middle
            else:
                above = middle
        return int(np.ceil(above * self.documents))

    def _grown(self, growth: float, level: float) -> Outcome:
        """What so many times the documents would decide."""
        rough = Sampling(min(_ESTIMATE, self.sampling.resamples), self.sampling.seed)
        drawn = resample(self.found.grown(growth), rough)
        statistic = _ratio_of(self.metric)
        low, high = (drawn.bound(statistic, 1 - level, lower=side) for side in (True, False))
        return _decide(low, high, self.margin)


def evidence(
    labels: Ints,
    baseline: Ints,
    variant: Ints,
    groups: Ints | None = None,
    *,
    margin: float = MARGIN,
    metric: Metric = "weighted_f1",
    sampling: Sampling = DEFAULT,
) -> Evidence:
    """Collect what decides whether the variant keeps ``margin`` of the baseline's score.

    Args:
        labels: true classes [N].
        baseline: classes predicted by the baseline [N].
        variant: classes predicted by the variant [N].
        groups: group of each document [N], such as copies of a text; None where each stands alone.
        margin: share of the score to be kept.
        metric: the score.
        sampling: resamples of the documents.

    Raises:
        ValueError: shapes don't fit, no documents, the baseline's score is 0, or an option is
            out of range.
    """
    check_classes(labels, baseline, variant)
    if not 0 < margin <= 1:
        raise ValueError("margin must lie between 0 and 1")
    statistic = _ratio_of(metric)
    counts = kinds(labels, baseline, variant, groups)
    drawn = resample(counts, sampling)
    ratio = drawn.point(statistic)
    if not np.isfinite(ratio):
        raise ValueError(f"the baseline's {metric} is 0: there is nothing to keep a share of")
    lows, highs = (drawn.values(statistic, harmful=harmful) for harmful in (True, False))
    return Evidence(ratio, lows, highs, margin, metric, len(labels), counts, sampling)


def decide_family(
    family: Sequence[Sequence[Decidable]], alpha: float = ALPHA
) -> list[list[NonInferiority]]:
    """Decide for all variants of a run: any wrong "non-inferior" has probability ``alpha`` at most.

    Holm over the variants, each with the largest p-value of its lengths and metrics. Each variant is
    then decided at the level at which Holm tests it, so that bounds and outcomes say the same. That
    holds for variants shipped on all their lengths and metrics, and at any one length for itself.

    Args:
        family: for each variant, its evidence at every length and by every metric; at least one.

    Returns:
        The decisions, in the same places.
    """
    if not family:
        return []
    p_values = np.array([max(each.p_value for each in member) for member in family])
    levels = holm_levels(p_values, alpha).tolist()
    return [
        [each.decide(1 - level) for each in member] for member, level in zip(family, levels, strict=True)
    ]


def combined(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of several metrics of one comparison: all must be kept, and one lost is enough."""
    if "inferior" in outcomes:
        return "inferior"
    return "undecided" if "undecided" in outcomes else "non-inferior"


def holds_margin(
    labels: Ints,
    baseline: Ints,
    variant: Ints,
    groups: Ints | None = None,
    *,
    margin: float = MARGIN,
    variants: int = 1,
    sampling: Sampling = DEFAULT,
) -> bool:
    """Whether the documents show that the margin is kept, by every metric: the bound, not the point.

    For a search: what it stops at is then what the decision afterwards can confirm. Arguments and
    errors as those of ``evidence``.

    Args:
        variants: variants that are decided afterwards; the first of them is tested at 0.05 / variants
            (Holm).
    """
    ratios = (
        evidence(labels, baseline, variant, groups, margin=margin, metric=m, sampling=sampling)
        for m in METRICS
    )
    return all(each.decide(1 - ALPHA / variants).outcome == "non-inferior" for each in ratios)


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
