"""Does the variant predict as well as the baseline: paired tests and intervals.

Both variants saw the same documents, so only the documents on which they differ speak; a
comparison of two separate scores would throw that away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import cohen_kappa_score

from .groups import sign_flip, sums
from .quality import check_classes, tally
from .recall import RecallChange, recall_changes
from .resampling import DEFAULT, Floats, Ints, Sampling, Scores, Statistic, kinds, resample


@dataclass(frozen=True)
class Difference:
    """A difference, variant minus baseline, with its two-sided interval."""

    point: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PairedQuality:
    """Paired comparison of the predictions of two variants.

    Attributes:
        documents: number of documents.
        gained: documents only the variant got right.
        lost: documents only the baseline got right.
        p_value: exact two-sided p-value of these: McNemar's, or of groups (``groups.sign_flip``);
            1 without such documents, which proves no equality.
        accuracy: difference in accuracy.
        macro_f1: difference in macro F1.
        weighted_f1: difference in weighted F1.
        weighted_f1_drop_bound: one-sided upper bound of the drop in weighted F1, for a gate.
        agreement: share of documents with equal predictions.
        kappa: Cohen's kappa of the two variants.
        flipped: indices of the documents with different predictions.
        recalls: change of recall of each class that has documents.
    """

    documents: int
    gained: int
    lost: int
    p_value: float
    accuracy: Difference
    macro_f1: Difference
    weighted_f1: Difference
    weighted_f1_drop_bound: float
    agreement: float
    kappa: float
    flipped: tuple[int, ...]
    recalls: tuple[RecallChange, ...]


def compare_predictions(
    labels: Ints,
    baseline: Ints,
    variant: Ints,
    groups: Ints | None = None,
    *,
    level: float = 0.95,
    gate_level: float = 0.95,
    sampling: Sampling = DEFAULT,
) -> PairedQuality:
    """Compare two prediction vectors on the same documents.

    The intervals resample documents, both variants together; see ``resampling`` for why they
    have a width even where no prediction changed.

    Args:
        labels: true classes [N].
        baseline: classes predicted by the baseline [N].
        variant: classes predicted by the variant [N].
        groups: group of each document [N], such as copies of a text; None where each stands alone.
        level: confidence level of the two-sided intervals.
        gate_level: confidence level of the one-sided bounds of drops. Of several variants one is chosen:
            1 - 0.05 / variants keeps the chance that any of them passes a gate wrongly to 5 %.
        sampling: resamples of the documents.

    Returns:
        The comparison.

    Raises:
        ValueError: shapes don't fit, no documents, or a level is out of range.
    """
    check_classes(labels, baseline, variant)
    if not (0.5 < level < 1 and 0.5 < gate_level < 1):
        raise ValueError("a confidence level must lie between 0.5 and 1")
    drawn = resample(kinds(labels, baseline, variant, groups), sampling)
    tail = (1 - level) / 2

    def difference(statistic: Statistic) -> Difference:
        low, high = (drawn.bound(statistic, tail, lower=lower) for lower in (True, False))
        return Difference(drawn.point(statistic), low, high, level)

    def weighted(old: Scores, new: Scores) -> Floats:
        return new.weighted_f1 - old.weighted_f1

    right, now_right = baseline == labels, variant == labels
    same = baseline == variant
    net = sums(now_right.astype(np.int8) - right.astype(np.int8), groups)
    one, other, counts = tally(baseline, variant)
    return PairedQuality(
        documents=len(labels),
        gained=int((now_right & ~right).sum()),
        lost=int((right & ~now_right).sum()),
        p_value=sign_flip(net.round().astype(np.int64)),
        accuracy=difference(lambda old, new: new.accuracy - old.accuracy),
        macro_f1=difference(lambda old, new: new.macro_f1 - old.macro_f1),
        weighted_f1=difference(weighted),
        weighted_f1_drop_bound=-drawn.bound(weighted, 1 - gate_level, lower=True),
        agreement=float(same.mean()),
        # Kappa is 0 / 0 where both always predict the same single class.
        kappa=1.0 if same.all() else float(cohen_kappa_score(one, other, sample_weight=counts)),
        flipped=tuple(int(x) for x in np.flatnonzero(~same)),
        recalls=recall_changes(labels, right, now_right, groups, level=gate_level, sampling=sampling),
    )
