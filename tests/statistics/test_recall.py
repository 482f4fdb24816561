"""Recall of each class: a rare one is not lost unnoticed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.non_inferiority import evidence
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.recall import RecallChange, correct, drop_bound
from ptdq.statistics.resampling import Sampling
from tests.support.simulate import Ints


def rare(lost: int) -> tuple[Ints, Ints, Ints]:
    """10,000 documents, 50 of a rare class with recall 0.90, of which some are lost."""
    labels = np.r_[np.ones(50, np.int64), np.zeros(9950, np.int64)]
    baseline = labels.copy()
    baseline[:5] = 0
    variant = baseline.copy()
    variant[5 : 5 + lost] = 0
    return labels, baseline, variant


def certain(change: RecallChange) -> bool:
    """Lost beyond chance, as ``ptdq.analysis.findings`` decides."""
    return change.lost > change.gained and change.p_holm <= ALPHA


def test_a_rare_class_is_not_lost_unnoticed() -> None:
    sample = rare(45)
    assert evidence(*sample, metric="weighted_f1").decide().outcome == "non-inferior"
    assert evidence(*sample, metric="macro_f1").decide().outcome == "inferior"
    found = compare_predictions(*sample)
    lost = max(found.recalls, key=lambda change: change.drop_bound)
    assert (lost.label, certain(lost)) == (1, True)
    assert lost.baseline - lost.variant == pytest.approx(0.9)
    assert lost.p_holm == pytest.approx(1e-13, rel=1)
    assert found.weighted_f1_drop_bound < 0.01 < lost.drop_bound


def test_a_chance_loss_is_not_certain_and_a_gain_no_loss() -> None:
    labels, baseline, lost = rare(45)
    assert not any(certain(change) for change in compare_predictions(*rare(4)).recalls)
    assert certain(compare_predictions(labels, baseline, lost).recalls[1])
    assert not certain(compare_predictions(labels, lost, baseline).recalls[1])


def test_correction_is_over_all_comparisons() -> None:
    """Eight losses of nobody else's gains are certain among two classes, not among 100."""
    one = compare_predictions(*rare(8)).recalls
    assert certain(one[1])
    many = correct([one] * 50)
    assert not certain(many[0][1])
    assert many[0][1].p_holm == pytest.approx(100 * one[1].p_value)
    assert [len(each) for each in many] == [2] * 50


def test_without_gains_the_bound_is_clopper_pearsons() -> None:
    for documents, lost in ((50, 0), (50, 3), (300, 10)):
        exact = stats.binomtest(lost, documents).proportion_ci(0.9, method="exact").high
        assert drop_bound(lost, 0, documents, level=0.95) == pytest.approx(exact, rel=0.03)


@cache
def _bound(lost: int, gained: int, documents: int, level: float) -> float:
    return drop_bound(lost, gained, documents, level=level, sampling=Sampling(4000))


@pytest.mark.parametrize(
    ("documents", "lost", "gained"),
    [(20, 0.2, 0.1), (50, 0.1, 0.0), (50, 0.05, 0.05), (200, 0.02, 0.02), (1000, 0.01, 0.02)],
)
def test_the_bound_holds_its_level(documents: int, lost: float, gained: float) -> None:
    rng, runs = np.random.default_rng(9), 1000
    drawn = rng.multinomial(documents, [lost, gained, 1 - lost - gained], runs)
    for level in (0.95, 0.99):
        missed = sum(_bound(a, b, documents, level) < lost - gained for a, b, _ in drawn.tolist())
        assert missed <= stats.binom.ppf(0.99, runs, 1 - level)


def test_the_worst_class_needs_no_correction() -> None:
    """Twenty classes that all lose the same: the largest bound still covers at least 95 %."""
    rng, runs, missed = np.random.default_rng(10), 300, 0
    for counts in rng.multinomial(50, [0.05, 0.02, 0.93], (runs, 20)).tolist():
        missed += max(_bound(a, b, 50, 0.95) for a, b, _ in counts) < 0.03
    assert missed <= stats.binom.ppf(0.99, runs, 0.05)
