"""Documents to measure time on: about a hundred that stand for all.

The time of a document is, but for noise, a smooth function of its number of tokens. So the mean time of
all documents is an integral over the quantiles of their lengths, and the middles of equal shares of the
documents, sorted by length, estimate it with far less error than a random sample of the same size
(centered systematic sampling: W. G. Madow, "On the theory of systematic sampling, III", Annals of
Mathematical Statistics 24, 1953, pp. 101-106; W. G. Cochran, "Sampling Techniques", 3rd ed., 1977,
sections 8.5 and 8.6). The middle of share i of n is the quantile (i + 0.5) / n, so quantiles of the times
are best taken from them by Hazen's rule (``method="hazen"`` of :func:`numpy.quantile`).

What it can't do: a handful of documents that take most of the time (lengths without a bound, in a tail as
heavy as Pareto's) are in none of the middles, and the mean comes out some percent low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def choose_timing_documents(tokens: ArrayLike, count: int, seed: int) -> NDArray[np.int64]:
    """Documents whose lengths stand for those of all.

    Each stands for as many documents. Among those of equal length the choice is random.

    Args:
        tokens: tokens of each document [N]; if not truncated, the choice holds for every maximum
            length, since truncation keeps their order.
        count: how many to choose; all where there are no more.
        seed: of the choice among documents of equal length.

    Returns:
        Their indices, ascending, int64 [min(count, N)].

    Raises:
        ValueError: ``count`` is below 1.
    """
    lengths = np.asarray(tokens)
    if count < 1:
        raise ValueError(f"count: needs at least 1, got {count}")
    if count >= len(lengths):
        return np.arange(len(lengths))
    shuffled = np.random.default_rng(seed).permutation(len(lengths))
    by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    # The middle of each of `count` equal shares; of an even number of documents, the two in the middle
    # take turns.
    share = np.arange(count)
    middles = ((share + 0.5) * len(lengths) / count - 1e-6 * (share % 2)).astype(np.int64)
    return np.sort(by_length[middles])


def shapes(tokens: ArrayLike, max_length: int) -> int:
    """How many different input shapes documents have, one at a time: calls that a warm-up makes."""
    return len(np.unique(np.minimum(np.asarray(tokens), max_length)))
