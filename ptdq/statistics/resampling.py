"""Resampling of documents for a pair of prediction vectors.

Documents with the same label and the same two predictions are interchangeable, so a resample
is a vector of weights for at most K x K x K kinds of documents: ten thousand resamples of
thousands of documents are one matrix product.

The weights are those of the Bayesian bootstrap (D. B. Rubin, Annals of Statistics 9 (1981)):
Dirichlet instead of multinomial. With many documents both give the same intervals. With few
changed predictions they don't: where no prediction changed, every multinomial resample shows no
difference either, and the percentile interval claims certainty. A bound here therefore adds one
document that did not occur, of the kind that speaks most against the claim. For a proportion
that is no approximation: Dirichlet weights with one document added on the bad side give the
exact bound of C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), which for zero changes in N
documents is the rule of three, 3 / N.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CHUNK = 4_000_000  # weights drawn at once: bounds the memory to some tens of MB


@dataclass(frozen=True)
class Scores:
    """Metrics [B] of one variant, one for each resample."""

    accuracy: Floats
    macro_f1: Floats
    weighted_f1: Floats


@dataclass(frozen=True)
class Tally:
    """What the metrics of one variant depend on, one row for each resample.

    Attributes:
        right: weight of the right predictions of each class [B, K].
        occurs: weight of the labels of each class [B, K].
        guessed: weight of the predictions of each class [B, K].
    """

    right: Floats
    occurs: Floats
    guessed: Floats

    def plus(self, label: Ints, predicted: Ints, weight: Floats) -> "Tally":
        """Add one document of ``weight`` [B, 1] to each row; label and prediction [B] or [1]."""
        each_class = np.eye(self.right.shape[1])
        hit = each_class[label] * (label == predicted)[:, None]
        return Tally(
            self.right + weight * hit,
            self.occurs + weight * each_class[label],
            self.guessed + weight * each_class[predicted],
        )

    def scores(self) -> Scores:
        """Metrics; a class that neither occurs nor is predicted has F1 0, as in scikit-learn."""
        both = self.occurs + self.guessed
        f1 = np.divide(2 * self.right, both, out=np.zeros_like(both), where=both > 0)
        total = self.occurs.sum(axis=1)
        return Scores(
            accuracy=self.right.sum(axis=1) / total,
            macro_f1=f1.mean(axis=1),
            weighted_f1=(f1 * self.occurs).sum(axis=1) / total,
        )


Statistic = Callable[[Scores, Scores], Floats]
"""A comparison [B] of the scores of baseline and variant; larger is better for the variant."""


@dataclass(frozen=True)
class Kinds:
    """The kinds of documents and how many there are of each.

    Attributes:
        label: class index of each kind [M].
        baseline: class index predicted by the baseline [M].
        variant: class index predicted by the variant [M].
        counts: documents of each kind [M].
        classes: number of classes K.
    """

    label: Ints
    baseline: Ints
    variant: Ints
    counts: Floats
    classes: int

    def tallies(self, weights: Floats) -> tuple[Tally, Tally]:
        """Tallies of baseline and variant with the kinds weighted by ``weights`` [B, M]."""
        each_class = np.eye(self.classes)
        occurs = weights @ each_class[self.label]
        old, new = (
            Tally(
                weights @ (each_class[self.label] * (self.label == predicted)[:, None]),
                occurs,
                weights @ each_class[predicted],
            )
            for predicted in (self.baseline, self.variant)
        )
        return old, new


@dataclass(frozen=True)
class Resampled:
    """Resamples of the documents; all bounds of a comparison can share them.

    Attributes:
        observed: tallies of baseline and variant as they are, one row.
        old: tallies of the baseline, one row for each resample.
        new: tallies of the variant, one row for each resample.
        unseen: weight [B, 1] of a document that did not occur.
    """

    observed: tuple[Tally, Tally]
    old: Tally
    new: Tally
    unseen: Floats

    def point(self, statistic: Statistic) -> float:
        """The statistic of the documents as they are."""
        old, new = self.observed
        return float(statistic(old.scores(), new.scores())[0])

    def bound(self, statistic: Statistic, probability: float, *, lower: bool) -> float:
        """One-sided confidence bound; the true value lies beyond it with ``probability``."""
        old, new = self.old, self.new
        unseen = _worst_unseen(*self.observed, statistic, harmful=lower)
        if unseen is not None:
            label, baseline, variant = unseen
            old = old.plus(label, baseline, self.unseen)
            new = new.plus(label, variant, self.unseen)
        values = statistic(old.scores(), new.scores())
        return float(np.quantile(values, probability if lower else 1 - probability))


def kinds(labels: Ints, baseline: Ints, variant: Ints) -> Kinds:
    """Count the kinds of documents of three vectors of classes [N]."""
    names, indices = np.unique(np.stack([labels, baseline, variant]), return_inverse=True)
    triples, counts = np.unique(indices.reshape(3, -1), axis=1, return_counts=True)
    return Kinds(triples[0], triples[1], triples[2], counts.astype(float), len(names))


def resample(found: Kinds, resamples: int, seed: int) -> Resampled:
    """Draw Dirichlet weights for the documents.

    Gamma weights do: every statistic here is unchanged when all weights are scaled.
    """
    rng = np.random.default_rng(seed)
    unseen = rng.standard_gamma(1.0, (resamples, 1))
    size = max(1, _CHUNK // len(found.counts))
    parts = []
    for start in range(0, resamples, size):
        shape = (min(size, resamples - start), len(found.counts))
        parts.append(found.tallies(rng.standard_gamma(found.counts, shape)))
    old, new = (
        Tally(
            np.concatenate([tally.right for tally in side]),
            np.concatenate([tally.occurs for tally in side]),
            np.concatenate([tally.guessed for tally in side]),
        )
        for side in zip(*parts, strict=True)
    )
    return Resampled(found.tallies(found.counts[None]), old, new, unseen)


def _worst_unseen(
    old: Tally, new: Tally, statistic: Statistic, *, harmful: bool
) -> tuple[Ints, Ints, Ints] | None:
    """Label and predictions of the one document that would move the statistic most.

    ``harmful``: one that the baseline gets right and the variant wrong; else the reverse. None
    with a single class, where no prediction can be wrong.
    """
    classes = old.right.shape[1]
    label, wrong = (x.ravel() for x in np.indices((classes, classes)))
    possible = (old.occurs[0, label] > 0) & (label != wrong)
    label, wrong = label[possible], wrong[possible]
    if not len(label):
        return None
    baseline, variant = (label, wrong) if harmful else (wrong, label)
    one = np.ones((1, 1))
    values = statistic(old.plus(label, baseline, one).scores(), new.plus(label, variant, one).scores())
    chosen = [int(np.argmin(values) if harmful else np.argmax(values))]
    return label[chosen], baseline[chosen], variant[chosen]
