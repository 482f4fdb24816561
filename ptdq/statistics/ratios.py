"""Speed-up of a variant over its baseline, with an interval that survives few rounds.

A call is not an independent observation: all calls of a round share the machine's mood, and all
rounds share the documents. The unit of replication is therefore the round, and the documents
are a second, crossed, source of uncertainty.

Model, for the log ratio of quantiles of round ``r``::

    y[r] = theta + core[baseline, r] - core[variant, r] + error[r]

``theta`` and the core effects come from least squares; what the rounds leave over gives the
variance between rounds, with as many degrees of freedom as rounds minus effects. A bootstrap of
the documents, the same documents in every round and in both variants, gives the variance due to
the choice of documents. A percentile bootstrap over four rounds would cover far less than it
claims, which is why the rounds enter through Student's t instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .crossed import (
    MIN_DF,
    CoreEffects,
    document_replicates,
    document_variance,
    half_width,
    log_ratios,
    separate_cores,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVEL = 0.95
"""Confidence level of the intervals."""

MIN_ROUNDS = 4
"""Fewest rounds that get an interval: with a core swap they leave two degrees of freedom, the
least for which the simulated coverage stays within 93 to 97 %."""

MIN_DOCUMENTS_BEYOND = 5
"""Fewest documents beyond the quantile: 10 documents for the median, 100 for p95."""

METHOD = (
    "least squares on per-round log ratios of quantiles, core effects removed; "
    "crossed document bootstrap; Cochran's t for the sum of the two variances"
)


@dataclass(frozen=True)
class Ratio:
    """A speed-up: time of the baseline / time of the variant; above 1 the variant is faster.

    Attributes:
        point: estimate; the geometric mean of the per-round ratios once core effects are out.
        low: lower end of the two-sided interval; None when refused.
        high: upper end of the two-sided interval; None when refused.
        level: confidence level of the interval.
        quantile: which quantile of the documents' times was compared.
        per_round: ratio of each round, core effects still in it.
        degrees_of_freedom: rounds minus estimated effects.
        round_sd: standard deviation of a round's log ratio, core effects out; nan if no
            degrees of freedom are left.
        document_se: standard error of the log ratio due to the choice of documents; 0
            where it drowns in call noise.
        round_weight: the variance of ``log(point)`` between rounds is
            ``round_weight * round_sd ** 2``; 1 / rounds in a balanced design.
        core_effects: "none" (each pair shared a core), "removed", "balanced" (too few rounds
            to estimate them; they cancel in the point and widen the interval) or
            "not identified" (variant and core can't be told apart).
        method: name of the method.
        refused: why there is no interval; None when there is one.
    """

    point: float
    low: float | None
    high: float | None
    level: float
    quantile: float
    per_round: tuple[float, ...]
    degrees_of_freedom: int
    round_sd: float
    document_se: float
    round_weight: float
    core_effects: CoreEffects
    method: str
    refused: str | None

    @property
    def rounds(self) -> int:
        """Number of rounds compared."""
        return len(self.per_round)


def speed_up(
    baseline: Floats,
    variant: Floats,
    cores_baseline: Ints,
    cores_variant: Ints,
    *,
    quantile: float = 0.5,
    resamples: int = 1000,
    seed: int = 0,
) -> Ratio:
    """Ratio of quantiles of the documents' times, paired by round.

    Args:
        baseline: times [R, N] in ns, warm-up removed; the same documents in the columns.
        variant: times [R, N] in ns, of the same rounds and documents.
        cores_baseline: core that ran the baseline in each round [R].
        cores_variant: core that ran the variant in each round [R].
        quantile: 0.5 compares medians, 0.95 the 95th percentiles.
        resamples: resamples of the documents; they estimate a variance, not a tail.
        seed: seed of the resampling.

    Returns:
        The ratio. Below ``MIN_ROUNDS`` rounds, with too few documents, or where variant and
        core can't be told apart, ``low`` and ``high`` are None and ``refused`` says why.

    Raises:
        ValueError: shapes don't fit, a time is not positive and finite, or an option is out
            of range.

    Sources:
        Variance components of crossed rows and columns: A. B. Owen, "The pigeonhole
        bootstrap", Annals of Applied Statistics 1 (2007). Quantile for a sum of two variances
        with different degrees of freedom: W. G. Cochran, "Approximate significance levels of
        the Behrens-Fisher test", Biometrics 20 (1964).
    """
    _check(baseline, variant, cores_baseline, cores_variant, quantile, LEVEL, resamples)
    documents = baseline.shape[1]
    ratios = log_ratios(baseline, variant, quantile)
    fit = _Fit.of(ratios, cores_baseline, cores_variant)
    refused = _refusal(documents, quantile, fit)
    document_se = float("nan")
    half = None
    if refused is None:
        replicates = document_replicates(baseline, variant, quantile, resamples, seed)
        variance = document_variance(replicates, fit.weights)
        document_se = float(np.sqrt(max(0.0, variance)))
        half = half_width(fit.variance, variance, fit.df, documents - 1, LEVEL)
    return fit.ratio(half, document_se, level=LEVEL, quantile=quantile, method=METHOD, refused=refused)


def speed_up_of_medians(
    baseline: Floats, variant: Floats, cores_baseline: Ints, cores_variant: Ints, *, level: float = 0.95
) -> Ratio:
    """As :func:`speed_up`, from the median of each round [R] alone; for these very documents.

    Args:
        baseline: the rounds' medians [R], of the same documents.
        variant: the rounds' medians [R].
        cores_baseline: core that ran the baseline in each round [R].
        cores_variant: core that ran the variant in each round [R].
        level: confidence level.
    """
    fit = _Fit.of(np.log(baseline) - np.log(variant), cores_baseline, cores_variant)
    refused = _refused_by_rounds(fit)
    half = half_width(fit.variance, 0.0, fit.df, fit.df, level) if refused is None else None
    method = "least squares on per-round log ratios of medians; Student's t"
    return fit.ratio(half, 0.0, level=level, quantile=0.5, method=method, refused=refused)


@dataclass(frozen=True)
class _Fit:
    """The model of this module, fitted to the log ratios of the rounds."""

    ratios: Floats
    weights: Floats
    df: int
    round_sd: float
    core_effects: CoreEffects

    @classmethod
    def of(cls, ratios: Floats, cores_baseline: Ints, cores_variant: Ints) -> _Fit:
        weights, residuals, df, core_effects = separate_cores(ratios, cores_baseline, cores_variant)
        round_sd = float(np.sqrt(residuals @ residuals / df)) if df > 0 else float("nan")
        return cls(ratios, weights, df, round_sd, core_effects)

    @property
    def weight(self) -> float:
        return float(self.weights @ self.weights)

    @property
    def variance(self) -> float:
        """Of the estimate, between rounds."""
        return self.round_sd**2 * self.weight

    def ratio(
        self,
        half: float | None,
        document_se: float,
        *,
        level: float,
        quantile: float,
        method: str,
        refused: str | None,
    ) -> Ratio:
        """The estimate, with an interval of this half-width where there is one."""
        estimate = float(self.weights @ self.ratios)
        return Ratio(
            point=float(np.exp(estimate)),
            low=None if half is None else float(np.exp(estimate - half)),
            high=None if half is None else float(np.exp(estimate + half)),
            level=level,
            quantile=quantile,
            per_round=tuple(float(x) for x in np.exp(self.ratios)),
            degrees_of_freedom=self.df,
            round_sd=self.round_sd,
            document_se=document_se,
            round_weight=self.weight,
            core_effects=self.core_effects,
            method=method,
            refused=refused,
        )


def _refused_by_rounds(fit: _Fit) -> str | None:
    rounds, df = len(fit.ratios), fit.df
    if rounds < MIN_ROUNDS:
        return f"{rounds} rounds; an interval needs at least {MIN_ROUNDS}"
    if fit.core_effects == "not identified":
        return "in these rounds the speed of the variants and that of their cores can't be told apart"
    if df < MIN_DF:
        return f"{rounds} rounds leave {df} degrees of freedom after core effects"
    return None


def _refusal(documents: int, quantile: float, fit: _Fit) -> str | None:
    if (refused := _refused_by_rounds(fit)) is not None:
        return refused
    beyond = documents * min(quantile, 1 - quantile)
    if beyond < MIN_DOCUMENTS_BEYOND - 1e-9:
        return f"{documents} documents are too few for the {quantile:g} quantile"
    return None


def _check(
    baseline: Floats,
    variant: Floats,
    cores_baseline: Ints,
    cores_variant: Ints,
    quantile: float,
    level: float,
    resamples: int,
) -> None:
    if baseline.ndim != 2 or baseline.shape != variant.shape or 0 in baseline.shape:
        raise ValueError(f"baseline {baseline.shape} and variant {variant.shape} must be the same [R, N]")
    if cores_baseline.shape != baseline.shape[:1] or cores_variant.shape != baseline.shape[:1]:
        raise ValueError("cores_baseline and cores_variant must give one core for each round")
    for name, times in (("baseline", baseline), ("variant", variant)):
        if not (np.isfinite(times).all() and (times > 0).all()):
            raise ValueError(f"{name} has times that are not positive and finite")
    if not (0 < quantile < 1 and 0 < level < 1):
        raise ValueError("quantile and level must lie between 0 and 1")
    if resamples < 2:
        raise ValueError("resamples must be at least 2")
