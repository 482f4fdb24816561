"""The non-inferiority decision."""

import numpy as np
import pytest
from scipy import stats

from tasks.statistics.non_inferiority import Metric, evidence, non_inferior
from tasks.statistics.resampling import Sampling, kinds, resample
from tests.statistics.simulate import draw_predictions


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1"])
def test_the_three_outcomes(metric: Metric) -> None:
    rng = np.random.default_rng(6)
    same = draw_predictions(rng, 1000, 3, 0.95, 0.0, 0.0)
    assert non_inferior(*same, metric=metric).outcome == "non-inferior"
    worse = draw_predictions(rng, 1000, 3, 0.95, 0.10, 0.0)
    assert non_inferior(*worse, metric=metric).outcome == "inferior"
    few = draw_predictions(rng, 60, 3, 0.95, 0.0, 0.0)
    assert non_inferior(*few, metric=metric).outcome == "undecided"


def test_documents_needed_would_decide() -> None:
    labels = np.arange(60) % 3
    needed = non_inferior(labels, labels, labels).documents_needed
    assert needed is not None
    # Rule of three: zero losses in about 3 / 0.01 documents show a loss below 1 %.
    assert 270 <= needed <= 330
    more = np.arange(needed) % 3
    assert non_inferior(more, more, more).outcome == "non-inferior"


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


def test_one_class_alone_keeps_its_score() -> None:
    ones = np.ones(30, dtype=np.int64)
    assert non_inferior(ones, ones, ones).ratio == 1.0


def test_rejects_what_it_cannot_use() -> None:
    ones = np.ones(3, dtype=np.int64)
    with pytest.raises(ValueError, match="margin"):
        non_inferior(ones, ones, ones, margin=1.5)
    with pytest.raises(ValueError, match="level"):
        evidence(ones, ones, ones).decide(0.3)
    with pytest.raises(ValueError, match="baseline"):
        non_inferior(ones, ones - 1, ones)
