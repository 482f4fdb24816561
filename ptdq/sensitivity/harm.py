"""How far the outputs of a model with quantized modules are from those of the float model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ptdq.statistics.quality import Ints, measure

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Harm:
    """What changed against the float model.

    Attributes:
        divergence: mean over documents of the Kullback-Leibler divergence of the predicted
            distribution from the float model's, in nats. Modules are ordered by it: unlike F1 it has
            no ties, and unlike a difference of logits it ignores what moves all classes alike.
        mean_squared: mean squared difference of logits.
        largest: largest absolute difference of logits.
        changed: documents with another prediction.
        f1_weighted: weighted F1.
        f1_weighted_difference: the same minus the float model's.
    """

    divergence: float
    mean_squared: float
    largest: float
    changed: int
    f1_weighted: float
    f1_weighted_difference: float


def harm(labels: Ints, expected: Logits, actual: Logits) -> Harm:
    """Compare logits [N, K] of the float model with those of the quantized one."""
    old, new = (log_softmax(logits.astype(np.float64), axis=1) for logits in (expected, actual))
    divergence = (np.exp(old) * (old - new)).sum(axis=1).mean()
    difference = actual.astype(np.float64) - expected
    score = weighted_f1(labels, actual)
    return Harm(
        # Logits that are no numbers are the greatest harm there is, and must not spoil the order.
        divergence=float(np.nan_to_num(divergence, nan=np.inf)),
        mean_squared=float((difference**2).mean()),
        largest=float(np.abs(difference).max()),
        changed=int((actual.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        f1_weighted=score,
        f1_weighted_difference=score - weighted_f1(labels, expected),
    )


def weighted_f1(labels: Ints, logits: Logits) -> float:
    """Weighted F1 of the classes that logits [N, K] predict."""
    return measure(labels, logits.argmax(axis=1).astype(np.int64)).weighted_f1
