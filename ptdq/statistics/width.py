"""How wide an interval is, and how many rounds make it as narrow as is wanted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .uncertain import Estimate

LEVEL = 0.95
MAX_ROUNDS = 200
"""An interval that would need more rounds than this is taken to be out of reach."""


def half_width(estimate: Estimate, level: float = LEVEL) -> float:
    """Half-width of the interval of a ratio, as a share w: from ratio / (1 + w) to ratio × (1 + w)."""
    return float(np.expm1(estimate.critical((1 - level) / 2) * estimate.standard_error))


def with_rounds(estimate: Estimate, rounds: int, total: int) -> Estimate:
    """What to expect of the same estimate with more rounds: their variance shrinks, the documents' stays.

    Args:
        estimate: of so many rounds.
        rounds: these, at least 2.
        total: rounds in all.
    """
    return replace(
        estimate,
        round_variance=estimate.round_variance * rounds / total,
        round_df=estimate.round_df * (total - 1) / (rounds - 1),
    )


def rounds_needed(estimate: Estimate, rounds: int, target: float, step: int = 1) -> int | None:
    """Estimate of the rounds in all that make an interval this narrow; None where none do.

    The spread seen so far is taken for the truth, which with few rounds it is not.

    Args:
        estimate: of so many rounds.
        rounds: these, at least 2.
        target: half-width, a share.
        step: rounds are added in multiples of this.
    """
    for total in range(rounds, MAX_ROUNDS + 1, step):
        if half_width(with_rounds(estimate, rounds, total)) <= target:
            return total
    return None


def documents_needed(estimate: Estimate, documents: int, target: float) -> int | None:
    """More documents than this are needed for an interval this narrow, however many rounds there are.

    None where the choice of documents makes no interval that is wider.
    """
    by_documents = replace(estimate, round_variance=0.0)
    if half_width(by_documents) <= target:
        return None
    error = by_documents.critical((1 - LEVEL) / 2) * by_documents.standard_error
    return int(np.ceil(documents * (error / np.log1p(target)) ** 2))
