"""Does the variant predict as well as the baseline: paired tests and intervals.

Both variants saw the same documents, so only the documents on which they differ speak; a
comparison of two separate scores would throw that away.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from .quality import check_classes
from .resampling import Floats, Ints, Statistic, kinds, resample

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """A difference, variant minus baseline, with its two-sided interval."""

    point: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class RecallChange:
    """Change of the recall of one class.

    Attributes:
        label: the class.
        support: documents with this label.
        baseline: recall of the baseline.
        variant: recall of the variant.
        gained: documents only the variant got right.
        lost: documents only the baseline got right.
        p_value: exact McNemar p-value.
        p_holm: the same, corrected for testing every class.
    """

    label: int
    support: int
    baseline: float
    variant: float
    gained: int
    lost: int
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class PairedQuality:
    """Paired comparison of the predictions of two variants.

    Attributes:
        documents: number of documents.
        gained: documents only the variant got right.
        lost: documents only the baseline got right.
        p_value: exact McNemar p-value; 1 without such documents, which proves no equality.
        accuracy: difference in accuracy.
        macro_f1: difference in macro F1.
        weighted_f1: difference in weighted F1.
        agreement: share of documents with equal predictions.
        kappa: Cohen's kappa of the two variants.
        flipped: indices of the documents with different predictions.
        recalls: change of recall of each class that has documents.
        largest_logit_difference: largest absolute difference of logits; None without logits.
    """

    documents: int
    gained: int
    lost: int
    p_value: float
    accuracy: Difference
    macro_f1: Difference
    weighted_f1: Difference
    agreement: float
    kappa: float
    flipped: tuple[int, ...]
    recalls: tuple[RecallChange, ...]
    largest_logit_difference: float | None


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided McNemar p-value from the discordant documents.

    Q. McNemar, Psychometrika 12 (1947), with the binomial distribution instead of the
    chi-squared approximation, which needs more discordant documents than are usual here.

    Raises:
        ValueError: a count is negative.
    """
    if gained < 0 or lost < 0:
        raise ValueError("counts must not be negative")
    if gained + lost == 0:
        return 1.0
    return float(stats.binomtest(gained, gained + lost, 0.5).pvalue)


def holm(p_values: Floats) -> Floats:
    """Adjust p-values [K] for multiple comparisons (S. Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def compare_predictions(
    labels: Ints,
    baseline: Ints,
    variant: Ints,
    *,
    baseline_logits: npt.NDArray[np.floating] | None = None,
    variant_logits: npt.NDArray[np.floating] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedQuality:
    """Compare two prediction vectors on the same documents.

    The intervals resample documents, both variants together; see ``resampling`` for why they
    have a width even where no prediction changed.

    Args:
        labels: true classes [N].
        baseline: classes predicted by the baseline [N].
        variant: classes predicted by the variant [N].
        baseline_logits: logits [N, K] of the baseline.
        variant_logits: logits [N, K] of the variant.
        level: confidence level of the intervals.
        resamples: resamples of the documents.
        seed: their seed.

    Returns:
        The comparison.

    Raises:
        ValueError: shapes don't fit, no documents, or an option is out of range.
    """
    check_classes(labels, baseline, variant)
    _check_options(1 - level, resamples)
    drawn = resample(kinds(labels, baseline, variant), resamples, seed)
    tail = (1 - level) / 2

    def difference(statistic: Statistic) -> Difference:
        low, high = (drawn.bound(statistic, tail, lower=lower) for lower in (True, False))
        return Difference(drawn.point(statistic), low, high, level)

    right, now_right = baseline == labels, variant == labels
    gained, lost = int((now_right & ~right).sum()), int((right & ~now_right).sum())
    same = baseline == variant
    return PairedQuality(
        documents=len(labels),
        gained=gained,
        lost=lost,
        p_value=mcnemar(gained, lost),
        accuracy=difference(lambda old, new: new.accuracy - old.accuracy),
        macro_f1=difference(lambda old, new: new.macro_f1 - old.macro_f1),
        weighted_f1=difference(lambda old, new: new.weighted_f1 - old.weighted_f1),
        agreement=float(same.mean()),
        # Kappa is 0 / 0 where both always predict the same single class.
        kappa=1.0 if same.all() else float(cohen_kappa_score(baseline, variant)),
        flipped=tuple(int(x) for x in np.flatnonzero(~same)),
        recalls=_recall_changes(labels, right, now_right),
        largest_logit_difference=_logit_difference(baseline_logits, variant_logits, len(labels)),
    )


def _recall_changes(
    labels: Ints, right: npt.NDArray[np.bool_], now_right: npt.NDArray[np.bool_]
) -> tuple[RecallChange, ...]:
    rows = []
    for label in np.unique(labels):
        old, new = right[labels == label], now_right[labels == label]
        gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
        rows.append((int(label), len(old), float(old.mean()), float(new.mean()), gained, lost))
    p_values = np.array([mcnemar(*row[-2:]) for row in rows])
    return tuple(
        RecallChange(*row, float(p), float(adjusted))
        for row, p, adjusted in zip(rows, p_values, holm(p_values), strict=True)
    )


def _logit_difference(
    baseline: npt.NDArray[np.floating] | None,
    variant: npt.NDArray[np.floating] | None,
    documents: int,
) -> float | None:
    if baseline is None and variant is None:
        return None
    if baseline is None or variant is None:
        raise ValueError("logits must be given for both variants or for neither")
    if baseline.shape != variant.shape or baseline.ndim != 2 or len(baseline) != documents:
        raise ValueError(f"logits {baseline.shape} and {variant.shape} must be the same [N, K]")
    return float(np.abs(baseline - variant).max())


def _check_options(alpha: float, resamples: int) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError("the confidence level must lie between 0.5 and 1")
    if resamples < 100:
        raise ValueError("resamples must be at least 100")
