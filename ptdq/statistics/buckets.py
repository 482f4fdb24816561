"""Speed-up by length: the gain from quantization changes with the number of tokens."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .ratios import Ratio, speed_up

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_BUCKETS = 4
MIN_DOCUMENTS = 30
"""Fewest documents in a bucket: a median of fewer moves too much with each document."""


@dataclass(frozen=True)
class Bucket:
    """Documents of similar length and the speed-up on them.

    Attributes:
        shortest: least tokens of a document in the bucket, included.
        longest: most tokens of a document in the bucket, included.
        documents: number of documents in it.
        ratio: speed-up on these documents. Each interval holds on its own, not all at once.
    """

    shortest: int
    longest: int
    documents: int
    ratio: Ratio


def bucket_edges(
    tokens: Ints, *, max_buckets: int = MAX_BUCKETS, min_documents: int = MIN_DOCUMENTS
) -> tuple[int, ...]:
    """First token count of each bucket but the first, in rising order.

    The edges are the quantiles that give buckets of about equal size; documents of equal length
    stay together, so those truncated at the maximum length share a bucket. A bucket that would
    be too small is joined to its neighbour.

    Args:
        tokens: token counts [N].
        max_buckets: most buckets.
        min_documents: fewest documents in a bucket.

    Returns:
        The edges; empty when the documents make up a single bucket.

    Raises:
        ValueError: no tokens, not one-dimensional, or an option below 1.
    """
    if tokens.ndim != 1 or tokens.size == 0:
        raise ValueError(f"tokens must be a non-empty vector, got shape {tokens.shape}")
    if max_buckets < 1 or min_documents < 1:
        raise ValueError("max_buckets and min_documents must be at least 1")
    ordered = np.sort(tokens)
    wanted = min(max_buckets, len(ordered) // min_documents)
    edges: list[int] = []
    start = 0
    for part in range(1, wanted):
        edge = int(ordered[round(part * len(ordered) / wanted)])
        # The first document at or above the edge; equal lengths are never split.
        stop = int(np.searchsorted(ordered, edge))
        if stop - start >= min_documents and len(ordered) - stop >= min_documents:
            edges.append(edge)
            start = stop
    return tuple(edges)


def ratios_by_length(
    baseline: Floats,
    variant: Floats,
    cores_baseline: Ints,
    cores_variant: Ints,
    tokens: Ints,
    *,
    edges: tuple[int, ...] | None = None,
    quantile: float = 0.5,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Bucket, ...]:
    """Speed-up in each bucket of token lengths; arguments as for ``ratios.speed_up``.

    Args:
        baseline: times [R, N] in ns.
        variant: times [R, N] in ns.
        cores_baseline: core of the baseline in each round [R].
        cores_variant: core of the variant in each round [R].
        tokens: token counts [N].
        edges: edges from ``bucket_edges``; found from the tokens when not given.
        quantile: quantile to compare.
        level: confidence level of each interval.
        seed: seed of the resampling.

    Returns:
        The buckets that hold documents, shortest first.

    Raises:
        ValueError: as ``speed_up`` and ``bucket_edges``, or ``tokens`` does not match.
    """
    if baseline.ndim != 2 or tokens.shape != baseline.shape[1:]:
        raise ValueError(f"tokens {tokens.shape} must match the documents of {baseline.shape}")
    edges = bucket_edges(tokens) if edges is None else edges
    place = np.searchsorted(np.asarray(edges), tokens, side="right")
    buckets = []
    for index in np.unique(place):
        inside = place == index
        ratio = speed_up(
            baseline[:, inside],
            variant[:, inside],
            cores_baseline,
            cores_variant,
            quantile=quantile,
            level=level,
            seed=seed,
        )
        held = tokens[inside]
        buckets.append(Bucket(int(held.min()), int(held.max()), int(inside.sum()), ratio))
    return tuple(buckets)
