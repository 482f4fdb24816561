"""All variants of a length in one least-squares fit: variant + round + core.

A pair of variants over four rounds leaves two or three degrees of freedom, and Student's t pays
for each that is missing. The cells of all variants together leave many more: of 14 variants, 4
rounds and 2 cores, 56 - 14 - 3 - 1 = 38. They can be pooled as far as the variants are equally
noisy, which is tested: one that is noisier than the others keeps its own variance and its own few
degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_ROUNDS = 4
"""Fewest rounds that get an interval."""

MIN_DF = 2
NOISIER = 0.1
"""Level at which a variant is found to be noisier than the others; by simulation: at 0.01 one that is
ten times as noisy is missed one time in four, and at 0.2 the intervals of identical ones suffer."""

PRIOR_DF = 4.0
"""Degrees of freedom that the common variance counts for where a variant's own is drawn towards it."""
_PERMUTATIONS = 199


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
        many, times = self.cores.shape
        plain = np.hstack(
            [variants[:, None] == np.arange(many), rounds[:, None] == np.arange(times)]
        ).astype(float)
        used = self.cores[variants, rounds]
        if all(len(np.unique(used[rounds == number])) == 1 for number in np.unique(rounds)):
            return plain  # what a round's core costs is part of the round
        with_cores = np.hstack([plain, (used[:, None] == np.unique(used)).astype(float)])
        if len(used) - np.linalg.matrix_rank(with_cores) < MIN_DF and self._even:
            # Too few cells to estimate cores that cancel anyhow: they widen the interval instead.
            return plain
        return with_cores

    @property
    def _even(self) -> bool:
        """Whether each variant is on each core equally often."""
        used = np.unique(self.cores[self.present])
        on = np.array([[(row == core).sum() for core in used] for row in self.cores])
        return bool((on == on[0]).all())

    @cached_property
    def _inverse(self) -> Floats:
        return np.asarray(np.linalg.pinv(self._matrix))

    @cached_property
    def _shadow(self) -> Floats:
        """What the estimated effects of variants are combinations of."""
        return np.asarray(self._inverse[: len(self.cores)] @ self._matrix)

    @cached_property
    def _residual_maker(self) -> Floats:
        return np.asarray(np.eye(len(self._matrix)) - self._matrix @ self._inverse)

    @cached_property
    def df(self) -> int:
        """Degrees of freedom that all cells leave."""
        return round(float(np.trace(self._residual_maker)))

    def weights(self, baseline: int, variant: int) -> Floats | None:
        """Weights [cells] of log times in a log speed-up; None where it can't be estimated."""
        # Estimable where the weights give back the contrast itself.
        contrast = self._shadow[baseline] - self._shadow[variant]
        contrast[baseline], contrast[variant] = contrast[baseline] - 1, contrast[variant] + 1
        if np.abs(contrast).max() > 1e-8:
            return None
        return np.asarray(self._inverse[baseline] - self._inverse[variant])

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

    def only(self, variants: Ints) -> Layout:
        """The cells of some variants."""
        return Layout(self.cores[variants])

    def effects(self, logs: Floats) -> Floats:
        """Estimated effects [V + R (+ C)] of variants, rounds and cores."""
        return np.asarray(self._inverse @ logs[self.present])

    def residuals(self, logs: Floats) -> Floats:
        """What the effects leave of log times [V, R], for each cell."""
        return np.asarray(self._residual_maker @ logs[self.present])

    def own_variances(self, residuals: Floats) -> tuple[Floats, Floats]:
        """Variance [..., V] of each variant's residuals [..., cells], and degrees of freedom [V]."""
        variants, _ = self._places
        in_variant = (variants == np.arange(len(self.cores))[:, None]).astype(float)
        df = np.maximum(in_variant @ np.diag(self._residual_maker), 1e-9)
        return (residuals**2) @ in_variant.T / df, df

    def noisiest(self, logs: Floats, seed: int) -> tuple[int, float]:
        """The variant with the largest variance, and the p-value of its being larger by chance.

        Cochran's C, the largest variance over the sum of all (W. G. Cochran, Annals of Eugenics 11,
        1941), by permutation: residuals are dealt out anew among all cells and fitted again (D.
        Freedman and D. Lane, Journal of Business & Economic Statistics 1, 1983). A few cells that a
        burst hit are thus no sign of a noisy variant, as they would be in a test for normal errors.
        """
        left = self.residuals(logs)
        dealt = np.random.default_rng(seed).permuted(np.tile(left, (_PERMUTATIONS, 1)), axis=1)
        spreads, _ = self.own_variances(np.vstack([left, dealt @ self._residual_maker]))
        total = spreads.sum(axis=1)
        if not total[0]:
            return 0, 1.0
        largest = spreads.max(axis=1) / np.maximum(total, 1e-300)
        return int(spreads[0].argmax()), float((largest >= largest[0] - 1e-12).mean())


@dataclass(frozen=True)
class RoundsFit:
    """The fit to log times [V, R] of one statistic.

    Attributes:
        layout: the cells.
        logs: log times [V, R].
        variances: variance of a cell of each variant [V].
        dfs: degrees of freedom of each of these [V].
        alone: variants that are noisier than the others, and keep a variance of their own.
    """

    layout: Layout
    logs: Floats
    variances: Floats
    dfs: Floats
    alone: frozenset[int]

    @classmethod
    def of(cls, layout: Layout, logs: Floats, seed: int = 0) -> RoundsFit:
        """Fit; variants that are noisier than the others are set apart one after the other."""
        count = len(logs)
        alike, rest = np.arange(count), layout
        while len(alike) > 2:
            who, p_value = rest.noisiest(logs[alike], seed)
            fewer = rest.only(np.delete(np.arange(len(alike)), who))
            if p_value > NOISIER or fewer.df < MIN_DF:
                break
            alike, rest = np.delete(alike, who), fewer
        left = rest.residuals(logs[alike])
        variances = np.full(count, float(left @ left) / rest.df if rest.df else np.nan)
        dfs = np.full(count, float(rest.df))
        alone = frozenset(range(count)) - frozenset(alike.tolist())
        for variant in alone:
            variances[variant], dfs[variant] = _own_variance(layout, rest, logs, alike, variant)
        return cls(layout, logs, variances, dfs, alone)

    def compare(self, baseline: int, variant: int) -> tuple[float, float, float]:
        """Log speed-up, its variance between rounds, and the degrees of freedom of that.

        Variances of several variants add as in B. L. Welch, Biometrika 34 (1947).

        Raises:
            ValueError: the layout refuses the pair.
        """
        shares = self._shares(baseline, variant, self.variances)
        apart = [shares[v] ** 2 / self.dfs[v] for v in self.alone]
        alike = shares.sum() - sum(shares[v] for v in self.alone)
        common = [float(self.dfs[v]) for v in range(len(self.logs)) if v not in self.alone]
        spread = sum(apart) + (alike**2 / common[0] if common else 0.0)
        total = float(shares.sum())
        df = total**2 / spread if spread else float(self.layout.df)
        return self.value(baseline, variant), total, float(df)

    def moderated(self, baseline: int, variant: int) -> tuple[float, float]:
        """Variance and degrees of freedom with each variant's own variance drawn half-way to the common.

        A variant that is noisier than the others by a factor of a few escapes the test in every
        second run; what is said of it with much certainty should not rest on the others' variance (G.
        K. Smyth, Statistical Applications in Genetics and Molecular Biology 3, 2004, with a fixed prior).
        """
        own, df = self._own
        shares = self._shares(baseline, variant, (PRIOR_DF * self.variances + df * own) / (PRIOR_DF + df))
        total, spread = float(shares.sum()), float((shares**2 / (PRIOR_DF + df)).sum())
        most = self.compare(baseline, variant)[2]
        return total, min(most, total**2 / spread) if spread else most

    def value(self, baseline: int, variant: int) -> float:
        """Log speed-up."""
        return float(self._weights(baseline, variant) @ self.logs[self.layout.present])

    @cached_property
    def _own(self) -> tuple[Floats, Floats]:
        """Variance [V] of each variant's cells on its own, and its degrees of freedom."""
        return self.layout.own_variances(self.layout.residuals(self.logs))

    def _weights(self, baseline: int, variant: int) -> Floats:
        weights = self.layout.weights(baseline, variant)
        if weights is None:
            raise ValueError("the layout does not identify the difference")
        return weights

    def _shares(self, baseline: int, variant: int, variances: Floats) -> Floats:
        """Variance [V] of a log speed-up from the cells of each variant."""
        weights = self._weights(baseline, variant)
        variants, _ = np.nonzero(self.layout.present)
        return np.bincount(variants, weights**2, len(self.logs)) * variances

    @property
    def core_effects(self) -> Floats:
        """Log slowdown of each core against their mean; empty where cores were not estimated."""
        effects = self.layout.effects(self.logs)[sum(self.layout.cores.shape) :]
        return np.asarray(effects - effects.mean()) if len(effects) else effects


def _own_variance(
    layout: Layout, rest: Layout, logs: Floats, alike: Ints, variant: int
) -> tuple[float, float]:
    """Variance of a variant's cells once the others' rounds and cores are out, and its df."""
    effects = rest.effects(logs[alike])
    rounds = np.flatnonzero(layout.present[variant])
    left = logs[variant, rounds] - effects[len(alike) + rounds]
    used = np.unique(rest.cores[rest.present])
    if len(effects) > len(alike) + layout.cores.shape[1]:
        core_effects = dict(zip(used.tolist(), effects[-len(used) :], strict=True))
        left = left - [core_effects.get(core, 0.0) for core in layout.cores[variant, rounds].tolist()]
    return float(left.var(ddof=1)), float(len(rounds) - 1)
