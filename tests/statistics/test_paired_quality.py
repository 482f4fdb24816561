"""Paired comparison of predictions."""

import csv
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from ptdq.statistics.groups import sign_flip
from ptdq.statistics.non_inferiority import evidence
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.quality import measure
from ptdq.statistics.resampling import Sampling, Scores, kinds, resample
from tests.support.simulate import Floats, draw_predictions

SHARED = Path(__file__).parents[3] / "shared" / "data"
REFERENCE, LABELS = SHARED / "reference_times.csv", SHARED / "sougou" / "test.csv"

triples = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 3)
)


def accuracy_gain(old: Scores, new: Scores) -> Floats:
    return new.accuracy - old.accuracy


@given(gained=st.integers(0, 12), lost=st.integers(0, 12))
def test_mcnemar_by_brute_force(gained: int, lost: int) -> None:
    """Share of all ways the discordant documents could have fallen that are as uneven."""
    total = gained + lost
    ways = stats.binom.pmf(np.arange(total + 1), total, 0.5)
    uneven = np.abs(2 * np.arange(total + 1) - total) >= abs(gained - lost)
    net = np.repeat([1, -1, 0], [gained, lost, 3])
    assert sign_flip(net) == pytest.approx(ways[uneven].sum())


@settings(max_examples=25, deadline=None)
@given(triples)
def test_points_are_those_of_scikit_learn(triple: tuple[list[int], ...]) -> None:
    labels, old, new = (np.array(x) for x in triple)
    found = compare_predictions(labels, old, new, sampling=Sampling(100))
    names = np.unique(np.stack([labels, old, new]))
    assert found.accuracy.point == pytest.approx(
        accuracy_score(labels, new) - accuracy_score(labels, old)
    )
    for name in ("macro", "weighted"):
        gain = [f1_score(labels, x, labels=names, average=name, zero_division=0.0) for x in (old, new)]
        assert getattr(found, f"{name}_f1").point == pytest.approx(gain[1] - gain[0])
    assert found.agreement == pytest.approx(np.mean(old == new))
    assert found.flipped == tuple(np.flatnonzero(old != new))
    assert found.p_value == pytest.approx(
        stats.binomtest(found.gained, found.gained + found.lost).pvalue
        if found.gained + found.lost
        else 1
    )


@pytest.mark.parametrize("lost", [0, 1, 5])
@pytest.mark.parametrize("documents", [50, 495])
def test_bound_is_clopper_pearsons(documents: int, lost: int) -> None:
    """Where only losses occur the bound on accuracy is the exact one of a proportion."""
    draws, probability = 40_000, 0.05
    labels = np.zeros(documents, dtype=np.int64)
    variant = (np.arange(documents) < lost).astype(np.int64)
    if lost == 0:  # a second class must exist for a prediction to be wrong
        labels[0] = variant[0] = 1
    drawn = resample(kinds(labels, labels, variant), Sampling(draws, 1))
    bound = -drawn.bound(accuracy_gain, probability, lower=True)
    exact = stats.beta(lost + 1, documents - lost)
    # A quantile of 40,000 draws: four standard errors, on the scale of probabilities.
    error = 4 * np.sqrt(probability * (1 - probability) / draws)
    assert abs(exact.sf(bound) - probability) < error
    interval = stats.binomtest(lost, documents).proportion_ci(0.90, method="exact")
    assert bound == pytest.approx(interval.high, rel=0.05)


def test_interval_is_the_paired_bootstraps_where_changes_are_many() -> None:
    rng = np.random.default_rng(4)
    labels, old, new = draw_predictions(rng, 3000, 4, 0.85, 0.05, 0.04)
    found = compare_predictions(labels, old, new).accuracy
    plain = stats.bootstrap(
        ((new == labels).astype(float) - (old == labels),),
        np.mean,
        n_resamples=5000,
        method="percentile",
        rng=rng,
    ).confidence_interval
    # The document added is 1 / 3000; resampling error of either end about as much.
    assert found.low == pytest.approx(plain.low, abs=0.001)
    assert found.high == pytest.approx(plain.high, abs=0.001)


def test_no_change_is_not_certainty() -> None:
    labels = np.arange(200) % 4
    found = compare_predictions(labels, labels, labels)
    assert (found.gained, found.lost, found.p_value, found.kappa) == (0, 0, 1.0, 1.0)
    for each in (found.accuracy, found.macro_f1, found.weighted_f1):
        assert each.point == 0
        assert each.low < -1 / 200
        assert each.high > 1 / 200


def test_classes_and_kappa() -> None:
    labels = np.array([0, 0, 1, 1])
    found = compare_predictions(labels, labels, np.array([0, 1, 1, 1]))
    assert [(r.gained, r.lost, r.variant) for r in found.recalls] == [(0, 1, 0.5), (0, 0, 1.0)]
    # Agreement 0.75, by chance 0.5: kappa 0.5.
    assert found.kappa == pytest.approx(0.5)


def test_ten_thousand_resamples_of_thousands_of_documents_are_quick() -> None:
    labels, old, new = draw_predictions(np.random.default_rng(5), 5000, 8, 0.9, 0.03, 0.03)
    start = time.process_time()
    compare_predictions(labels, old, new)
    assert time.process_time() - start < 2.0


@pytest.mark.skipif(not (REFERENCE.exists() and LABELS.exists()), reason=f"needs {SHARED}")
def test_the_reference_experiments_predictions() -> None:
    with REFERENCE.open() as file:
        rows = list(csv.DictReader(file))
    with LABELS.open(encoding="utf-8") as file:
        labels = np.array([int(row["label"]) for row in csv.DictReader(file)])
    old, new = (
        np.array([int(row["prediction"]) for row in rows if row["variant"] == name])
        for name in ("fp32", "int8")
    )
    assert round(measure(labels, old).weighted_f1, 4) == 0.9737
    assert round(measure(labels, new).weighted_f1, 4) == 0.9737
    found = compare_predictions(labels, old, new)
    assert (found.gained, found.lost, found.p_value) == (1, 1, 1.0)
    assert found.weighted_f1.low < 0 < found.weighted_f1.high
    assert all(change.p_holm == 1.0 for change in found.recalls)
    assert evidence(labels, old, new).decide().outcome == "non-inferior"


def test_one_class_alone() -> None:
    ones = np.ones(30, dtype=np.int64)
    assert compare_predictions(ones, ones, ones).kappa == 1.0


def test_every_kind_of_document_is_counted() -> None:
    made = np.array(list(product(range(3), repeat=3)) * 2).T
    found = kinds(*made)
    assert found.counts.tolist() == [2.0] * 27


def test_rejects_what_it_cannot_use() -> None:
    ones, two = np.ones(3, dtype=np.int64), np.ones(2, dtype=np.int64)
    with pytest.raises(ValueError, match="match"):
        compare_predictions(ones, ones, two)
    with pytest.raises(ValueError, match="level"):
        compare_predictions(ones, ones, ones, level=0.2)
    with pytest.raises(ValueError, match="groups"):
        compare_predictions(ones, ones, ones, two)
    with pytest.raises(ValueError, match="resamples"):
        Sampling(10)
