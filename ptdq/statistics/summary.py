"""Latency summary of one cell."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NS_PER_MS = 1e6
NS_PER_S = 1e9


@dataclass(frozen=True)
class Latency:
    """Times of one cell: documents one after another, so throughput is 1 / mean.

    Attributes:
        documents: number of documents timed.
        mean_ms: mean time of a document in ms.
        p50_ms: median in ms.
        p90_ms: 90th percentile in ms.
        p95_ms: 95th percentile in ms.
        p99_ms: 99th percentile in ms.
        max_ms: longest time in ms.
        documents_per_second: documents divided by the sum of their times.
    """

    documents: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    documents_per_second: float


def summarize(times: Floats) -> Latency:
    """Summarize the times of one cell.

    Args:
        times: times [N] in ns, warm-up removed.

    Returns:
        The summary in ms; percentiles interpolate linearly, as numpy's do by default.

    Raises:
        ValueError: no times, not one-dimensional, or not positive and finite.
    """
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"times must be a non-empty vector, got shape {times.shape}")
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("times must be positive and finite")
    p50, p90, p95, p99 = (float(x) for x in np.percentile(times, [50, 90, 95, 99]) / NS_PER_MS)
    mean = float(times.mean())
    return Latency(
        documents=times.size,
        mean_ms=mean / NS_PER_MS,
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(times.max()) / NS_PER_MS,
        documents_per_second=NS_PER_S / mean,
    )
