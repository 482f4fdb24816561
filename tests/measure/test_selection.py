"""About a hundred documents stand for all: worlds of lengths and costs that the method does not know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ptdq.measure.selection import choose_timing_documents, shapes

Floats = NDArray[np.float64]
LENGTHS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "lognormal": lambda r: r.lognormal(4.5, 0.8, 5000),
    "two kinds": lambda r: np.concatenate([r.normal(20, 5, 4000), r.normal(300, 60, 1000)]),
    "nearly all cut": lambda r: r.normal(900, 200, 3000),
    "heavy tail": lambda r: 10 * (1 + r.pareto(1.5, 5000)),
    "few": lambda r: r.lognormal(4, 1, 230),
}
COSTS: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda t: 3 + 0.2 * t,
    "attention": lambda t: 3 + 0.1 * t + 0.0008 * t**2,
    "steps of 64": lambda t: 5.0 * np.ceil(t / 64),
}


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_mean_and_p95_are_those_of_all_documents(lengths: str, cost: str) -> None:
    mine, drawn, p95 = [], [], []
    for world in range(100):
        random = np.random.default_rng(world)
        tokens = np.clip(LENGTHS[lengths](random), 3, None).astype(int)
        times = COSTS[cost](np.minimum(tokens, 512)) * random.lognormal(0, 0.05, len(tokens))
        chosen = choose_timing_documents(tokens, 100, world)
        mine.append(times[chosen].mean() / times.mean() - 1)
        drawn.append(random.choice(times, 100, replace=False).mean() / times.mean() - 1)
        p95.append(
            np.percentile(times[chosen], 95, method="hazen") / np.percentile(times, 95, method="hazen")
            - 1
        )
    # Where nearly all documents have one length, any hundred are as good: noise is all there is.
    assert np.std(mine) < (1.1 if lengths == "nearly all cut" else 0.5) * np.std(drawn)
    assert abs(np.mean(mine)) < (0.04 if lengths == "heavy tail" else 0.005)
    assert abs(np.mean(p95)) < 0.03


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.integers(1, 250), st.integers(0, 9))
def test_a_choice_is_distinct_complete_and_the_same_again(
    tokens: list[int], count: int, seed: int
) -> None:
    chosen = choose_timing_documents(tokens, count, seed)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(tokens))
    assert (np.diff(chosen) > 0).all()
    assert chosen.tolist() == choose_timing_documents(tokens, count, seed).tolist()
    # Every document stands for as many: so do the chosen up to any length, to within one.
    values = np.array(tokens)
    for length in np.unique(values):
        share = (values <= length).mean() * len(chosen)
        assert abs((values[chosen] <= length).sum() - share) <= 1


def test_which_of_equal_length_is_left_to_chance() -> None:
    assert len({tuple(choose_timing_documents([7] * 50, 5, seed)) for seed in range(20)}) > 10


def test_none_is_no_choice() -> None:
    with pytest.raises(ValueError, match="count"):
        choose_timing_documents([1, 2], 0, 0)


def test_shapes_are_lengths_after_truncation() -> None:
    assert shapes([3, 3, 9, 70, 80], 64) == 3
