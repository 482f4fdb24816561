"""Metrics of a cell and agreement of repeats, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report

from ptdq.statistics.quality import measure, nondeterminism, tally
from tests.support.simulate import Ints

pairs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_metrics_are_those_of_the_classification_report(pair: tuple[list[int], list[int]]) -> None:
    labels, predictions = (np.array(x) for x in pair)
    report = classification_report(labels, predictions, output_dict=True, zero_division=0.0)
    found = measure(labels, predictions)
    assert found.accuracy == pytest.approx((labels == predictions).mean())
    for kind in ("macro", "weighted"):
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert getattr(found, f"{kind}_{name}") == pytest.approx(report[f"{kind} avg"][key])
    for each in found.classes:
        row = report[str(each.label)]
        assert (each.precision, each.recall, each.f1, each.support) == pytest.approx(
            (row["precision"], row["recall"], row["f1-score"], row["support"])
        )


def test_repeats_that_agree_and_repeats_that_do_not() -> None:
    same = np.array([[0, 1, 2], [0, 1, 2], [0, 1, 2]])
    assert nondeterminism(same).deterministic
    changed = nondeterminism(np.array([[0, 1, 2], [0, 2, 2], [0, 1, 1]]))
    assert changed.changed == (1, 2)
    assert not changed.deterministic
    assert (changed.documents, changed.repeats) == (3, 3)


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [(np.array([]), np.array([])), (np.ones((2, 2)), np.ones((2, 2))), (np.ones(2), np.ones(3))],
)
def test_rejects_what_it_cannot_use(labels: Ints, predictions: Ints) -> None:
    with pytest.raises(ValueError, match="must"):
        measure(labels, predictions)


def test_nondeterminism_rejects_a_vector() -> None:
    with pytest.raises(ValueError, match=r"\[R, N\]"):
        nondeterminism(np.ones(3, dtype=np.int64))


def test_a_tally_is_worth_all_documents() -> None:
    rng = np.random.default_rng(3)
    labels, predictions = rng.choice([2, 5, 9], 300), rng.choice([2, 7, 9], 300)
    first, second, counts = tally(labels, predictions)
    assert counts.sum() == 300
    assert sorted(zip(np.repeat(first, counts), np.repeat(second, counts), strict=True)) == sorted(
        zip(labels, predictions, strict=True)
    )
    assert len({*zip(first.tolist(), second.tolist(), strict=True)}) == len(counts)
