"""Any score of paired answers, on weighted documents: the paired bootstrap for other tasks than classes.

A score is a function of weights, one for each document, so that a resample is a vector of weights and a
copy of a document is a weight of two. Weights, groups and the document that did not occur are those of
``resampling``: the Bayesian bootstrap (D. B. Rubin, Annals of Statistics 9 (1981)) on whole groups, with
one document added to each bound, of the kind that speaks most against the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .groups import compact, design_effect
from .multiplicity import ALPHA
from .non_inferiority import MARGIN, MAX_GROWTH, NonInferiority, Outcome
from .resampling import Floats, Ints, Sampling

Score = Callable[[Floats], Floats]
"""From weights [B, N] of the documents to the score [B] under each."""

Scorer = Callable[[Floats, Floats], Score]
"""From what is true [N, …] and what was answered [N, …] to a score."""

SAMPLING = Sampling(resamples=4000)
"""Every document has a weight of its own here, not every kind of them: fewer resamples, some seconds."""

_ROUGH = 500  # resamples for an estimate of documents
_CHUNK = 4_000_000  # weights drawn at once: bounds the memory to some tens of MB


def weighted_mean(values: Floats) -> Score:
    """The mean of values [N] over the documents."""

    def score(weights: Floats) -> Floats:
        return (weights @ values) / weights.sum(axis=1)  # type: ignore[no-any-return]

    return score


class Rows(NamedTuple):
    """Documents: what is true of them [N, …], and what baseline and variant answered [N, …]."""

    truth: Floats
    old: Floats
    new: Floats

    def swapped(self) -> Rows:
        """With the answers of the one as those of the other."""
        return Rows(self.truth, self.new, self.old)

    def with_more(self, more: Rows) -> Rows:
        """With other documents after them."""
        return Rows(*(np.concatenate(both) for both in zip(self, more, strict=True)))


@dataclass(frozen=True)
class Change:
    """A score of baseline and variant, and what it could have been.

    Attributes:
        name: of the score.
        lower: whether less of it is better.
        baseline: the baseline's.
        variant: the variant's.
        harmful: scores of both [B] of each resample, with a document added that harms the variant.
        helpful: the same with one that helps it.
    """

    name: str
    lower: bool
    baseline: float
    variant: float
    harmful: tuple[Floats, Floats]
    helpful: tuple[Floats, Floats]

    @property
    def difference(self) -> float:
        """Variant minus baseline."""
        return self.variant - self.baseline

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided interval of the difference."""
        down, up = (self.helpful, self.harmful) if self.lower else (self.harmful, self.helpful)
        tail = (1 - level) / 2
        return _quantile(down[1] - down[0], tail), _quantile(up[1] - up[0], 1 - tail)

    def p_value(self) -> float:
        """Two-sided p-value of "no difference": its complement is the level of the widest interval that
        leaves 0 out."""
        down, up = (self.helpful, self.harmful) if self.lower else (self.harmful, self.helpful)
        not_more = int((down[1] <= down[0]).sum())
        not_less = int((up[1] >= up[0]).sum())
        return min(1.0, 2 * (1 + min(not_more, not_less)) / (1 + len(down[0])))

    def drop_bound(self, level: float = 1 - ALPHA) -> float:
        """One-sided upper bound of how much worse the variant is."""
        old, new = self.harmful
        return _quantile(new - old if self.lower else old - new, level)


@dataclass(frozen=True)
class Kept:
    """What decides whether a variant keeps a share of the baseline's score.

    Attributes:
        change: of a score of which more is better, and that of the baseline is over 0.
        margin: the share.
        documents: number of documents.
        grow: the change that so many times the documents would show.
    """

    change: Change
    margin: float
    documents: int
    grow: Callable[[float], Change]

    @cached_property
    def lows(self) -> Floats:
        """Shares [B] that are kept, with harmful documents added."""
        return _ratio(*self.change.harmful)

    @property
    def p_value(self) -> float:
        """One-sided p-value of the hypothesis that the variant does not keep the margin."""
        return (1 + int((self.lows < self.margin).sum())) / (1 + len(self.lows))

    def decide(self, level: float = 1 - ALPHA) -> NonInferiority:
        """Decide with bounds of ``level`` each.

        Raises:
            ValueError: the level is out of range.
        """
        if not 0.5 < level < 1:
            raise ValueError("level must lie between 0.5 and 1")
        ratio = self.change.variant / self.change.baseline
        low, high, outcome = _decided(self.change, self.margin, level)
        return NonInferiority(
            outcome, ratio, low, high, level, self.margin, self.change.name, self.documents
        )

    def documents_needed(self, level: float = 1 - ALPHA) -> int | None:
        """Estimate how many documents in all would decide; None where these do, or none in reach."""
        if self.decide(level).outcome != "undecided":
            return None

        def open_at(growth: float) -> bool:
            return _decided(self.grow(growth), self.margin, level)[2] == "undecided"

        below, above = 1.0, float(MAX_GROWTH)
        if open_at(above):
            return None
        while above / below > 1.1:
            middle = float(np.sqrt(below * above))
            below, above = (middle, above) if open_at(middle) else (below, middle)
        return int(np.ceil(above * self.documents))


class Paired:
    """Answers of two variants to the same documents.

    Args:
        rows: the documents.
        unseen: documents [C] that did not occur, which the baseline gets right and the variant wrong: of
            these the one that harms a score most is added to its bounds.
        scorers: name to what makes the score.
        groups: group of each document [N]; None where each stands alone.
        lower: names of scores of which less is better.
        sampling: resamples of the documents.

    Raises:
        ValueError: no document, or not one group for each.
    """

    def __init__(
        self,
        rows: Rows,
        unseen: Rows,
        scorers: Mapping[str, Scorer],
        groups: Ints | None = None,
        lower: frozenset[str] = frozenset(),
        sampling: Sampling = SAMPLING,
    ) -> None:
        self.documents = len(rows.truth)
        if not self.documents:
            raise ValueError("no documents")
        self._groups = compact(groups, self.documents)
        self._size = 1.0 if groups is None else design_effect(groups)
        self._unseen, self._lower, self._sampling = len(unseen.truth), lower, sampling
        with_harm, with_help = rows.with_more(unseen), rows.with_more(unseen.swapped())
        self._scores = {
            name: tuple(
                (make(some.truth, some.old), make(some.truth, some.new))
                for some in (with_harm, with_help)
            )
            for name, make in scorers.items()
        }
        self._added = {name: self._most_harmful(name) for name in scorers}

    def changes(self) -> dict[str, Change]:
        """Every score of both, with its resamples."""
        return self._changes(list(self._scores), 1.0, self._sampling.resamples)

    def _changes(self, names: Sequence[str], growth: float, resamples: int) -> dict[str, Change]:
        """Some scores, as if there were ``growth`` times the documents."""
        drawn = self._drawn(names, growth, resamples)
        one = self._weights(np.ones((1, self.documents)))
        changes = {}
        for name in names:
            old, new = self._scores[name][0]
            points = float(old(one)[0]), float(new(one)[0])
            changes[name] = Change(name, name in self._lower, *points, *drawn[name])
        return changes

    def kept(self, change: Change, margin: float = MARGIN) -> Kept:
        """What decides on a score.

        Raises:
            ValueError: the baseline's is not over 0: there is nothing to keep a share of.
        """
        if not change.baseline > 0:
            raise ValueError(f"the baseline's {change.name} is not over 0")
        name = change.name

        def grow(growth: float) -> Change:
            return self._changes([name], growth, _ROUGH)[name]

        return Kept(change, margin, self.documents, grow)

    def _most_harmful(self, name: str) -> tuple[int, int]:
        """Of the unseen documents the one that harms the variant most, and the one that helps most."""
        weights = self._weights(np.ones((self._unseen, self.documents)))
        weights[:, self.documents :] = self._size * np.eye(self._unseen)
        harm, help_ = (new(weights) - old(weights) for old, new in self._scores[name])
        if name in self._lower:
            return int(np.argmax(harm)), int(np.argmin(help_))
        return int(np.argmin(harm)), int(np.argmax(help_))

    def _weights(self, weights: Floats) -> Floats:
        """Weights of the documents, and 0 for each that did not occur."""
        return np.concatenate([weights, np.zeros((len(weights), self._unseen))], axis=1)

    def _drawn(
        self, names: Sequence[str], growth: float, resamples: int
    ) -> dict[str, tuple[tuple[Floats, Floats], tuple[Floats, Floats]]]:
        """Scores of baseline and variant [B], with what harms and with what helps added."""
        rng = np.random.default_rng(self._sampling.seed)
        groups = int(self._groups.max()) + 1
        size = max(1, _CHUNK // (self.documents + self._unseen))
        parts: dict[str, list[list[Floats]]] = {name: [[], [], [], []] for name in names}
        for start in range(0, resamples, size):
            count = min(size, resamples - start)
            weights = self._weights(rng.standard_gamma(growth, (count, groups))[:, self._groups])
            added = self._size * rng.standard_gamma(1.0, count)
            for name in names:
                sides = self._scores[name]
                for side, (old, new) in enumerate(sides):
                    weights[:, self.documents :] = 0
                    weights[:, self.documents + self._added[name][side]] = added
                    parts[name][2 * side].append(old(weights))
                    parts[name][2 * side + 1].append(new(weights))
        joined = {name: [np.concatenate(each) for each in four] for name, four in parts.items()}
        return {name: ((a, b), (c, d)) for name, (a, b, c, d) in joined.items()}


def _decided(change: Change, margin: float, level: float) -> tuple[float, float, Outcome]:
    """Bounds of the share that is kept, and the outcome."""
    low = _quantile(_ratio(*change.harmful), 1 - level)
    high = _quantile(_ratio(*change.helpful), level)
    if low >= margin:
        return low, high, "non-inferior"
    return low, high, "inferior" if high < margin else "undecided"


def _ratio(old: Floats, new: Floats) -> Floats:
    """New over old; where the baseline has nothing to keep the variant keeps it."""
    return np.divide(new, old, out=np.full_like(old, np.inf), where=old > 0)


def _quantile(values: npt.NDArray[np.float64], probability: float) -> float:
    return float(np.quantile(values, probability))
