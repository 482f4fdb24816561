"""Confidence as quality: log-loss, Brier score and calibration, for all who set a threshold.

Proper scores (T. Gneiting and A. E. Raftery, J. American Statistical Association 102 (2007)) speak for
every document, not only for those whose class changed, so they see harm with fewer documents than F1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import log_softmax

from .groups import sums

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Logits = npt.NDArray[np.floating]

BINS = 10

_CHUNK = 50_000
"""Documents whose probabilities are in memory at once."""


@dataclass(frozen=True)
class ScoreChange:
    """A score of baseline and variant (smaller is better), and the difference.

    Attributes:
        baseline: mean over documents.
        variant: mean over documents.
        difference: variant minus baseline; positive is worse.
        low: lower end of its interval; None with fewer than two groups of documents.
        high: upper end of it.
        level: confidence level of the interval.
    """

    baseline: float
    variant: float
    difference: float
    low: float | None
    high: float | None
    level: float


@dataclass(frozen=True)
class Calibration:
    """How often predictions are right, by confidence; only bins with documents, least confident first.

    Attributes:
        confidence: mean probability of the predicted class in each bin [B].
        accuracy: share of right predictions [B].
        documents: number of documents [B].
        error: expected calibration error, the mean gap between the two, weighted by documents.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    documents: tuple[int, ...]
    error: float


@dataclass(frozen=True)
class Confidence:
    """Paired comparison of the probabilities of two variants.

    Attributes:
        log_loss: mean of minus the logarithm of the label's probability, in nats.
        brier: mean squared distance of the probabilities from the label, 0 to 2 (G. W. Brier, Monthly
            Weather Review 78 (1950)).
        baseline: calibration of the baseline.
        variant: calibration of the variant.
    """

    log_loss: ScoreChange
    brier: ScoreChange
    baseline: Calibration
    variant: Calibration


def compare_confidence(
    labels: Ints,
    baseline: Logits,
    variant: Logits,
    groups: Ints | None = None,
    *,
    level: float = 0.95,
) -> Confidence:
    """Compare the softmax probabilities of two variants on the same documents.

    Args:
        labels: true classes [N], columns of the logits.
        baseline: logits [N, K] of the baseline.
        variant: logits [N, K] of the variant.
        groups: group of each document [N], such as copies of a text; None where each stands alone.
        level: confidence level of the intervals.

    Raises:
        ValueError: shapes don't fit, a label is no column, or logits are not finite.
    """
    _check(labels, baseline, variant)
    scores = [_scores(labels, x) for x in (baseline, variant)]
    log_loss, brier = (_change(scores[0][kind], scores[1][kind], groups, level) for kind in range(2))
    return Confidence(log_loss, brier, calibration(labels, baseline), calibration(labels, variant))


def calibration(labels: Ints, logits: Logits, bins: int = BINS) -> Calibration:
    """Points of a reliability plot, and the expected calibration error.

    Bins of equal width over the probability of the predicted class: C. Guo et al., On Calibration of
    Modern Neural Networks, ICML 2017. The error is biased upwards with few documents, alike for both
    variants.

    Args:
        labels: true classes [N].
        logits: logits [N, K].
        bins: number of bins.
    """
    confidence, right = np.empty(len(labels)), np.empty(len(labels))
    for rows in _chunks(len(labels)):
        probabilities = np.exp(log_softmax(logits[rows].astype(np.float64), axis=1))
        confidence[rows] = probabilities.max(axis=1)
        right[rows] = probabilities.argmax(axis=1) == labels[rows]
    # Edges belong to the bin below, as in scikit-learn's calibration_curve.
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    counts = np.bincount(place, minlength=bins)
    kept = counts > 0
    mean, accuracy = (
        np.bincount(place, values, bins)[kept] / counts[kept] for values in (confidence, right)
    )
    error = float(np.average(np.abs(mean - accuracy), weights=counts[kept]))
    return Calibration(
        tuple(mean.tolist()), tuple(accuracy.tolist()), tuple(counts[kept].tolist()), error
    )


def largest_difference(baseline: Logits, variant: Logits) -> float:
    """Largest absolute difference of logits [N, K].

    Raises:
        ValueError: shapes differ.
    """
    if baseline.shape != variant.shape or baseline.ndim != 2:
        raise ValueError(f"logits {baseline.shape} and {variant.shape} must be the same [N, K]")
    if not baseline.size:
        raise ValueError(f"logits {baseline.shape}: there are none")
    parts = [np.abs(baseline[rows] - variant[rows]).max() for rows in _chunks(len(baseline))]
    return float(np.max(parts))


def _check(labels: Ints, *logits: Logits) -> None:
    for each in logits:
        if each.ndim != 2 or each.shape != logits[0].shape or len(each) != len(labels) or not each.size:
            raise ValueError(f"logits {each.shape} must be [N, K] with N = {len(labels)} and all alike")
        if not np.isfinite(each).all():
            raise ValueError("logits must be finite")
    if labels.min() < 0 or labels.max() >= logits[0].shape[1]:
        raise ValueError(f"labels must be columns of the logits, 0 to {logits[0].shape[1] - 1}")


def _scores(labels: Ints, logits: Logits) -> tuple[Floats, Floats]:
    """Log-loss and Brier score of each document [N]."""
    loss, brier = np.empty(len(labels)), np.empty(len(labels))
    for rows in _chunks(len(labels)):
        logs = log_softmax(logits[rows].astype(np.float64), axis=1)
        of_label = logs[np.arange(len(logs)), labels[rows]]
        loss[rows] = -of_label
        brier[rows] = (np.exp(logs) ** 2).sum(axis=1) - 2 * np.exp(of_label) + 1
    return loss, brier


def _chunks(documents: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, documents, _CHUNK)]


def _change(baseline: Floats, variant: Floats, groups: Ints | None, level: float) -> ScoreChange:
    """Mean difference, with Student's t interval over groups (linearized: L. Kish, Survey Sampling)."""
    each = variant - baseline
    mean, low, high = float(each.mean()), None, None
    apart = sums(each - mean, groups)
    if len(apart) > 1:
        error = np.sqrt(len(apart) / (len(apart) - 1) * (apart**2).sum()) / len(each)
        half = float(stats.t.ppf((1 + level) / 2, len(apart) - 1) * error)
        low, high = mean - half, mean + half
    return ScoreChange(float(baseline.mean()), float(variant.mean()), mean, low, high, level)
