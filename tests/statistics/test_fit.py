"""The speed-up of one fit: what must leave it unchanged, and what documents that belong together do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptdq.statistics.influence import MEAN_TIME, MEDIAN, Statistic, document_variance
from ptdq.statistics.measured import Comparer, Measured
from ptdq.statistics.quantiles import quantiles
from ptdq.statistics.uncertain import Estimate
from tests.statistics.coverage import at_least
from tests.support.simulate import ALL, Floats, Ints, Run, simulate

seeds = st.integers(0, 2**32 - 1)
statistics = st.sampled_from([MEDIAN, MEAN_TIME])
SWAP = np.array([[0, 1, 0, 1], [1, 0, 1, 0]])


def run_of(seed: int, rounds: int = 4, documents: int = 40) -> Run:
    return simulate(ALL, np.random.default_rng(seed), rounds=rounds, documents=documents)


def estimate(
    times: Floats, cores: Ints, statistic: Statistic = MEDIAN, groups: Ints | None = None
) -> Estimate:
    return Comparer(Measured(times[:, :, None], cores, groups), statistic).compare(0, 1)


def bounds(times: Floats, cores: Ints, statistic: Statistic = MEDIAN) -> Floats:
    found = estimate(times, cores, statistic)
    return np.array([found.low(0.025), found.value, found.high(0.025)])


@settings(max_examples=20, deadline=None)
@given(seed=seeds, rounds=st.integers(4, 7), statistic=statistics)
def test_swapping_the_variants_inverts_it(seed: int, rounds: int, statistic: Statistic) -> None:
    run = run_of(seed, rounds)
    swapped = bounds(run.times[::-1], run.cores[::-1], statistic)
    np.testing.assert_allclose(swapped, -bounds(run.times, run.cores, statistic)[::-1], atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, scale=st.floats(1e-6, 1e6), statistic=statistics)
def test_the_unit_of_time_does_not_matter(seed: int, scale: float, statistic: Statistic) -> None:
    run = run_of(seed)
    scaled = bounds(run.times * scale, run.cores, statistic)
    np.testing.assert_allclose(scaled, bounds(run.times, run.cores, statistic), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, statistic=statistics)
def test_the_order_of_documents_does_not_matter(seed: int, statistic: Statistic) -> None:
    run = run_of(seed)
    order = np.random.default_rng(seed).permutation(run.times.shape[2])
    shuffled = bounds(run.times[:, :, order], run.cores, statistic)
    np.testing.assert_allclose(shuffled, bounds(run.times, run.cores, statistic), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, factor=st.floats(0.5, 2.0), statistic=statistics)
def test_a_slow_round_and_a_slow_core_cancel(seed: int, factor: float, statistic: Statistic) -> None:
    run = run_of(seed)
    plain = bounds(run.times, run.cores, statistic)
    times = run.times.copy()
    times[:, 1] *= factor
    np.testing.assert_allclose(bounds(times, run.cores, statistic), plain, atol=1e-9)
    times = np.where(run.cores[:, :, None] == 1, run.times * factor, run.times)
    np.testing.assert_allclose(bounds(times, run.cores, statistic), plain, atol=1e-9)


@given(values=st.lists(st.floats(1.0, 1e9), min_size=1, max_size=30), quantile=st.floats(0.01, 0.99))
def test_quantiles_are_numpys(values: list[float], quantile: float) -> None:
    assert quantiles(np.array(values), quantile) == pytest.approx(np.quantile(values, quantile))


# Documents that belong together.


def authors(rng: np.random.Generator, groups: int, size: int) -> tuple[Floats, Ints]:
    """Times [2, 4, N]: how much a variant gains depends on the author, and there are few of them."""
    which = np.repeat(np.arange(groups), size)
    gain = rng.normal(0, 0.1, groups)[which]
    cost = rng.normal(0, 0.3, len(which))
    times = np.exp(cost + rng.normal(0, 0.02, (2, 4, len(which))) + rng.normal(0, 0.002, (2, 4, 1)))
    times[1] *= np.exp(gain)
    return times, which


def test_groups_of_one_are_no_groups() -> None:
    times, _ = authors(np.random.default_rng(0), 40, 1)
    for statistic in (MEDIAN, MEAN_TIME):
        alone = estimate(times, SWAP, statistic, np.arange(40)[::-1])
        assert alone.document_variance == pytest.approx(
            estimate(times, SWAP, statistic).document_variance
        )
        assert alone.document_df == 39


def test_copies_narrow_no_interval() -> None:
    """On the code before groups four copies made the documents' part half as wide."""
    rng = np.random.default_rng(1)
    influences = rng.normal(0, 1, 60) + rng.normal(0, 0.01, (4, 60))
    nothing = np.zeros_like(influences)
    once = document_variance(influences, nothing)
    four, zeros = np.tile(influences, 4), np.tile(nothing, 4)
    assert document_variance(four, zeros, np.tile(np.arange(60), 4)) == pytest.approx(once)
    assert document_variance(four, zeros) == pytest.approx(once / 4, rel=0.1)


def test_intervals_cover_where_few_authors_wrote_the_documents() -> None:
    rng, runs = np.random.default_rng(2), 150
    covered = {"groups": 0, "none": 0}
    for _ in range(runs):
        times, which = authors(rng, 25, 8)
        for name, groups in (("groups", which), ("none", None)):
            found = estimate(times, SWAP, MEDIAN, groups)
            covered[name] += bool(found.low(0.025) <= 0 <= found.high(0.025))
    assert at_least(covered["groups"] / runs, runs, 0.93)
    # The world is one in which documents alone deceive.
    assert not at_least(covered["none"] / runs, runs, 0.93)


def test_too_few_groups_are_refused_and_said_to_be_groups() -> None:
    times, which = authors(np.random.default_rng(3), 6, 10)
    comparer = Comparer(Measured(times[:, :, None], SWAP, which), MEDIAN)
    why = comparer.refused(0, 1)
    assert why is not None
    assert why.startswith("6 documents are too few")
    assert "documents of a group count as one" in why
