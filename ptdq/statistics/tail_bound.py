"""An upper bound of the 95th percentile of a variant's times.

Two things are not known of it: which documents will come, and in which mood the machine will be.

- **Documents.** Of N independent times the k-th smallest is above the quantile q of all that could have
  come with probability P(Binomial(N, q) < k), whatever their distribution (H. A. David and H. N.
  Nagaraja, "Order Statistics", 3rd ed., 2003, section 7.1; MLPerf LoadGen ends its runs early by the
  same rule). The smallest k that reaches the level is taken in each round, and the mean of its logarithm
  over the rounds. Documents that belong together count as fewer (``groups.effective``): the place is
  taken for that many, and is the same share of all times (R. S. Woodruff, "Confidence intervals for
  medians and other position measures", Journal of the American Statistical Association 47, 1952).
- **Rounds.** Student's t of the logarithms of the rounds' own percentiles.

Each gives a distance from the estimate to an upper limit, on the log scale. The limit for both is at the
root of the sum of their squares (MOVER: G. Y. Zou and A. Donner, "Construction of confidence limits about
effect measures: a general approach", Statistics in Medicine 27, 2008). It is that of the documents alone
where rounds don't matter. Noise of single calls is in both distances, so it is wide rather than short.

Fewer rounds than an interval needs give no bound either: where processes are of two modes, the bound of
two rounds of 400 documents held in 93 % of simulated runs, that of four in 96 %.

What it can't do: a disturbance that hits one round in ten is in no round of most runs of four; nothing
bounds what was not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from .groups import AS_ONE, compact, effective
from .quantiles import quantiles
from .rounds import MIN_ROUNDS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUANTILE = 0.95
LEVEL = 0.95


@dataclass(frozen=True)
class TailBound:
    """The 95th percentile of a round's times, in the unit of the times.

    Attributes:
        value: geometric mean of the rounds' own.
        bound: upper confidence bound of it, one-sided at ``LEVEL``; None where refused.
        refused: why there is no bound.
    """

    value: float
    bound: float | None
    refused: str | None


def tail_bound(times: Floats, groups: Ints | None = None) -> TailBound:
    """Bound the 95th percentile of times.

    Args:
        times: of a variant [R, K, N], rounds by cells that ran at once by documents.
        groups: group of each document [N]; None where each stands alone.

    Raises:
        ValueError: the shape is another, or there is nothing in it.
    """
    if times.ndim != 3 or 0 in times.shape:
        raise ValueError(f"times must be [R, K, N], got shape {times.shape}")
    rounds, _, documents = times.shape
    own = np.log(quantiles(times, QUANTILE)).mean(axis=1)
    value = float(own.mean())
    worth = effective(compact(groups, documents))
    refused = too_few(int(worth + 1e-9), rounds)
    if refused is not None and worth < documents:
        refused = f"{refused} ({AS_ONE})"
    place = order(documents, worth)
    if refused is not None or place is None:
        return TailBound(float(np.exp(value)), None, refused)
    by_documents = float(np.log(np.sort(times, axis=-1)[..., place]).mean()) - value
    spread = float(own.std(ddof=1)) / np.sqrt(rounds)
    by_rounds = float(special.stdtrit(rounds - 1, LEVEL)) * spread
    return TailBound(float(np.exp(value)), float(np.exp(value + np.hypot(by_documents, by_rounds))), None)


def order(documents: int, worth: float | None = None) -> int | None:
    """Index, from 0, of the smallest sorted time that bounds the quantile; None where none does.

    Args:
        documents: number of times.
        worth: how many documents that stand alone they are worth; None: all of them do.
    """
    alone = documents if worth is None else int(worth + 1e-9)
    place = int(stats.binom.ppf(LEVEL, alone, QUANTILE))
    if place >= alone:
        return None
    return int(np.ceil((place + 1) * documents / alone - 1e-9)) - 1


DOCUMENTS_NEEDED = int(np.ceil(np.log(1 - LEVEL) / np.log(QUANTILE)))
"""The fewest of which the largest is a bound: 59."""


def too_few(calls: int, rounds: int) -> str | None:
    """Why there would be no bound, with what it needs; None where there is one.

    Args:
        calls: timed calls of a cell: documents, or batches of them.
        rounds: number of rounds.
    """
    if rounds < MIN_ROUNDS:
        return f"a bound of p95 needs at least {MIN_ROUNDS} rounds, there are {rounds}"
    if calls < DOCUMENTS_NEEDED:
        return f"a bound of p95 needs at least {DOCUMENTS_NEEDED} calls a round, there are {calls}"
    return None
