"""How much identical code differs from itself, and what that allows to be said.

An interval that excludes 1 is not enough: with few rounds it is now and then narrow by chance.
A difference is only called one when it is also larger than what the same variant, on the same
core, shows between its own rounds.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from .crossed import half_width, quantiles
from .ratios import Ratio

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Verdict = Literal["faster", "slower", "no detectable difference"]

MAX_ROUNDS = 1000
"""A comparison that would need more rounds than this is taken not to be worth them."""


@dataclass(frozen=True)
class NoiseFloor:
    """The effect that identical code shows (A/A comparison), as ratios of at least 1.

    Attributes:
        floor: effect that nine of ten A/A comparisons of as many rounds as the run has stay
            below; an observed speed-up must lie outside 1 / floor to floor.
        single_round: typical (root mean square) effect between two single rounds of one variant.
        largest: largest effect seen between two single rounds of the same variant.
        pairs: number of A/A pairs of rounds behind these figures.
        rounds: number of rounds of the run.
        same_core: whether the rounds of a pair ran on the same core; if no variant visited a
            core twice they did not, and the floor includes the difference between cores.
        quantile: which quantile of the documents' times was compared.
    """

    floor: float
    single_round: float
    largest: float
    pairs: int
    rounds: int
    same_core: bool
    quantile: float


@dataclass(frozen=True)
class RoundsNeeded:
    """An estimate of how many more rounds would settle a comparison.

    Attributes:
        more: additional rounds; 0 when settled already, None when more rounds can't help.
        half_width: expected half-width of the log interval with these rounds; None with
            ``more`` None.
        reason: what the estimate rests on, or why there is none.
    """

    more: int | None
    half_width: float | None
    reason: str


def noise_floor(times: Floats, cores: Ints, *, quantile: float = 0.5) -> NoiseFloor:
    """A/A noise floor from the run's own data.

    Each pair of rounds of one variant on one core is an A/A comparison of one round: the same
    code, the same documents, the same statistic. A comparison of ``R`` rounds averages ``R`` of
    them, so its typical effect is smaller by the square root of ``R``; nine of ten stay below
    1.64 times that, if the logs are about normal. Whole-round effects, which a paired
    comparison cancels, stay in: the floor errs on the careful side.

    Args:
        times: times [V, R, N] in ns of one or more variants, warm-up removed.
        cores: core of each cell [V, R].
        quantile: as for ``speed_up``.

    Returns:
        The floor.

    Raises:
        ValueError: shapes don't fit, fewer than two rounds, times not positive and finite.
    """
    if times.ndim != 3 or cores.shape != times.shape[:2] or 0 in times.shape:
        raise ValueError(f"times {times.shape} must be [V, R, N] and cores {cores.shape} [V, R]")
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("times must be positive and finite")
    variants, rounds, _ = times.shape
    if rounds < 2:
        raise ValueError("an A/A comparison needs at least two rounds")
    logs = np.log(quantiles(times, quantile))
    every = [(v, i, j) for v in range(variants) for i, j in combinations(range(rounds), 2)]
    alike = [(v, i, j) for v, i, j in every if cores[v, i] == cores[v, j]]
    effects = np.array([logs[v, i] - logs[v, j] for v, i, j in alike or every])
    typical = float(np.sqrt(np.mean(effects**2)))
    return NoiseFloor(
        floor=float(np.exp(stats.norm.ppf(0.95) * typical / np.sqrt(rounds))),
        single_round=float(np.exp(typical)),
        largest=float(np.exp(np.abs(effects).max())),
        pairs=len(effects),
        rounds=rounds,
        same_core=bool(alike),
        quantile=quantile,
    )


def judge(interval: Ratio, floor: NoiseFloor) -> Verdict:
    """Say whether the variant is faster, and only where the data carry it.

    "Faster" and "slower" need an interval that excludes 1 and a point estimate beyond the noise
    floor; a refused interval supports neither. "No detectable difference" does not say that
    there is none: the interval says how large one could be.

    Raises:
        ValueError: the floor is that of another quantile.
    """
    if interval.quantile != floor.quantile:
        raise ValueError(f"interval is of quantile {interval.quantile}, floor of {floor.quantile}")
    if interval.low is None or interval.high is None:
        return "no detectable difference"
    if interval.low > 1 and interval.point > floor.floor:
        return "faster"
    if interval.high < 1 and interval.point < 1 / floor.floor:
        return "slower"
    return "no detectable difference"


def rounds_needed(
    interval: Ratio,
    documents: int,
    *,
    target: float = 1.0,
    floor: NoiseFloor | None = None,
    step: int = 2,
    power: float = 0.8,
) -> RoundsNeeded:
    """Estimate how many more rounds would separate a ratio from a target.

    Takes the point estimate and the spread seen so far for the truth, which with few rounds
    they are not: treat the answer as an order of size.

    Args:
        interval: the comparison so far.
        documents: number of documents N behind it.
        target: ratio to be told apart from; 1, or a gate's least speed-up.
        floor: noise floor to be exceeded too, for ``target`` 1; shrinks with the rounds.
        step: rounds are added in multiples of this: the number of cores.
        power: probability of settling it with these rounds, if the estimate is right.

    Returns:
        The estimate; ``more`` is None where the choice of documents alone hides the difference,
        where it would take over ``MAX_ROUNDS`` rounds, or where there is no interval.

    Raises:
        ValueError: an option is out of range.
    """
    if documents < 2 or target <= 0 or step < 1 or not 0.5 <= power < 1:
        raise ValueError("needs documents >= 2, target > 0, step >= 1 and 0.5 <= power < 1")
    if interval.low is None or interval.high is None:
        return RoundsNeeded(None, None, f"no interval to start from: {interval.refused}")
    effect = abs(float(np.log(interval.point / target)))
    settled = not interval.low <= target <= interval.high
    if floor is not None and target == 1:
        settled = settled and judge(interval, floor) != "no detectable difference"
    if settled:
        half = float(np.log(interval.high / interval.low)) / 2
        return RoundsNeeded(0, half, "settled with the rounds at hand")
    tail = (1 + interval.level) / 2
    if effect <= (stats.norm.ppf(tail) + stats.norm.ppf(power)) * interval.document_se:
        reason = "the choice of documents alone hides a difference of this size: add documents"
        return RoundsNeeded(None, None, reason)
    effects = interval.rounds - interval.degrees_of_freedom
    for rounds in range(interval.rounds + step, MAX_ROUNDS + 1, step):
        # At least the present weight scaled down: the core effects cost the same few rounds.
        variance = interval.round_sd**2 * interval.round_weight * interval.rounds / rounds
        df = rounds - effects
        half = half_width(variance, interval.document_se**2, df, documents - 1, interval.level)
        margin = stats.t.ppf(power, df) * np.sqrt(variance + interval.document_se**2)
        beyond = effect >= half + margin
        if floor is not None and target == 1:
            shrink = np.sqrt(floor.rounds / rounds)
            beyond = beyond and effect > np.log(floor.floor) * shrink
        if beyond:
            reason = f"estimate: the point and spread of {interval.rounds} rounds taken as true"
            return RoundsNeeded(rounds - interval.rounds, half, reason)
    return RoundsNeeded(None, None, f"more than {MAX_ROUNDS} rounds would be needed")
