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

Copies of a text, and rows that belong together, are resampled as whole groups: the cluster bootstrap
(A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8) with
the same weights. A kind is then one of groups, and what did not occur is a group of the usual size.
Hence a file with each document four times says just what it says with each of them once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .groups import compact, design_effect
from .quality import joint_codes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CHUNK = 4_000_000  # weights drawn at once: bounds the memory to some tens of MB


@dataclass(frozen=True)
class Sampling:
    """How often is resampled, and from which seed.

    Raises:
        ValueError: too few resamples for the tail of an interval.
    """

    resamples: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise ValueError("resamples must be at least 100")


DEFAULT = Sampling()


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

    def plus(self, label: Ints, predicted: Ints, weight: Floats) -> Tally:
        """Add documents of ``weight`` [B, 1] to each row; label and prediction [B] or [1]."""
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
    """The kinds of groups of documents and how many there are of each.

    Attributes:
        counts: groups of each kind [M].
        old: documents in one group of each kind [M, K], by label and prediction of the baseline.
        new: the same with the predictions of the variant.
        size: documents in a group of the usual size; 1 where documents stand alone.
    """

    counts: Floats
    old: Tally
    new: Tally
    size: float

    def tallies(self, weights: Floats) -> tuple[Tally, Tally]:
        """Tallies of baseline and variant with the kinds weighted by ``weights`` [B, M]."""
        occurs = weights @ self.old.occurs
        old, new = (
            Tally(weights @ side.right, occurs, weights @ side.guessed) for side in (self.old, self.new)
        )
        return old, new

    def grown(self, factor: float) -> Kinds:
        """So many times the groups, of the same kinds."""
        return replace(self, counts=self.counts * factor)


@dataclass(frozen=True)
class Resampled:
    """Resamples of the groups; all bounds of a comparison can share them.

    Attributes:
        observed: tallies of baseline and variant as they are, one row.
        old: tallies of the baseline, one row for each resample.
        new: tallies of the variant, one row for each resample.
        unseen: weight [B, 1] of a group that did not occur, in documents.
        size: documents in it.
    """

    observed: tuple[Tally, Tally]
    old: Tally
    new: Tally
    unseen: Floats
    size: float

    def point(self, statistic: Statistic) -> float:
        """The statistic of the documents as they are."""
        old, new = self.observed
        return float(statistic(old.scores(), new.scores())[0])

    def values(self, statistic: Statistic, *, harmful: bool) -> Floats:
        """The statistic [B] of each resample with what did not occur.

        ``harmful``: a group that the baseline gets right and the variant wrong; else the reverse.
        """
        old, new = self.old, self.new
        unseen = _worst_unseen(*self.observed, statistic, self.size, harmful=harmful)
        if unseen is not None:
            label, baseline, variant = unseen
            old = old.plus(label, baseline, self.unseen)
            new = new.plus(label, variant, self.unseen)
        return statistic(old.scores(), new.scores())

    def bound(self, statistic: Statistic, probability: float, *, lower: bool) -> float:
        """One-sided confidence bound; the true value lies beyond it with ``probability``."""
        values = self.values(statistic, harmful=lower)
        return float(np.quantile(values, probability if lower else 1 - probability))


def kinds(labels: Ints, baseline: Ints, variant: Ints, groups: Ints | None = None) -> Kinds:
    """Count the kinds of groups of three vectors of classes [N].

    Args:
        labels: true classes.
        baseline: classes predicted by the baseline.
        variant: classes predicted by the variant.
        groups: group of each document [N]; None where each stands alone.
    """
    names, coded = joint_codes(labels, baseline, variant)
    if groups is None:
        codes, found = np.unique(coded, return_counts=True)
        members = sparse.eye_array(len(codes), format="csr")
        counts, size = found.astype(float), 1.0
    else:
        codes, which = np.unique(coded, return_inverse=True)
        members, counts = _patterns(compact(groups, len(labels)), which)
        size = design_effect(groups)
    rest, new = np.divmod(codes, len(names))
    label, old = np.divmod(rest, len(names))
    each = np.eye(len(names))
    occurs = members @ each[label]
    before, after = (
        Tally(members @ (each[label] * (label == side)[:, None]), occurs, members @ each[side])
        for side in (old, new)
    )
    return Kinds(counts, before, after, size)


def _patterns(groups: Ints, which: Ints) -> tuple[sparse.csr_array, Floats]:
    """The different groups as documents of each kind [P, M], and how many there are of each [P]."""
    table = sparse.csr_array((np.ones(len(groups)), (groups, which)))
    table.sum_duplicates()
    first: dict[tuple[bytes, bytes], int] = {}
    counts: dict[tuple[bytes, bytes], int] = {}
    # Big-endian, so that patterns of one kind come in the order of kinds, whatever that of the groups.
    indices = table.indices.astype(">i8")
    for group, (start, stop) in enumerate(zip(table.indptr[:-1], table.indptr[1:], strict=True)):
        pattern = indices[start:stop].tobytes(), table.data[start:stop].tobytes()
        first.setdefault(pattern, group)
        counts[pattern] = counts.get(pattern, 0) + 1
    patterns = sorted(first)
    chosen = table[[first[pattern] for pattern in patterns]]
    return chosen, np.array([counts[pattern] for pattern in patterns], float)


def resample(kinds: Kinds, sampling: Sampling = DEFAULT) -> Resampled:
    """Draw Dirichlet weights for the groups.

    Gamma weights do: every statistic here is unchanged when all weights are scaled.
    """
    rng, resamples = np.random.default_rng(sampling.seed), sampling.resamples
    unseen = kinds.size * rng.standard_gamma(1.0, (resamples, 1))
    size = max(1, _CHUNK // len(kinds.counts))
    parts = []
    for start in range(0, resamples, size):
        shape = (min(size, resamples - start), len(kinds.counts))
        parts.append(kinds.tallies(rng.standard_gamma(kinds.counts, shape)))
    old, new = (
        Tally(
            np.concatenate([tally.right for tally in side]),
            np.concatenate([tally.occurs for tally in side]),
            np.concatenate([tally.guessed for tally in side]),
        )
        for side in zip(*parts, strict=True)
    )
    return Resampled(kinds.tallies(kinds.counts[None]), old, new, unseen, kinds.size)


def _worst_unseen(
    old: Tally, new: Tally, statistic: Statistic, size: float, *, harmful: bool
) -> tuple[Ints, Ints, Ints] | None:
    """Label and predictions of the group that would move the statistic most.

    None with a single class, where no prediction can be wrong.
    """
    classes = old.right.shape[1]
    label, wrong = (x.ravel() for x in np.indices((classes, classes)))
    possible = (old.occurs[0, label] > 0) & (label != wrong)
    label, wrong = label[possible], wrong[possible]
    if not len(label):
        return None
    baseline, variant = (label, wrong) if harmful else (wrong, label)
    group = np.full((1, 1), size)
    values = statistic(
        old.plus(label, baseline, group).scores(), new.plus(label, variant, group).scores()
    )
    chosen = [int(np.argmin(values) if harmful else np.argmax(values))]
    return label[chosen], baseline[chosen], variant[chosen]
