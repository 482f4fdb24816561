"""The parts of the variance of a speed-up, and what would make its interval narrower.

Components of variance by the method of moments, as in an analysis of variance of documents crossed with
rounds: S. R. Searle, G. Casella and C. E. McCulloch, "Variance Components" (1992), chapter 4. The part
between runs is what is left of their variance once the runs' own is taken out: W. G. Cochran, "The
combination of estimates from different experiments", Biometrics 10 (1954).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Variances of a log speed-up, which add up to its own.

    Attributes:
        documents: that these documents were chosen, and no others.
        calls: single calls, which differ though document and process are the same.
        processes: processes, which differ though core and documents are the same.
        cores: what it costs to take the cores' own speed out.
    """

    documents: float
    calls: float
    processes: float
    cores: float

    @classmethod
    def of(cls, documents_se: float, rounds_se: float, calls_se: float, cores_se: float) -> Parts:
        """From the standard errors of a comparison; ``rounds_se`` holds the last two."""
        rounds = rounds_se**2
        calls = min(calls_se**2, rounds)
        cores = min(cores_se**2, rounds - calls)
        return cls(documents_se**2, calls, rounds - calls - cores, cores)

    @property
    def total(self) -> float:
        """All of it."""
        return self.documents + self.calls + self.processes + self.cores

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """Of documents, calls, processes and cores; 0 where there is no variance."""
        parts = (self.documents, self.calls, self.processes, self.cores)
        first, second, third, fourth = (part / self.total if self.total else 0.0 for part in parts)
        return first, second, third, fourth

    def narrower(self, documents: float = 1.0, rounds: float = 1.0) -> float:
        """Width of the interval with so many times the documents and rounds, over its width now.

        The gain of a larger number of degrees of freedom is left out.
        """
        if not self.total:
            return 1.0
        calls = self.calls / (documents * rounds)
        left = self.documents / documents + calls + (self.processes + self.cores) / rounds
        return float(np.sqrt(left / self.total))


def call_variance(differences: Floats) -> float:
    """Variance of the mean of a difference that single calls cause.

    Args:
        differences: of two variants [R, N], for each round and document: their influences on the log of a
            statistic of a cell.

    Returns:
        Of the mean over documents, in one round; nan with fewer than two rounds or documents.
    """
    rounds, documents = differences.shape
    if min(rounds, documents) < 2:
        return float("nan")
    left = differences - differences.mean(axis=0) - differences.mean(axis=1, keepdims=True)
    left = left + differences.mean()
    return float((left**2).sum() / ((rounds - 1) * (documents - 1)) / documents)


def between_runs(groups: Sequence[Floats], errors: Sequence[Floats]) -> float | None:
    """Standard deviation by which runs differ beyond their own errors.

    Args:
        groups: a figure in runs of one content each, on the log scale.
        errors: its standard errors in these runs.

    Returns:
        None where no group has two runs.
    """
    df = sum(len(group) - 1 for group in groups if len(group))
    if df < 1:
        return None
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if len(group))
    weights = [
        (len(group) - 1) * float((error**2).mean())
        for group, error in zip(groups, errors, strict=True)
        if len(group)
    ]
    return float(np.sqrt(max(0.0, (squares - sum(weights)) / df)))
