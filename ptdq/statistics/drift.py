"""Did the machine change during a cell: warm-up, steps of the clock, drift.

A mean over a run whose clock dropped half-way measures the clock. The tests here use ranks and
medians of logarithms, so that a few slow calls don't alarm, and permutations for their false
alarm rate: ``alpha`` for times whose order carries no information, whatever their distribution.
On top of the test a change must be at least ``min_change``, since with thousands of documents
even a change too small to matter is significant.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]

ALPHA = 0.02
MIN_CHANGE = 0.05
MIN_DOCUMENTS = 20
_MIN_SEGMENT = 5
_CLIP = 3.0
_PERMUTATIONS = 999
_LENGTH_BINS = 20
MOST_POINTS = 2_000
"""Points that are permuted at most: time and memory do not grow beyond this many."""
_SLOPE_POINTS = 500  # Theil-Sen takes all pairs: more points cost much and add little


@dataclass(frozen=True)
class WarmUp:
    """How the first documents of a cell differ from the rest.

    Attributes:
        documents: number of first documents that differ; 0 when none do.
        ratio: their median time / that of the rest, lengths accounted for; 1 when none differ.
        p_value: permutation p-value of the strongest leading stretch.
    """

    documents: int
    ratio: float
    p_value: float


@dataclass(frozen=True)
class Step:
    """The strongest level shift of a series.

    Attributes:
        found: significant and at least the least change asked for.
        location: number of documents before the shift.
        ratio: median time after / before, lengths accounted for.
        p_value: permutation p-value of the strongest shift anywhere.
    """

    found: bool
    location: int
    ratio: float
    p_value: float


@dataclass(frozen=True)
class Trend:
    """The monotone trend of a series.

    Attributes:
        found: significant and at least the least change asked for.
        ratio: fitted time at the end / at the start of the part that was looked at.
        p_value: p-value of Kendall's tau with the position.
    """

    found: bool
    ratio: float
    p_value: float


def normalized(times: Floats, tokens: Numbers | None = None) -> Floats:
    """Log times with the effect of length taken out.

    The effect of length is a line through the medians of about 20 groups of documents of
    similar length, so no form of the dependence is assumed and slow calls don't bend it.

    Args:
        times: times [N] in any unit, in the order of the run.
        tokens: token counts [N].

    Returns:
        Log times [N] less the fit; without tokens, less their median.

    Raises:
        ValueError: fewer than ``MIN_DOCUMENTS`` times, not positive and finite, or tokens of
            another shape.
    """
    if times.ndim != 1 or len(times) < MIN_DOCUMENTS:
        raise ValueError(f"needs a vector of at least {MIN_DOCUMENTS} times, got {times.shape}")
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("times must be positive and finite")
    logs = np.log(times)
    if tokens is None:
        return np.asarray(logs - np.median(logs))
    if tokens.shape != times.shape:
        raise ValueError(f"tokens {tokens.shape} must match times {times.shape}")
    groups = max(1, min(_LENGTH_BINS, len(times) // MIN_DOCUMENTS))
    edges = np.unique(np.quantile(tokens, np.arange(1, groups) / groups))
    place = np.searchsorted(edges, tokens, side="right")
    centres, levels = [], []
    for group in np.unique(place):
        inside = place == group
        centres.append(float(np.median(tokens[inside])))
        levels.append(float(np.median(logs[inside])))
    return np.asarray(logs - np.interp(tokens, centres, levels))


def condensed(values: Floats) -> tuple[Floats, int]:
    """A long series as medians of stretches of equal length, at most ``MOST_POINTS``; the length.

    A step between two documents then is one between two stretches, of a few hundred documents in a
    million. What is left over at the end, less than a stretch, is not looked at.
    """
    stretch = -(-len(values) // MOST_POINTS)
    if stretch == 1:
        return values, 1
    whole = len(values) // stretch * stretch
    return np.median(values[:whole].reshape(-1, stretch), axis=1), stretch


def warm_up(
    times: Floats,
    tokens: Numbers | None = None,
    *,
    alpha: float = ALPHA,
    min_change: float = MIN_CHANGE,
    seed: int = 0,
) -> WarmUp:
    """Judge from the data how many first documents differ from the rest, slower or faster.

    The medians of the first 1, 2, 4, ... documents, up to a quarter, are compared with those of
    randomly chosen documents; the least p-value is corrected for having looked at several
    lengths (minP: P. H. Westfall and S. S. Young, "Resampling-Based Multiple Testing", 1993).
    Where the stretch ends is the least-squares change point between its level and the rest's.

    Args:
        times: times [N] in the order of the run.
        tokens: token counts [N].
        alpha: false alarm rate.
        min_change: least change of the median that counts.
        seed: seed of the permutations.

    Returns:
        The warm-up found.

    Raises:
        ValueError: as ``normalized``.
    """
    # A change that sets in later than this is no warm-up.
    logs = normalized(times, tokens)[:MOST_POINTS]
    quarter = len(logs) // 4
    lengths = [2**power for power in range(quarter.bit_length())]
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(logs, (_PERMUTATIONS, 1)), axis=1)
    tries = np.vstack([logs, shuffled])  # row 0 is what was observed
    effects = np.column_stack([np.abs(np.median(tries[:, :k], axis=1)) for k in lengths])
    p_values = stats.rankdata(-effects, method="max", axis=0) / len(tries)
    least = p_values.min(axis=1)
    p_value = float(np.mean(least <= least[0]))
    if p_value > alpha:
        return WarmUp(0, 1.0, p_value)
    # Of equally significant stretches the longest says most about where the end is.
    best = lengths[int(np.flatnonzero(p_values[0] == least[0])[-1])]
    lead, rest = np.median(logs[:best]), np.median(logs[quarter:])
    gap = lead - rest
    excess = np.clip((logs[: min(2 * best, quarter)] - (lead + rest) / 2) / gap, -1, 1)
    documents = int(np.argmax(np.cumsum(excess))) + 1
    ratio = float(np.exp(np.median(logs[:documents]) - np.median(logs[documents:])))
    if abs(np.log(ratio)) < np.log1p(min_change):
        return WarmUp(0, 1.0, p_value)
    return WarmUp(documents, ratio, p_value)


def find_step(
    times: Floats,
    tokens: Numbers | None = None,
    *,
    alpha: float = ALPHA,
    min_change: float = MIN_CHANGE,
    seed: int = 0,
) -> Step:
    """Find a level shift: the split of the series with the largest standardized difference.

    The maximum over all splits of the CUSUM statistic, standardized at each split so that early
    and late shifts count as much as central ones (A. Sen and M. S. Srivastava, "On tests for
    detecting change in mean", Annals of Statistics 3 (1975)), with a permutation p-value.
    Values beyond three robust standard deviations are clipped: ranks would be as robust, but
    blind to size, and prefer a small lasting shift to a large early one. A burst that ends is
    not a step: it hardly moves the medians of the two sides. A long series is condensed first.

    Args:
        times: times [N] in the order of the run.
        tokens: token counts [N].
        alpha: false alarm rate.
        min_change: least change of the median that counts.
        seed: seed of the permutations.

    Returns:
        The strongest shift, ``decided`` or not.

    Raises:
        ValueError: as ``normalized``.
    """
    every = normalized(times, tokens)
    logs, stretch = condensed(every)
    count = len(logs)
    reach = _CLIP * stats.median_abs_deviation(logs, scale="normal")
    scores = np.clip(logs, np.median(logs) - reach, np.median(logs) + reach)
    scores -= scores.mean()
    rng = np.random.default_rng(seed)
    tries = np.vstack([scores, rng.permuted(np.tile(scores, (_PERMUTATIONS, 1)), axis=1)])
    before = np.arange(_MIN_SEGMENT, count - _MIN_SEGMENT + 1)
    sums = np.abs(np.cumsum(tries, axis=1)[:, before - 1]) / np.sqrt(before * (count - before))
    strongest = sums.max(axis=1)
    p_value = float(np.mean(strongest >= strongest[0] - 1e-12))
    location = int(before[np.argmax(sums[0])]) * stretch
    change = float(np.median(every[location:]) - np.median(every[:location]))
    decided = p_value <= alpha and abs(change) >= np.log1p(min_change)
    return Step(bool(decided), location, float(np.exp(change)), p_value)


def find_trend(
    times: Floats,
    tokens: Numbers | None = None,
    *,
    last: float = 1.0,
    alpha: float = ALPHA,
    min_change: float = MIN_CHANGE,
) -> Trend:
    """Find a monotone trend; with ``last=0.5``, whether a cell still drifts in its second half.

    Kendall's tau tests it and the Theil-Sen slope sizes it; both are robust to slow calls.

    Args:
        times: times [N] in the order of the run.
        tokens: token counts [N].
        last: share of the documents, from the end, to look at.
        alpha: false alarm rate.
        min_change: least change over the part looked at that counts.

    Returns:
        The trend, ``decided`` or not.

    Raises:
        ValueError: as ``normalized``, or ``last`` leaves under ``MIN_DOCUMENTS`` documents.
    """
    logs = normalized(times, tokens)
    if not 0 < last <= 1 or round(last * len(logs)) < MIN_DOCUMENTS:
        raise ValueError(f"last={last} leaves fewer than {MIN_DOCUMENTS} documents")
    logs = logs[len(logs) - round(last * len(logs)) :]
    if np.ptp(logs) == 0:
        return Trend(False, 1.0, 1.0)
    p_value = float(stats.kendalltau(np.arange(len(logs)), logs).pvalue)
    points = np.array_split(logs, min(len(logs), _SLOPE_POINTS))
    slope = float(stats.theilslopes([float(np.median(part)) for part in points]).slope)
    change = slope * (len(points) - 1)
    decided = p_value <= alpha and abs(change) >= np.log1p(min_change)
    return Trend(bool(decided), float(np.exp(change)), p_value)
