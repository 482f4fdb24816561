"""The non-inferiority decision."""

import numpy as np
import pytest
from scipy import stats

from ptdq.statistics.non_inferiority import (
    Metric,
    combined,
    decide_family,
    evidence,
    holds_margin,
)
from ptdq.statistics.resampling import Sampling, kinds, resample
from tests.support.simulate import Ints, draw_predictions


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_the_three_outcomes(metric: Metric) -> None:
    rng = np.random.default_rng(6)
    same = draw_predictions(rng, 1000, 3, 0.95, 0.0, 0.0)
    assert evidence(*same, metric=metric).decide().outcome == "non-inferior"
    worse = draw_predictions(rng, 1000, 3, 0.95, 0.10, 0.0)
    assert evidence(*worse, metric=metric).decide().outcome == "inferior"
    few = draw_predictions(rng, 60, 3, 0.95, 0.0, 0.0)
    assert evidence(*few, metric=metric).decide().outcome == "undecided"


def test_documents_needed_would_decide() -> None:
    labels = np.arange(60) % 3
    needed = evidence(labels, labels, labels).documents_needed()
    assert needed is not None
    # Rule of three: zero losses in about 3 / 0.01 documents show a loss below 1 %.
    assert 270 <= needed <= 330
    more = np.arange(needed) % 3
    assert evidence(more, more, more).decide().outcome == "non-inferior"
    assert evidence(more, more, more).documents_needed() is None


@pytest.mark.parametrize("gained", [0.0, 0.02])
def test_wrong_claims_are_no_more_than_nominal(gained: float) -> None:
    """On the margin itself, with few and many documents, 5 % is the most.

    A variant at exactly 99 % of the baseline's accuracy; 200 runs each, so single sizes may
    show up to 9 % by chance (99 % of the time) and all four together must keep to 5 %.
    """
    rng, runs, right = np.random.default_rng(7), 200, 0.95
    claims = {}
    for documents in (40, 150, 500, 1500):
        claimed = 0
        for run in range(runs):
            sample = draw_predictions(rng, documents, 4, right, 0.01 * right + gained, gained)
            drawn = resample(kinds(*sample), Sampling(400, run))
            bound = drawn.bound(lambda old, new: new.weighted_f1 / old.weighted_f1, 0.05, lower=True)
            claimed += bound >= 0.99
        claims[documents] = claimed
        assert claimed <= stats.binom.ppf(0.99, runs, 0.05)
    assert sum(claims.values()) <= 0.05 * runs * len(claims)


def at_the_margin(
    rng: np.random.Generator, documents: int, variants: int
) -> tuple[Ints, Ints, list[Ints]]:
    """Variants just past the margin of 1 %: what is hard is in part the same for all of them."""
    labels = rng.integers(2, size=documents)
    good = rng.random(documents) < 0.95
    baseline = np.where(good, labels, 1 - labels)
    hard = rng.normal(size=documents)
    found = []
    for _ in range(variants):
        draw = stats.norm.cdf(np.sqrt(0.5) * (hard + rng.normal(size=documents)))
        lost, gained = good & (draw < 0.0203 / 0.95), ~good & (draw > 0.8)
        found.append(np.where(lost | gained, 1 - baseline, baseline))
    return labels, baseline, found


def test_of_thirteen_variants_at_the_margin_none_passes_in_95_of_100_runs() -> None:
    rng, runs, alone, together = np.random.default_rng(18), 80, 0, 0
    for run in range(runs):
        labels, baseline, variants = at_the_margin(rng, 500, 13)
        found = [
            [evidence(labels, baseline, each, metric="accuracy", sampling=Sampling(2000, run))]
            for each in variants
        ]
        alone += any(each.p_value <= 0.05 for (each,) in found)
        together += any(each.outcome == "non-inferior" for (each,) in decide_family(found))
    most = stats.binom.ppf(0.99, runs, 0.05)
    assert together <= most
    assert alone > most  # what was wrong


def test_a_family_says_with_its_bounds_what_it_says_in_words() -> None:
    rng = np.random.default_rng(19)
    samples = [draw_predictions(rng, 700, 3, 0.95, 0.001 * k, 0.0) for k in (0, 2, 4, 30)]
    found = [[evidence(*sample, metric=m) for m in ("weighted_f1", "macro_f1")] for sample in samples]
    decided = decide_family(found)
    for evidences, decisions in zip(found, decided, strict=True):
        assert len({each.level for each in decisions}) == 1
        for before, after in zip(evidences, decisions, strict=True):
            assert after.metric == before.metric
            assert (after.outcome == "non-inferior") == (after.low >= after.margin)
            assert after.low <= before.decide().low
    assert decided[0][0].outcome == "non-inferior"
    assert decided[3][0].outcome == "inferior"
    # A variant alone is decided as before.
    assert decide_family(found[:1])[0] == [each.decide() for each in found[0]]
    assert decide_family([]) == []


def test_one_metric_lost_is_enough_and_all_must_be_kept() -> None:
    assert combined(["non-inferior", "non-inferior"]) == "non-inferior"
    assert combined(["non-inferior", "undecided"]) == "undecided"
    assert combined(["undecided", "inferior"]) == "inferior"


def test_a_search_on_the_bound_stops_where_the_decision_agrees() -> None:
    """On the point, a loss of 0.9 % would do, and is undecided afterwards."""
    rng = np.random.default_rng(20)
    labels = rng.integers(3, size=1000)
    variant = np.where(np.arange(1000) < 9, (labels + 1) % 3, labels)
    assert evidence(labels, labels, variant).decide().ratio >= 0.99
    assert not holds_margin(labels, labels, variant)
    assert holds_margin(labels, labels, labels)
    assert holds_margin(labels, labels, variant, margin=0.97)
    # Macro F1 as well: a rare class is lost.
    rare = np.r_[np.ones(20, np.int64), np.zeros(9980, np.int64)]
    assert evidence(rare, rare, np.zeros_like(rare)).decide().outcome == "non-inferior"
    assert not holds_margin(rare, rare, np.zeros_like(rare))


def test_one_class_alone_keeps_its_score() -> None:
    ones = np.ones(30, dtype=np.int64)
    assert evidence(ones, ones, ones).decide().ratio == 1.0


def test_rejects_what_it_cannot_use() -> None:
    ones = np.ones(3, dtype=np.int64)
    with pytest.raises(ValueError, match="margin"):
        evidence(ones, ones, ones, margin=1.5).decide()
    with pytest.raises(ValueError, match="level"):
        evidence(ones, ones, ones).decide(0.3)
    with pytest.raises(ValueError, match="baseline"):
        evidence(ones, ones - 1, ones).decide()
