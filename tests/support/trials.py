"""Many simulated A/A runs, judged; shared by the tests of coverage and of the noise floor.

Multiplying a variant's times by a constant moves its interval by just that constant, so runs of
identical variants (true ratio 1) measure the coverage for every true ratio.
"""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from ptdq.statistics.noise import judge, noise_floor
from ptdq.statistics.ratios import speed_up
from tests.support.simulate import SCENARIOS, simulate


@dataclass(frozen=True)
class Trials:
    """How many of ``runs`` simulated A/A runs covered 1 and were declared different."""

    runs: int
    covered: int
    declared: int
    naive_covered: int


@cache
def trials(
    name: str, *, rounds: int = 4, quantile: float = 0.5, runs: int = 400, documents: int = 110
) -> Trials:
    """Simulate and judge; the seed follows from the arguments alone."""
    rng = np.random.default_rng(zlib.crc32(f"{name} {rounds} {quantile}".encode()))
    covered = declared = naive = 0
    for run in range(runs):
        made = simulate(SCENARIOS[name], rng, rounds=rounds, documents=documents, speed_ups=(1.0, 1.0))
        ratio = speed_up(*made.times, *made.cores, quantile=quantile, resamples=150, seed=run)
        assert ratio.low is not None
        assert ratio.high is not None
        covered += ratio.low <= 1 <= ratio.high
        floor = noise_floor(made.times, made.cores, quantile=quantile)
        declared += judge(ratio, floor) != "no detectable difference"
        logs = np.log(ratio.per_round)
        picks = rng.integers(rounds, size=(200, rounds))
        low, high = np.quantile(logs[picks].mean(axis=1), [0.025, 0.975])
        naive += bool(low <= 0 <= high)
    return Trials(runs, int(covered), int(declared), naive)
