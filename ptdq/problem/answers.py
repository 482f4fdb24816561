"""How much of what a model answers another one answers otherwise, by the model's task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptdq.problem.task import SINGLE, Task

NEAR = 0.1
"""Of the standard deviation of a task's numbers: a number that is off by more is another answer."""


@dataclass(frozen=True)
class Answers:
    """What of the logits is an answer.

    Attributes:
        task: what the model answers.
        cut: output over which an answer that has a threshold is yes.
    """

    task: Task = SINGLE
    cut: float = 0.0

    def changed(self, expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
        """The share that is answered otherwise, from 0 to 1.

        One class of several: documents with another class. Thresholds: documents with another answer in
        any label. A number: documents whose number is off by a tenth of the standard deviation of all.
        Candidates in order: pairs of documents that are in the other order, and ties count half (half
        of 1 - Kendall's tau, where the first has no ties).

        Args:
            expected: outputs [documents, outputs].
            actual: of the other model, likewise.
        """
        if not len(expected):
            return 0.0
        if self.task == SINGLE:
            return float((expected.argmax(axis=1) != actual.argmax(axis=1)).mean())
        if self.task == "rerank":
            return _other_order(expected[:, 0], actual[:, 0])
        if self.task == "regression":
            off = np.abs(actual[:, 0] - expected[:, 0])
            return float((off > NEAR * expected[:, 0].std()).mean())
        return float(((expected > self.cut) != (actual > self.cut)).any(axis=1).mean())


def _other_order(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
    """Share of the pairs in the order of one, that the other has not."""
    before = np.sign(expected[:, None] - expected[None, :])
    after = np.sign(actual[:, None] - actual[None, :])
    ordered = before > 0
    return float((1 - before * after)[ordered].mean() / 2) if ordered.any() else 0.0
