"""Documents that belong together count once."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ptdq.statistics.groups import compact, design_effect, sign_flip
from ptdq.statistics.non_inferiority import evidence
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.resampling import Sampling, Scores, kinds, resample
from tests.support.simulate import Floats, Ints, draw_predictions


def accuracy_gain(old: Scores, new: Scores) -> Floats:
    return new.accuracy - old.accuracy


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_sign_flip_by_brute_force(net: list[int]) -> None:
    """Share of all assignments of signs with a sum as far from zero."""
    sums = [abs(sum(s * d for s, d in zip(signs, net, strict=True)))
            for signs in product((-1, 1), repeat=len(net))]  # fmt: skip
    expected = np.mean([found >= abs(sum(net)) for found in sums])
    assert sign_flip(np.array(net)) == pytest.approx(expected)


def test_design_effect() -> None:
    assert design_effect(np.arange(7)) == 1
    assert design_effect(np.repeat(np.arange(7), 4)) == 4
    # Nine alone and one of nine: a document lies in a group of (9 × 1 + 9 × 9) / 18.
    assert design_effect(np.array([*range(9), *[9] * 9])) == 5


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_a_hundred_texts_four_times_stay_undecided(metric: str) -> None:
    """On the code before groups the copies were "non-inferior"."""
    labels = np.arange(100) % 4
    four, texts = np.tile(labels, 4), np.tile(np.arange(100), 4)
    once = evidence(labels, labels, labels, metric=metric).decide()  # type: ignore[arg-type]
    assert once.outcome == "undecided"
    assert evidence(four, four, four, metric=metric).decide().outcome == "non-inferior"  # type: ignore[arg-type]
    again = evidence(four, four, four, texts, metric=metric).decide()  # type: ignore[arg-type]
    assert again.outcome == "undecided"
    assert again.low == pytest.approx(once.low)


def test_copies_change_no_interval_and_no_p_value() -> None:
    labels, old, new = draw_predictions(np.random.default_rng(3), 300, 3, 0.9, 0.04, 0.02)
    once = compare_predictions(labels, old, new)
    texts = np.tile(np.arange(300), 4)
    four = [np.tile(x, 4) for x in (labels, old, new)]
    again = compare_predictions(four[0], four[1], four[2], texts)
    assert again.p_value == pytest.approx(once.p_value)
    for name in ("accuracy", "macro_f1", "weighted_f1"):
        first, second = getattr(once, name), getattr(again, name)
        assert (second.point, second.low, second.high) == pytest.approx(
            (first.point, first.low, first.high), abs=1e-9
        )
    for first, second in zip(once.recalls, again.recalls, strict=True):
        assert second.p_value == pytest.approx(first.p_value)
        assert second.drop_bound == pytest.approx(first.drop_bound)
    naive = compare_predictions(*(np.tile(x, 4) for x in (labels, old, new)))
    assert naive.accuracy.high - naive.accuracy.low < 0.6 * (once.accuracy.high - once.accuracy.low)


def test_groups_of_one_are_no_groups() -> None:
    sample = draw_predictions(np.random.default_rng(3), 300, 3, 0.9, 0.04, 0.02)
    once, alone = evidence(*sample), evidence(*sample, np.arange(300)[::-1])
    assert alone.p_value == once.p_value
    assert alone.found.size == 1


def clustered(rng: np.random.Generator, groups: int, loss: float) -> tuple[Ints, Ints, Ints, Ints]:
    """Authors with 1 to 8 documents each; who is hard for a variant is so in most of their documents.

    Losses and gains have the same rate ``loss``: the true difference in accuracy is 0.
    """
    sizes = rng.integers(1, 9, groups)
    which = np.repeat(np.arange(groups), sizes)
    labels = rng.integers(3, size=len(which))
    kind = rng.choice(3, groups, p=[loss, loss, 1 - 2 * loss])[which]
    touched = rng.random(len(which)) < 0.8
    wrong = (labels + 1) % 3
    baseline = np.where((kind == 1) & touched, wrong, labels)
    variant = np.where((kind == 0) & touched, wrong, labels)
    return labels, baseline, variant, which


def test_bounds_and_tests_of_groups_hold_their_level() -> None:
    rng, runs = np.random.default_rng(8), 250
    beyond = {"bound": 0, "naive bound": 0, "test": 0, "naive test": 0}
    for run in range(runs):
        *sample, which = clustered(rng, 150, 0.04)
        labels, old, new = sample
        for name, groups in (("bound", which), ("naive bound", None)):
            drawn = resample(kinds(labels, old, new, groups), Sampling(400, run))
            beyond[name] += drawn.bound(accuracy_gain, 0.05, lower=True) > 0
        net = (new == labels).astype(int) - (old == labels)
        beyond["naive test"] += sign_flip(net) <= 0.05
        beyond["test"] += sign_flip(np.bincount(which, net).astype(np.int64)) <= 0.05
    most = stats.binom.ppf(0.99, runs, 0.05)
    assert beyond["bound"] <= most
    assert beyond["test"] <= most
    # The world is one in which documents alone deceive.
    assert beyond["naive bound"] > most
    assert beyond["naive test"] > most


def test_rejects_groups_of_other_documents() -> None:
    with pytest.raises(ValueError, match="one entry"):
        compact(np.arange(3), 4)
