"""Beyond a few thousand documents the resampling is bounded, and says the same."""

from __future__ import annotations

import numpy as np
import pytest

from ptdq.statistics import crossed, drift
from ptdq.statistics.ratios import speed_up

CORES = np.array([0, 1, 0, 1])


def times(documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four rounds of two variants, 1.5 apart, with documents that differ and calls that do."""
    rng = np.random.default_rng(seed)
    cost = rng.lognormal(13, 0.5, documents)
    noise = rng.lognormal(0, 0.05, (2, 4, documents)) * rng.lognormal(0, 0.01, (2, 4, 1))
    # Per document the gain differs, or documents would not matter to the ratio.
    gain = rng.lognormal(np.log(1.5), 0.2, documents)
    return cost * noise[0], cost / gain * noise[1]


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_the_bounded_bootstrap_has_the_spread_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, quantile: float
) -> None:
    baseline, variant = times(9_000)
    weights = np.full(4, 0.25)

    def spread() -> float:
        found = crossed.document_replicates(baseline, variant, quantile, 400, seed=1)
        return float((found @ weights).std(ddof=1))

    bounded = spread()
    monkeypatch.setattr(crossed, "MOST_DOCUMENTS", 10**9)
    # Two estimates of a standard deviation from 400 draws each differ by some 5 %.
    assert bounded == pytest.approx(spread(), rel=0.15)


def test_a_few_thousand_documents_are_resampled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    baseline, variant = times(crossed.MOST_DOCUMENTS)
    whole = speed_up(baseline, variant, CORES, 1 - CORES, resamples=50)
    monkeypatch.setattr(crossed, "MOST_DOCUMENTS", 10**9)
    assert speed_up(baseline, variant, CORES, 1 - CORES, resamples=50) == whole


def test_more_documents_narrow_the_interval() -> None:
    errors = []
    for documents in (3_000, 30_000):
        errors.append(speed_up(*times(documents), CORES, 1 - CORES, resamples=200).document_se)
    assert errors[1] == pytest.approx(errors[0] / np.sqrt(10), rel=0.3)


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
