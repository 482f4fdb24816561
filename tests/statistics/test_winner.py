"""The best of several variants, with errors of heavier tails than the estimates believe in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ptdq.statistics.uncertain import Estimate
from ptdq.statistics.winner import Winner, best_set, winner
from tests.statistics.coverage import at_least

VARIANTS, DF, RUNS = 13, 38, 500
SD = 0.02
"""Of the error of a variant's log time."""


@dataclass(frozen=True)
class Picked:
    """Of one run: log speed-ups over the baseline, which is the last, and what is made of them."""

    truth: np.ndarray
    measured: np.ndarray
    won: Winner
    best: list[int]


def picked(rng: np.random.Generator, spread: float) -> Picked:
    """Variants whose speeds are spread evenly over a range; errors by t with 5 degrees of freedom."""
    truth = rng.permutation(np.linspace(0, spread, VARIANTS + 1))
    errors = SD * rng.standard_t(5, VARIANTS + 1) / np.sqrt(5 / 3)
    measured = truth + errors
    variance = 2 * SD**2 * rng.chisquare(DF) / DF

    def estimate(value: float) -> Estimate:
        return Estimate(value, variance, 0.0, DF, DF)

    def leads(values: np.ndarray) -> list[Estimate | None]:
        first = int(values.argmax())
        return [None if i == first else estimate(values[first] - v) for i, v in enumerate(values)]

    speedups = measured[:-1] - measured[-1]
    won = winner([estimate(value) for value in speedups], leads(speedups))
    return Picked(truth[:-1] - truth[-1], speedups, won, best_set(leads(np.append(speedups, 0.0))))


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_the_winner_is_covered_and_hardly_flattered(spread: float) -> None:
    rng = np.random.default_rng(1)
    runs = [picked(rng, spread) for _ in range(RUNS)]
    truths = np.array([run.truth[run.won.index] for run in runs])
    inside = [run.won.low <= t <= run.won.high for run, t in zip(runs, truths, strict=True)]
    assert at_least(float(np.mean(inside)), RUNS, 0.95)
    flattered = np.mean([run.measured[run.won.index] for run in runs] - truths)
    left = np.mean([run.won.value for run in runs] - truths)
    error = np.std([run.won.value for run in runs] - truths) / np.sqrt(RUNS)
    # Luck is worth nearly two standard deviations where all are alike; less, the more they differ.
    assert flattered > (0.015 if spread == 0 else 0.003)
    assert abs(left) < 0.4 * flattered + 3 * error


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_the_best_stays_in_the_set(spread: float) -> None:
    rng = np.random.default_rng(2)
    runs = [picked(rng, spread) for _ in range(RUNS)]
    best = [int(np.append(run.truth, 0.0).argmax()) for run in runs]
    assert at_least(
        float(np.mean([b in run.best for b, run in zip(best, runs, strict=True)])), RUNS, 0.95
    )
    if spread == 0.3:
        assert np.mean([len(run.best) for run in runs]) < 6


def test_of_one_variant_there_is_no_choice() -> None:
    alone = Estimate(0.5, 0.01, 0.0, 9, 9)
    found = winner([alone], [None])
    assert (found.index, found.value, found.contenders) == (0, 0.5, 1)
    assert found.low == alone.low(0.025)
