"""The speed-up: what it must equal, what must leave it unchanged, when it is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ptdq.statistics.crossed import document_variance, half_width, quantiles
from ptdq.statistics.ratios import MIN_ROUNDS, Ratio, speed_up
from tests.support.simulate import ALL, Floats, Ints, Run, simulate

SWAP = np.array([0, 1, 0, 1])


def run_of(seed: int, rounds: int = 4, documents: int = 40) -> Run:
    return simulate(ALL, np.random.default_rng(seed), rounds=rounds, documents=documents)


def ratio_of(run: Run, **options: float) -> Ratio:
    return speed_up(*run.times, *run.cores, resamples=50, **options)  # type: ignore[arg-type]


def flat(logs: Floats, documents: int = 20) -> Floats:
    """Times of rounds in which every document takes the same time."""
    return np.repeat(np.exp(logs)[:, None], documents, axis=1) * 1e8


def bounds(ratio: Ratio) -> Floats:
    assert ratio.low is not None
    assert ratio.high is not None
    return np.array([ratio.low, ratio.point, ratio.high])


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, rounds=st.integers(4, 7))
def test_swapping_the_variants_inverts_it(seed: int, rounds: int) -> None:
    run = run_of(seed, rounds)
    swapped = Run(run.times[::-1], run.cores[::-1], run.tokens)
    np.testing.assert_allclose(bounds(ratio_of(swapped)), 1 / bounds(ratio_of(run))[::-1])


@settings(max_examples=30, deadline=None)
@given(seed=seeds, scale=st.floats(1e-6, 1e6))
def test_the_unit_of_time_does_not_matter(seed: int, scale: float) -> None:
    run = run_of(seed)
    scaled = Run(run.times * scale, run.cores, run.tokens)
    np.testing.assert_allclose(bounds(ratio_of(scaled)), bounds(ratio_of(run)), rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_the_order_of_documents_does_not_matter(seed: int) -> None:
    run = run_of(seed)
    order = np.random.default_rng(seed).permutation(run.times.shape[2])
    shuffled = Run(run.times[:, :, order], run.cores, run.tokens[order])
    assert ratio_of(shuffled) == ratio_of(run)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, factor=st.floats(0.5, 2.0))
def test_an_effect_of_a_whole_round_cancels(seed: int, factor: float) -> None:
    run = run_of(seed)
    times = run.times.copy()
    times[:, 1] *= factor
    np.testing.assert_allclose(
        bounds(ratio_of(Run(times, run.cores, run.tokens))), bounds(ratio_of(run)), rtol=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(seed=seeds, factor=st.floats(0.5, 2.0))
def test_a_slower_core_cancels(seed: int, factor: float) -> None:
    run = run_of(seed)
    times = np.where(run.cores[:, :, None] == 1, run.times * factor, run.times)
    np.testing.assert_allclose(
        bounds(ratio_of(Run(times, run.cores, run.tokens))), bounds(ratio_of(run)), rtol=1e-9
    )


@given(values=st.lists(st.floats(1.0, 1e9), min_size=1, max_size=30), quantile=st.floats(0.01, 0.99))
def test_quantiles_are_numpys(values: list[float], quantile: float) -> None:
    assert quantiles(np.array(values), quantile) == pytest.approx(np.quantile(values, quantile))


def test_without_document_variance_it_is_students_t_of_the_rounds() -> None:
    logs = np.array([0.7, 0.75, 0.66, 0.71])
    ratio = speed_up(flat(logs), flat(np.zeros(4)), SWAP, SWAP)
    expected = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    np.testing.assert_allclose(
        np.log(bounds(ratio)), [expected.low, logs.mean(), expected.high], rtol=1e-9
    )
    assert ratio.core_effects == "none"
    assert ratio.degrees_of_freedom == 3


@pytest.mark.parametrize("rounds", [4, 5, 8])
def test_with_a_core_swap_it_is_the_intercept_of_a_regression(rounds: int) -> None:
    """An odd number of rounds unbalances the swap; least squares still takes the core out."""
    rng = np.random.default_rng(rounds)
    first = np.arange(rounds) % 2
    contrast = np.where(first == 0, -1.0, 1.0)
    logs = 0.7 + 0.2 * contrast + rng.normal(0, 0.02, rounds)
    ratio = speed_up(flat(logs), flat(np.zeros(rounds)), first, 1 - first)
    line = stats.linregress(contrast, logs)
    half = stats.t.ppf(0.975, rounds - 2) * line.intercept_stderr
    np.testing.assert_allclose(
        np.log(bounds(ratio)), line.intercept + half * np.array([-1, 0, 1]), rtol=1e-9
    )
    assert ratio.core_effects == "removed"
    assert ratio.degrees_of_freedom == rounds - 2


def test_too_few_rounds_to_estimate_balanced_cores_widen_the_interval() -> None:
    """Four cores, four rounds: the core effects cancel in the mean but stay in the spread."""
    first = np.arange(4)
    second = (first + 1) % 4
    core = np.array([0.0, 0.3, 0.1, 0.2])
    ratio = speed_up(flat(0.7 + core[first]), flat(core[second]), first, second)
    assert ratio.core_effects == "balanced"
    assert ratio.degrees_of_freedom == 3
    assert ratio.point == pytest.approx(np.exp(0.7))
    assert ratio.low is not None
    assert ratio.low < np.exp(0.5)


def refused(baseline: Floats, first: Ints, second: Ints, quantile: float = 0.5) -> str:
    ratio = speed_up(baseline * 2, baseline, first, second, quantile=quantile)
    assert ratio.low is None
    assert ratio.high is None
    assert ratio.refused is not None
    assert ratio.point == pytest.approx(2)
    return ratio.refused


def test_refuses_but_still_estimates() -> None:
    rng = np.random.default_rng(0)
    times = rng.lognormal(size=(5, 99)) * 1e8
    few, same = MIN_ROUNDS - 1, np.zeros(4, dtype=np.int64)
    assert "at least 4" in refused(times[:few], SWAP[:few], 1 - SWAP[:few])
    assert "can't be told apart" in refused(times[:4], same, same + 1)
    assert "too few" in refused(times[:4], SWAP, 1 - SWAP, quantile=0.95)
    assert "too few" in refused(times[:4, :9], SWAP, 1 - SWAP)
    five = np.arange(5) % 4
    assert "degrees of freedom" in refused(times, five, (five + 1) % 4)


def test_document_variance_is_told_apart_from_call_noise() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 0.03, (50_000, 1))
    own = rng.normal(0, 0.05, (50_000, 4))
    found = document_variance(shared + own, np.full(4, 0.25))
    assert found == pytest.approx(0.03**2, rel=0.05)


def test_half_width_at_both_ends() -> None:
    assert half_width(4.0, 0.0, 2, 99, 0.95) == pytest.approx(2 * stats.t.ppf(0.975, 2))
    assert half_width(0.0, 4.0, 2, 99, 0.95) == pytest.approx(2 * stats.t.ppf(0.975, 99))
    assert half_width(0.0, 0.0, 2, 99, 0.95) == 0.0
    assert half_width(4.0, -1.0, 2, 99, 0.95) == pytest.approx(np.sqrt(3) * stats.t.ppf(0.975, 2))
    assert half_width(4.0, -9.0, 2, 99, 0.95) == pytest.approx(np.sqrt(2.8) * stats.t.ppf(0.975, 2))


def test_result_is_immutable_and_reproducible() -> None:
    run = run_of(1)
    ratio = ratio_of(run)
    assert ratio == ratio_of(run)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ratio.point = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"baseline": np.ones((4, 3))}, "same"),
        ({"baseline": np.ones(20)}, "same"),
        ({"cores_baseline": np.zeros(3, dtype=int)}, "one core for each round"),
        ({"variant": np.zeros((4, 20))}, "positive"),
        ({"variant": np.full((4, 20), np.nan)}, "positive"),
        ({"quantile": 1.0}, "between 0 and 1"),
        ({"resamples": 1}, "resamples"),
    ],
)
def test_rejects_what_it_cannot_use(change: dict[str, object], text: str) -> None:
    good: dict[str, object] = {
        "baseline": np.ones((4, 20)),
        "variant": np.ones((4, 20)),
        "cores_baseline": SWAP,
        "cores_variant": 1 - SWAP,
    }
    with pytest.raises(ValueError, match=text):
        speed_up(**(good | change))  # type: ignore[arg-type]
