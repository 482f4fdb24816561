"""Did the machine change for one variant and not for the other."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .drift import ALPHA, Numbers, Step, Trend, find_step, find_trend, normalized

Floats = npt.NDArray[np.float64]

LEAST_CHANGE = 0.1
"""Least change of the median ratio that can confound."""

_SHORT = 0.1  # share of a cell that a warm-up or burst at either end may take


@dataclass(frozen=True)
class Confounding:
    """Whether a comparison mixes the variants with changes of the machine.

    Attributes:
        confounded: more than half of the rounds are affected, in the same direction.
        affected: the rounds in which a step or trend is not shared by both variants.
        steps: step of variant against baseline, for each round.
        trends: trend of variant against baseline, for each round.
        reason: the finding in words.
    """

    confounded: bool
    affected: tuple[int, ...]
    steps: tuple[Step, ...]
    trends: tuple[Trend, ...]
    reason: str


def confounded(
    baseline: Floats,
    variant: Floats,
    tokens: Numbers | None = None,
    *,
    alpha: float = ALPHA,
    min_change: float = LEAST_CHANGE,
    seed: int = 0,
) -> Confounding:
    """Judge whether steps or drifts hit one variant and not the other.

    Both variants of a round time the same documents in the same order, so a change shared by
    both cancels in the ratio of their times, document by document, and one that is not shared
    stays in it as a step or a trend. A ratio that merely depends on the length does not alarm,
    since the order of documents is random.

    In a minority of the rounds, or now for one variant and now for the other, such a change is
    part of the variance between rounds, which the interval counts. In most rounds and always in
    the same direction it is no accident, and the speed-up can't be told from the machine's
    change. A short slow stretch at either end is a warm-up or a burst: it hardly moves a median,
    and is not counted. Bursts also break the tests' assumption of an exchangeable order, which
    is why the least change is larger here than for a single series.

    Args:
        baseline: times [R, N] or [N] in the order of the run.
        variant: times of the same rounds and documents.
        tokens: token counts [N].
        alpha: false alarm rate for each round, steps and trends together.
        min_change: least change of the median ratio that counts.
        seed: seed of the permutations.

    Returns:
        The judgement.

    Raises:
        ValueError: shapes differ, or as ``drift.normalized``.
    """
    if baseline.shape != variant.shape or baseline.ndim not in (1, 2) or baseline.size == 0:
        raise ValueError(f"shapes must match, got {baseline.shape} and {variant.shape}")
    if not ((baseline > 0).all() and (variant > 0).all()):
        raise ValueError("times must be positive")
    ratios = np.atleast_2d(variant / baseline)
    steps = tuple(
        find_step(row, tokens, alpha=alpha / 2, min_change=min_change, seed=seed) for row in ratios
    )
    trends = tuple(find_trend(row, tokens, alpha=alpha / 2, min_change=min_change) for row in ratios)
    pairs = zip(np.atleast_2d(baseline), np.atleast_2d(variant), strict=True)
    steps = tuple(
        replace(step, found=step.found and _lasts(step, *pair, tokens))
        for step, pair in zip(steps, pairs, strict=True)
    )
    affected = tuple(r for r in range(len(ratios)) if steps[r].found or trends[r].found)
    rising = sum(_rises(steps[r], trends[r]) for r in affected)
    verdict = 2 * max(rising, len(affected) - rising) > len(ratios)
    return Confounding(verdict, affected, steps, trends, _reason(affected, steps, len(ratios)))


def _rises(step: Step, trend: Trend) -> bool:
    return (step.ratio if step.found else trend.ratio) > 1


def _lasts(step: Step, baseline: Floats, variant: Floats, tokens: Numbers | None) -> bool:
    """Whether a step is more than a short slow stretch at the start or the end."""
    before, count = step.location, len(baseline)
    if _SHORT * count <= before <= (1 - _SHORT) * count:
        return True
    changes = [
        float(np.median(logs[before:]) - np.median(logs[:before]))
        for logs in (normalized(baseline, tokens), normalized(variant, tokens))
    ]
    # The variant that changed more is the one that was hit.
    slower_later = max(changes, key=abs) > 0
    short_part_first = before < count / 2
    return slower_later == short_part_first


def _reason(affected: tuple[int, ...], steps: tuple[Step, ...], rounds: int) -> str:
    if not affected:
        return "no step or trend that one variant has and the other has not"
    text = f"{len(affected)} of {rounds} rounds have a step or trend not shared by both variants"
    stepped = [(r, steps[r]) for r in affected if steps[r].found]
    if stepped:
        r, step = max(stepped, key=lambda pair: abs(np.log(pair[1].ratio)))
        text += (
            f"; the largest step, in round {r} after {step.location} documents, changes "
            f"variant / baseline by a factor of {step.ratio:.2f}"
        )
    return text
