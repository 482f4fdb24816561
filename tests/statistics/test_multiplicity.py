"""Several tests in one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ptdq.statistics.multiplicity import exact_upper, holm, holm_levels

values_of = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(values_of)
def test_holm_by_its_definition(values: list[float]) -> None:
    """Rejects at a level exactly what stepping down through the sorted p-values rejects."""
    p_values = np.array(values)
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, index in enumerate(np.argsort(p_values)):
            if p_values[index] * (len(values) - step) > level:
                break
            rejected.add(int(index))
        assert set(np.flatnonzero(adjusted <= level)) == rejected


@given(values_of, st.sampled_from([0.01, 0.05, 0.2]))
def test_a_level_is_met_just_where_holm_rejects(values: list[float], alpha: float) -> None:
    p_values = np.array(values)
    assert ((p_values <= holm_levels(p_values, alpha)) == (holm(p_values) <= alpha)).all()


def test_none_of_twenty_is_not_never() -> None:
    assert exact_upper(0, 20) == pytest.approx(0.168, abs=0.001)
    assert exact_upper(20, 20) == 1
    assert exact_upper(3, 50) == pytest.approx(stats.binomtest(3, 50).proportion_ci().high)
    with pytest.raises(ValueError, match="3 of 2"):
        exact_upper(3, 2)
