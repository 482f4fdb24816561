"""Identical code on two nights, both ways: measured again within the run, and between runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ptdq.statistics.between_runs import LEAST_RUNS
from ptdq.statistics.multiplicity import ALPHA
from tests.statistics.nights import LUCK, false_alarm, night

NIGHTS = 180
DRAWS = 600


def limit(count: int) -> float:
    """Most false alarms: what a true 5 % exceeds in one of a hundred repetitions."""
    return float(stats.binom.ppf(0.99, count, ALPHA))


@pytest.mark.long
@pytest.mark.parametrize("luck", LUCK)
def test_identical_code_is_no_regression(luck: str) -> None:
    """Histories are drawn from the nights again and again, so the share between runs is a mean over them.

    It has more in it than one draw for each night would: nights / (runs + 1) histories share none.
    """
    nights = [night(luck, seed) for seed in range(NIGHTS)]
    again = sum(each.p_again <= ALPHA for each in nights)
    assert again <= limit(NIGHTS)
    rng = np.random.default_rng(0)
    drawn = [rng.choice(NIGHTS, LEAST_RUNS + 1, replace=False) for _ in range(DRAWS)]
    between = sum(false_alarm([nights[i] for i in order]) for order in drawn)
    apart = NIGHTS // (LEAST_RUNS + 1)
    assert between / DRAWS <= limit(apart) / apart
    assert between / DRAWS <= 0.06
