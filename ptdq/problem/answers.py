"""How much of what a model answers another one answers otherwise, by the model's task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptdq.problem.task import SINGLE, Task


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
        return float(((expected > self.cut) != (actual > self.cut)).any(axis=1).mean())


def _other_order(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
    """Share of the pairs in the order of one, that the other has not."""
    before = np.sign(expected[:, None] - expected[None, :])
    after = np.sign(actual[:, None] - actual[None, :])
    ordered = before > 0
    return float((1 - before * after)[ordered].mean() / 2) if ordered.any() else 0.0
