"""What a number of documents can decide about quality, before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .multiplicity import ALPHA, exact_upper
from .non_inferiority import MARGIN, METRICS, Metric, evidence
from .quality import Ints, check_classes
from .resampling import DEFAULT, Sampling


@dataclass(frozen=True)
class Reach:
    """The best that documents can show: what remains possible where no prediction changes.

    Attributes:
        documents: number of documents.
        bound: lower bound of the ratio of scores where no prediction changed.
        margin: the share to be kept.
        metric: the score that decides least.
        documents_needed: estimate of the least number of such documents that can show the margin to be
            kept; None where it is out of reach.
    """

    documents: int
    bound: float
    margin: float
    metric: Metric
    documents_needed: int | None

    @property
    def decides(self) -> bool:
        """Whether a variant can be found non-inferior at all."""
        return self.bound >= self.margin

    @property
    def smallest_loss(self) -> float:
        """The smallest loss of the score, as a share of it, that can be excluded."""
        return 1 - self.bound


def smallest_quality_loss(
    documents: int, score: float, margin: float = MARGIN, *, variants: int = 1
) -> Reach:
    """The smallest loss that so many documents exclude, from the baseline's accuracy alone.

    Exact for accuracy (rule of three); weighted F1 is close to it. Macro F1 depends on the rarest class:
    ``reach`` knows the labels.

    Args:
        documents: number of different documents.
        score: expected accuracy of the baseline, over 0.
        margin: share of it to be kept, below 1.
        variants: variants to be decided; the first of them is tested at 0.05 / variants (Holm).

    Raises:
        ValueError: a number is out of range.
    """
    if not 0 < score <= 1 or not 0 < margin < 1 or variants < 1:
        raise ValueError("score and margin must lie between 0 and 1, and variants be at least 1")
    alpha = ALPHA / variants
    bound = 1 - exact_upper(0, documents, 1 - alpha) / score
    needed = int(np.ceil(np.log(alpha) / np.log1p(-(1 - margin) * score)))
    return Reach(documents, bound, margin, "accuracy", needed)


def reach(
    labels: Ints,
    score: float,
    groups: Ints | None = None,
    *,
    margin: float = MARGIN,
    variants: int = 1,
    sampling: Sampling = DEFAULT,
) -> Reach:
    """The smallest loss that these documents exclude, by the metric that decides least.

    Args:
        labels: true classes [N].
        score: expected accuracy of the baseline, in every class, over 0.
        groups: group of each document [N]; None where each stands alone.
        margin: share of each score to be kept.
        variants: variants to be decided; the first of them is tested at 0.05 / variants (Holm).
        sampling: of the bounds.

    Raises:
        ValueError: no documents, or a number is out of range.
    """
    check_classes(labels)
    if not 0 < score <= 1 or variants < 1:
        raise ValueError("score must lie between 0 and 1, and variants be at least 1")
    predictions = _baseline(labels, score)
    level = 1 - ALPHA / variants
    reached = [
        evidence(
            labels, predictions, predictions, groups, margin=margin, metric=metric, sampling=sampling
        )
        for metric in METRICS
    ]
    least = min(reached, key=lambda each: each.decide(level).low)
    low = least.decide(level).low
    needed = len(labels) if low >= margin else least.documents_needed(level)
    return Reach(len(labels), low, margin, least.metric, needed)


def _baseline(labels: Ints, score: float) -> Ints:
    """Predictions that are right for ``score`` of each class, and the next class for the rest."""
    names, indices, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # The place of each document within its class.
    order = np.argsort(indices, kind="stable")
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    right = place < np.ceil(score * counts)[indices]
    return np.where(right, labels, names[(indices + 1) % len(names)])
