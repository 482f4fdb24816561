"""What of a model's outputs is its answer, by its task, and how much of it another answers otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptdq.problem.task import SINGLE, Task

Floats = NDArray[np.float64]


def given_labels(logits: NDArray[np.float32], cut: float) -> Floats:
    """1 for each label that is given, else 0 [N, K]; an output that is no number gives none."""
    return (logits > cut).astype(np.float64)


def answers_of(task: Task, logits: NDArray[np.float32], cut: float) -> Floats:
    """What a model answered: 0 or 1 for each label [N, K], or a number for each document [N].

    An output that is no number gives no label, and counts as 0.
    """
    if task == "multi-label":
        return given_labels(logits, cut)
    return np.nan_to_num(logits[:, 0].astype(np.float64))


@dataclass(frozen=True)
class Answers:
    """What of the logits is an answer.

    Attributes:
        task: what the model answers.
        cut: output over which an answer that has a threshold is yes.
        trained: whether the weights are: what random ones say is no answer, and none of it changes.
    """

    task: Task = SINGLE
    cut: float = 0.0
    trained: bool = True

    def changed(self, expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
        """The share that is answered otherwise, from 0 to 1.

        One class of several: documents with another class. Thresholds: documents with another answer in
        any label. A number: the mean square of the difference as a share of the variance of the numbers
        (1 - R², at most 1). Candidates in order: pairs of documents that are in the other order, and ties
        count half (half of 1 - Kendall's tau, where the first has no ties).

        Args:
            expected: outputs [documents, outputs].
            actual: of the other model, likewise.
        """
        if not self.trained or not len(expected):
            return 0.0
        if self.task == SINGLE:
            return float((expected.argmax(axis=1) != actual.argmax(axis=1)).mean())
        if self.task == "rerank":
            return _other_order(expected[:, 0], actual[:, 0])
        if self.task == "regression":
            error = float(np.square(actual[:, 0] - expected[:, 0], dtype=np.float64).mean())
            return min(1.0, error / (float(expected[:, 0].var()) or 1.0))
        before, after = (given_labels(outputs, self.cut) for outputs in (expected, actual))
        return float((before != after).any(axis=1).mean())


def _other_order(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
    """Share of the pairs in the order of one, that the other has not."""
    before = np.sign(expected[:, None] - expected[None, :])
    after = np.sign(actual[:, None] - actual[None, :])
    ordered = before > 0
    return float((1 - before * after)[ordered].mean() / 2) if ordered.any() else 0.0
