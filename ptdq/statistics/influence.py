"""What a cell's documents say: a statistic of their times, and each document's influence on it.

The influence function of a statistic gives the variance that the choice of documents causes
without any resampling: F. R. Hampel, "The influence curve and its role in robust estimation",
Journal of the American Statistical Association 69 (1974).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from .groups import compact
from .quantiles import quantiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_DOCUMENTS_BEYOND = 5
"""Fewest documents beyond a quantile: 10 documents for the median, 100 for p95."""


@dataclass(frozen=True)
class Statistic:
    """A statistic of the times of a cell.

    Attributes:
        quantile: which quantile; None for the mean.
    """

    quantile: float | None

    def __str__(self) -> str:
        return "mean" if self.quantile is None else f"{self.quantile:g} quantile"

    def refused(self, documents: int) -> str | None:
        """Why this many documents are too few; None where they are enough.

        Args:
            documents: number of documents; of groups of them, where some belong together.
        """
        share = 0.5 if self.quantile is None else min(self.quantile, 1 - self.quantile)
        if documents * share < MIN_DOCUMENTS_BEYOND - 1e-9:
            needed = int(np.ceil(MIN_DOCUMENTS_BEYOND / share - 1e-9))
            return f"{documents} documents are too few for the {self}: it needs at least {needed}"
        return None

    def log_value(self, times: Floats) -> Floats:
        """Log of the statistic of times [..., N]."""
        if self.quantile is None:
            return np.asarray(np.log(times.mean(axis=-1)))
        return np.asarray(np.log(quantiles(times, self.quantile)))

    def influence(self, times: Floats) -> Floats:
        """Influence [R, N] of each document on the log of the statistic, of times [R, N] of a variant.

        A quantile's is that of Bahadur's representation (R. R. Bahadur, Annals of Mathematical
        Statistics 37, 1966), its density estimated over an interval of probabilities of the width
        of P. Hall and S. J. Sheather, Journal of the Royal Statistical Society B 50 (1988), and
        shared by the rounds.
        """
        if self.quantile is None:
            return np.asarray(times / times.mean(axis=-1, keepdims=True) - 1)
        logs = np.log(times)
        place = quantiles(logs, self.quantile)[:, None]
        spread = sparsity(logs, self.quantile).mean()
        return np.asarray((self.quantile - (logs <= place)) * spread)


MEDIAN = Statistic(0.5)
P95 = Statistic(0.95)
MEAN_TIME = Statistic(None)


def sparsity(values: Floats, quantile: float) -> Floats:
    """1 / density at a quantile of values [..., N]: the slope of the quantile function."""
    count = values.shape[-1]
    z = float(special.ndtri(quantile))
    bend = 1.5 * np.exp(-(z**2)) / (2 * np.pi) / (2 * z**2 + 1)
    half = float(count ** (-1 / 3) * special.ndtri(0.975) ** (2 / 3) * bend ** (1 / 3))
    low, high = max(quantile - half, 0.5 / count), min(quantile + half, 1 - 0.5 / count)
    return np.asarray((quantiles(values, high) - quantiles(values, low)) / (high - low))


def document_variance(baseline: Floats, variant: Floats, groups: Ints | None = None) -> float:
    """Variance of a log ratio, averaged over rounds, due to the choice of documents; may be negative.

    A document's influence holds its own effect, the same in every round, and the noise of its
    call, which is part of the variance between rounds already. Products of different rounds hold
    the first alone, so their mean is unbiased for it, and below zero about half of the time where
    documents don't matter. Rounds crossed with documents: A. B. Owen, "The pigeonhole bootstrap",
    Annals of Applied Statistics 1 (2007).

    Documents of a group are drawn together, so what varies is the sum of their influences (D. A. Binder,
    "On the variances of asymptotically normal estimators from complex surveys", International
    Statistical Review 51, 1983). With groups of one it is the same.

    Args:
        baseline: influences [R, N], of the rounds that both have.
        variant: influences [R, N].
        groups: group of each document [N]; None where each stands alone.
    """
    difference = baseline - variant
    rounds, documents = difference.shape
    if rounds < 2:
        return float("nan")
    difference = difference - difference.mean(axis=1, keepdims=True)
    if groups is not None:
        which = compact(groups, documents)
        difference = np.stack([np.bincount(which, each) for each in difference])
    count = difference.shape[1]
    if count < 2:
        return float("nan")
    crossed = float((difference.sum(axis=0) ** 2).sum() - (difference**2).sum())
    return float(crossed / (rounds * (rounds - 1)) * count / (count - 1) / documents**2)
