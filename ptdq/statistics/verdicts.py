"""What may be said of a speed-up: faster, slower, the same, or that one can't tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from .multiplicity import holm
from .uncertain import Estimate

Floats = npt.NDArray[np.float64]
Verdict = Literal["faster", "slower", "the same", "can't tell"]

MIN_EFFECT = 0.02
"""Smallest difference that matters, if the user names none."""


def equivalent(estimate: Estimate, min_effect: float, level: float = 0.95) -> bool:
    """Whether the speed-up lies within 1 / (1 + min_effect) to 1 + min_effect.

    Two one-sided tests, each at 1 - level (D. J. Schuirmann, J. Pharmacokinetics and
    Biopharmaceutics 15, 1987): a wrong "the same" has at most that chance, for each comparison.
    """
    margin = float(np.log1p(min_effect))
    return max(estimate.p_above(-margin), estimate.p_below(margin)) <= 1 - level


def verdicts(
    estimates: Sequence[Estimate | None],
    p_values: Sequence[float | None],
    min_effect: float = MIN_EFFECT,
    level: float = 0.95,
) -> tuple[list[Verdict], Floats]:
    """A verdict for each of several comparisons, and their p-values by Holm (1979).

    "Faster" and "slower" are corrected for the number of comparisons: among any number of identical
    variants, one of them is said at all in at most 1 - level of runs. "The same" comes first: a
    difference that is proven to be smaller than matters is none. "Can't tell" says that the
    interval still holds differences that matter.

    Args:
        estimates: log speed-ups; None where there is none.
        p_values: of "no difference"; None where there is no estimate.
        min_effect: smallest difference that matters, as a share.
        level: confidence level.
    """
    adjusted = np.full(len(estimates), np.nan)
    known = [i for i, p_value in enumerate(p_values) if p_value is not None]
    adjusted[known] = holm(np.array([p for p in p_values if p is not None]))
    decided: list[Verdict] = []
    for estimate, p_value in zip(estimates, adjusted, strict=True):
        if estimate is None:
            decided.append("can't tell")
        elif equivalent(estimate, min_effect, level):
            decided.append("the same")
        elif p_value > 1 - level:
            decided.append("can't tell")
        else:
            decided.append("faster" if estimate.value > 0 else "slower")
    return decided, adjusted
