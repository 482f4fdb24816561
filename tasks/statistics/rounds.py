"""All variants of a length in one least-squares fit: variant + round + core.

A pair of variants over four rounds leaves two or three degrees of freedom, and Student's t pays
for each that is missing. The cells of all variants together leave many more: of 14 variants, 4
rounds and 2 cores, 56 - 14 - 3 - 1 = 38. They can be pooled as far as the variants are equally
noisy, which is not taken for granted: each variant has a variance of its own, drawn towards the
common one as far as the data allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_ROUNDS = 4
"""Fewest rounds that get an interval."""

MIN_DF = 2
MIN_VARIANTS_MODERATED = 4


@dataclass(frozen=True)
class Layout:
    """Which cells there are and where they ran.

    Attributes:
        cores: core of each cell [V, R]; below 0 where there is no cell.
    """

    cores: Ints

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Whether there is a cell [V, R]."""
        return np.asarray(self.cores >= 0)

    @cached_property
    def _places(self) -> tuple[Ints, Ints]:
        variants, rounds = np.nonzero(self.present)
        return variants, rounds

    @cached_property
    def _matrix(self) -> Floats:
        """Dummies [cells, V + R + C] of variants, rounds and cores."""
        variants, rounds = self._places
        plain = np.hstack(
            [variants[:, None] == np.arange(self.cores.shape[0]), rounds[:, None] == np.arange(self.cores.shape[1])]
        ).astype(float)
        used = self.cores[variants, rounds]
        with_cores = np.hstack([plain, (used[:, None] == np.unique(used)).astype(float)])
        if len(used) - np.linalg.matrix_rank(with_cores) < MIN_DF and self._even:
            # Too few cells to estimate cores that cancel anyhow: they widen the interval instead.
            return plain
        return with_cores

    @property
    def _even(self) -> bool:
        """Whether each variant is on each core equally often."""
        on = np.array([[(row == core).sum() for core in np.unique(self.cores[self.present])] for row in self.cores])
        return bool((on == on[0]).all())

    @cached_property
    def _inverse(self) -> Floats:
        return np.asarray(np.linalg.pinv(self._matrix))

    @cached_property
    def _residual_maker(self) -> Floats:
        return np.asarray(np.eye(len(self._matrix)) - self._matrix @ self._inverse)

    @cached_property
    def df(self) -> int:
        """Degrees of freedom that all cells leave."""
        return int(round(float(np.trace(self._residual_maker))))

    def weights(self, baseline: int, variant: int) -> Floats | None:
        """Weights [cells] of log times in the estimated log speed-up; None where it can't be estimated."""
        contrast = np.zeros(self._matrix.shape[1])
        contrast[baseline], contrast[variant] = 1, -1
        weights = contrast @ self._inverse
        if not np.allclose(weights @ self._matrix, contrast, atol=1e-8):
            return None
        return np.asarray(weights)

    def refused(self, baseline: int, variant: int) -> str | None:
        """Why a pair of variants gets no interval, however the times turn out; None where it does."""
        shared = int((self.present[baseline] & self.present[variant]).sum())
        if shared < MIN_ROUNDS:
            return f"{shared} rounds; an interval needs at least {MIN_ROUNDS}"
        if self.weights(baseline, variant) is None:
            return "in these rounds the speed of the variants and that of their cores can't be told apart"
        if self.df < MIN_DF:
            return f"{shared} rounds leave {self.df} degrees of freedom after core effects"
        return None
