"""Beyond a few thousand documents a cell's course is condensed, and says the same."""

from __future__ import annotations

import numpy as np
import pytest

from ptdq.statistics import drift


def test_a_step_in_a_long_series_is_found_where_it_is() -> None:
    rng = np.random.default_rng(2)
    series = rng.lognormal(0, 0.2, 50_000)
    series[30_000:] *= 1.1
    found = drift.find_step(series)
    assert found.found
    assert found.location == pytest.approx(30_000, abs=500)
    assert found.ratio == pytest.approx(1.1, rel=0.01)
    assert not drift.find_step(rng.lognormal(0, 0.2, 50_000)).found


def test_a_warm_up_of_a_long_series_is_found() -> None:
    rng = np.random.default_rng(3)
    series = rng.lognormal(0, 0.1, 50_000)
    series[:40] *= 2
    found = drift.warm_up(series)
    assert 30 <= found.documents <= 50
    assert found.ratio == pytest.approx(2, rel=0.1)
    assert drift.warm_up(rng.lognormal(0, 0.1, 50_000)).documents == 0
