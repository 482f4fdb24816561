"""Times of all cells of a length as arrays, and the speed-ups that they give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .influence import Statistic, document_variance
from .rounds import Layout, RoundsFit
from .uncertain import Estimate

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """Times of a length.

    Attributes:
        times: in ns [V, R, K, N]: K cells of a variant and round run at once, on all cores, with
            isolation "same"; else K is 1. nan where there is no cell.
        cores: core of each variant and round [V, R]; 0 for all with "same"; below 0 without a cell.
    """

    times: Floats
    cores: Ints

    @property
    def documents(self) -> int:
        """Number of documents N."""
        return int(self.times.shape[-1])

    def only(self, documents: npt.NDArray[np.bool_]) -> Measured:
        """The same for some of the documents [N]."""
        return Measured(self.times[..., documents], self.cores)


class Comparer:
    """Compares variants by one statistic of their times, all variants in one fit."""

    def __init__(self, measured: Measured, statistic: Statistic, seed: int = 0) -> None:
        """Fit the rounds.

        Args:
            measured: times of a length.
            statistic: what is compared.
            seed: of the permutations that look for a noisy variant.
        """
        self.measured, self.statistic = measured, statistic
        logs = statistic.log_value(measured.times)  # [V, R, K]
        self.fit = RoundsFit.of(Layout(measured.cores), _over_cores(logs), seed)
        self._influences: dict[int, Floats] = {}

    def refused(self, baseline: int, variant: int) -> str | None:
        """Why there is no interval for a pair; None where there is one."""
        by_documents = self.statistic.refused(self.measured.documents)
        return self.fit.layout.refused(baseline, variant) or by_documents

    def point(self, baseline: int, variant: int) -> float:
        """Log speed-up; nan where it can't be told from the cores."""
        if self.fit.layout.weights(baseline, variant) is None:
            return float("nan")
        return self.fit.value(baseline, variant)

    def compare(self, baseline: int, variant: int) -> Estimate:
        """Log speed-up of a variant over a baseline.

        Raises:
            ValueError: the pair is refused.
        """
        if (why := self.refused(baseline, variant)) is not None:
            raise ValueError(why)
        value, between, df = self.fit.compare(baseline, variant)
        present = self.fit.layout.present
        both = present[baseline] & present[variant]
        by_document = document_variance(self._influence(baseline)[both], self._influence(variant)[both])
        return Estimate(value, between, by_document, df, self.measured.documents - 1)

    def p_value(self, estimate: Estimate, baseline: int, variant: int) -> float:
        """Two-sided p-value of "no difference"; the larger of two, for variants of unequal noise."""
        variance, df = self.fit.moderated(baseline, variant)
        cautious = replace(estimate, round_variance=variance, round_df=df)
        return max(estimate.p_value(), cautious.p_value())

    def _influence(self, variant: int) -> Floats:
        """Of each document [R, N]; nan where there is no cell."""
        if variant not in self._influences:
            times = self.measured.times[variant]
            influence = np.full(times.shape, np.nan)
            present = self.fit.layout.present[variant]
            for core in range(times.shape[1]):
                influence[present, core] = self.statistic.influence(times[present, core])
            self._influences[variant] = influence.mean(axis=1)
        return self._influences[variant]


def _over_cores(logs: Floats) -> Floats:
    """Mean over the cells [V, R, K] that ran at once: all cores are in it, so none counts more."""
    return np.asarray(logs.mean(axis=-1))
