"""Speed-up by length: the gain from quantization changes with the number of tokens."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_BUCKETS = 4
MIN_DOCUMENTS = 30
"""Fewest documents in a bucket: a median of fewer moves too much with each document."""


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
