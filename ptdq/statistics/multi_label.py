"""Quality where a document has any number of labels."""

from __future__ import annotations

import numpy as np

from .quality import ClassMetrics
from .recall import RecallChange, recall_changes
from .resampling import DEFAULT, Floats, Ints, Sampling
from .weighted import Rows, Score, Scorer, weighted_mean


def f1_micro(truth: Floats, answers: Floats) -> Score:
    """F1 of all labels of all documents together; arrays of 0 and 1 [N, K]."""

    def score(weights: Floats) -> Floats:
        both, either = weights @ (truth * answers).sum(axis=1), weights @ (truth + answers).sum(axis=1)
        return _f1(both, either)

    return score


def f1_macro(truth: Floats, answers: Floats) -> Score:
    """Mean of the labels' F1; arrays of 0 and 1 [N, K]. As in scikit-learn, 0 where undefined."""

    def score(weights: Floats) -> Floats:
        mean: Floats = _f1(weights @ (truth * answers), weights @ (truth + answers)).mean(axis=1)
        return mean

    return score


def subset_accuracy(truth: Floats, answers: Floats) -> Score:
    """Share of documents with exactly the right labels; arrays of 0 and 1 [N, K]."""
    return weighted_mean((truth == answers).all(axis=1).astype(np.float64))


SCORERS: dict[str, Scorer] = {
    "f1_micro": f1_micro,
    "f1_macro": f1_macro,
    "subset_accuracy": subset_accuracy,
}


def unseen(truth: Floats) -> Rows:
    """Documents with one label each, which the baseline finds and the variant takes for the next one.

    Of labels that occur: one that does not is not shown to matter.
    """
    each = np.eye(truth.shape[1])[truth.any(axis=0)]
    return Rows(each, each, np.roll(each, 1, axis=1))


def by_label(truth: Floats, answers: Floats) -> tuple[ClassMetrics, ...]:
    """Precision, recall, F1 and support of each label; arrays of 0 and 1 [N, K]."""
    return by_counts(label_counts(truth, answers))


def label_counts(truth: Floats, answers: Floats) -> Floats:
    """Documents with each label that have it in both, in the answers and in truth [3, K]."""
    return np.stack([(truth * answers).sum(axis=0), answers.sum(axis=0), truth.sum(axis=0)])


def micro_of_counts(counts: Floats) -> float:
    """Micro F1 from :func:`label_counts`, which add up over parts of the documents."""
    both, guessed, occurs = counts.sum(axis=1, keepdims=True)
    return float(_f1(both, guessed + occurs)[0])


def by_counts(counts: Floats) -> tuple[ClassMetrics, ...]:
    """Precision, recall, F1 and support of each label, from :func:`label_counts`."""
    both, guessed, occurs = counts
    precision, recall = _share(both, guessed), _share(both, occurs)
    f1 = _f1(both, occurs + guessed)
    return tuple(
        ClassMetrics(label, float(precision[label]), float(recall[label]), float(f1[label]), int(count))
        for label, count in enumerate(occurs)
    )


def label_recalls(
    rows: Rows,
    groups: Ints | None = None,
    *,
    level: float = 0.95,
    sampling: Sampling = DEFAULT,
) -> tuple[RecallChange, ...]:
    """Change of recall of each label that occurs, over the documents that have it.

    Args:
        rows: arrays of 0 and 1 [N, K].
        groups: group of each document [N]; None where each stands alone.
        level: confidence level of each ``drop_bound``.
        sampling: of the bounds.
    """
    documents, labels = np.nonzero(rows.truth)
    right, now_right = (side[documents, labels] > 0 for side in (rows.old, rows.new))
    # A document with several labels is one document, in whatever class it is counted.
    group = documents if groups is None else groups[documents]
    return recall_changes(labels, right, now_right, group, level=level, sampling=sampling)


def _f1(both: Floats, either: Floats) -> Floats:
    return _share(2 * both, either)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
