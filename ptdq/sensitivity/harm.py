"""How far the outputs of a model with quantized modules are from those of the float model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ptdq.analysis.paired_measures import Asked, value_of
from ptdq.evaluation.tally import classes_predicted
from ptdq.problem.answers import answers_of
from ptdq.problem.task import OF_CLASSES, SINGLE, Task, main_measure
from ptdq.statistics.quality import Ints, measure

Logits = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Harm:
    """What changed against the float model.

    Attributes:
        divergence: mean Kullback-Leibler divergence from the float model's answers, in nats
            (:func:`divergence`). Modules are ordered by it: unlike a measure of quality it has no ties,
            and unlike a difference of logits it ignores what moves all classes or candidates alike.
        mean_squared: mean squared difference of logits.
        largest: largest absolute difference of logits.
        changed: documents with another prediction or other labels, or queries whose candidates come in
            another order; None where answers are numbers.
        main: main measure of the task.
        main_difference: the same minus the float model's.
    """

    divergence: float
    mean_squared: float
    largest: float
    changed: int | None
    main: float
    main_difference: float


@dataclass(frozen=True)
class Truth:
    """Documents, and what is true of them.

    Attributes:
        labels: class of each [N], where the task has classes.
        targets: what is true of each otherwise [N, T]; of no columns where it has.
        groups: group of each [N]; of a reranker its query.
        task: what the model answers.
        cut: output over which a label is given, where the task has a threshold.
    """

    labels: Ints
    targets: Floats
    groups: Ints
    task: Task = SINGLE
    cut: float | None = None

    @property
    def asked(self) -> Asked:
        """The same for the measures of tasks without classes."""
        return Asked(self.task, self.targets, self.groups)

    def classes(self, logits: Logits) -> Ints | None:
        """Predicted class of each document [N]; None where the task has none."""
        return classes_predicted(self.task, logits, self.cut)

    def answers(self, logits: Logits) -> Floats:
        """What a model without classes answers."""
        return answers_of(self.task, logits, self.cut or 0.0)

    def main(self, logits: Logits) -> float:
        """Main measure of the task."""
        return self.values(logits, [main_measure(self.task)])[0]

    def values(self, logits: Logits, names: Sequence[str]) -> list[float]:
        """Measures of the task, by their names."""
        if (predicted := self.classes(logits)) is not None:
            return [measure(self.labels, predicted).weighted_f1 for _ in names]  # the only one there
        answers = self.answers(logits)
        return [value_of(self.asked, name, answers) for name in names]


def harm(truth: Truth, expected: Logits, actual: Logits) -> Harm:
    """Compare logits [N, K] of the float model with those of the quantized one."""
    difference = actual.astype(np.float64) - expected
    score = truth.main(actual)
    return Harm(
        # Logits that are no numbers are the greatest harm there is, and must not spoil the order.
        divergence=float(np.nan_to_num(divergence(truth, expected, actual), nan=np.inf)),
        mean_squared=float((difference**2).mean()),
        largest=float(np.abs(difference).max()),
        changed=_changed(truth, expected, actual),
        main=score,
        main_difference=score - truth.main(expected),
    )


def divergence(truth: Truth, expected: Logits, actual: Logits) -> float:
    """Mean Kullback-Leibler divergence of what a model answers from what the float model does, in nats.

    Of classes, the predicted distribution. Of labels, yes or no of each, the sum over the labels. Of the
    candidates of a query, the distribution of which comes first (Z. Cao and others, Learning to rank,
    ICML 2007). Of a number, a normal distribution around it, as wide as the float model's numbers spread.
    """
    old, new = expected.astype(np.float64), actual.astype(np.float64)
    if truth.task == "regression":
        spread = float(old.var()) or 1.0
        return float(np.square(new - old).mean() / (2 * spread))
    if truth.task == "rerank":
        places = [np.flatnonzero(truth.groups == query) for query in np.unique(truth.groups)]
        return float(np.mean([_divergences(old[here].T, new[here].T)[0] for here in places]))
    if truth.task in ("binary", "multi-label"):
        both = (np.stack([np.zeros_like(each), each], axis=-1) for each in (old, new))
        return float(_divergences(*both).sum(axis=1).mean())
    return float(_divergences(old, new).mean())


def _divergences(old: Floats, new: Floats) -> Floats:
    """Of the softmax over the last axis."""
    first, second = log_softmax(old, axis=-1), log_softmax(new, axis=-1)
    found: Floats = (np.exp(first) * (first - second)).sum(axis=-1)
    return found


def _changed(truth: Truth, expected: Logits, actual: Logits) -> int | None:
    if truth.task in OF_CLASSES:
        return int(np.count_nonzero(truth.classes(expected) != truth.classes(actual)))
    old, new = truth.answers(expected), truth.answers(actual)
    if truth.task == "multi-label":
        return int((old != new).any(axis=1).sum())
    if truth.task == "regression":
        return None
    places = [np.flatnonzero(truth.groups == query) for query in np.unique(truth.groups)]
    return sum(not np.array_equal(_order(old[here]), _order(new[here])) for here in places)


def _order(scores: Floats) -> Ints:
    return np.argsort(-scores, kind="stable")
