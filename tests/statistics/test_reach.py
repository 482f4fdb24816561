"""What a number of documents can decide, before anything is measured."""

from __future__ import annotations

import numpy as np
import pytest

from ptdq.statistics.non_inferiority import evidence
from ptdq.statistics.reach import reach, smallest_quality_loss


def test_two_hundred_documents_can_never_say_ship() -> None:
    found = smallest_quality_loss(200, 0.95)
    assert found.bound == pytest.approx(0.984, abs=0.0005)
    assert not found.decides
    assert found.smallest_loss == pytest.approx(1 - found.bound)


@pytest.mark.parametrize("variants", [1, 13])
@pytest.mark.parametrize("score", [0.6, 0.95])
def test_the_documents_needed_are_the_least_that_decide(score: float, variants: int) -> None:
    needed = smallest_quality_loss(200, score, variants=variants).documents_needed
    assert needed is not None
    assert smallest_quality_loss(needed, score, variants=variants).decides
    assert not smallest_quality_loss(needed - 1, score, variants=variants).decides


def test_it_is_what_the_decision_finds_where_nothing_changes() -> None:
    labels = np.arange(400) % 4
    found = reach(labels, 1.0)
    assert found.bound == pytest.approx(
        evidence(labels, labels, labels, metric=found.metric).decide().low
    )
    assert found.bound == pytest.approx(smallest_quality_loss(400, 1.0).bound, abs=0.002)
    assert (found.decides, found.documents_needed) == (True, 400)


def test_a_rare_class_needs_many_more_documents() -> None:
    """3000 documents would do for weighted F1; with 15 of a class macro F1 is out of reach."""
    labels = np.r_[np.zeros(2985, np.int64), np.ones(15, np.int64)]
    assert smallest_quality_loss(3000, 0.95).decides
    found = reach(labels, 0.95)
    assert (found.metric, found.decides) == ("macro_f1", False)
    assert found.documents_needed is not None
    more = np.r_[np.zeros(round(0.995 * found.documents_needed), np.int64),
                 np.ones(round(0.005 * found.documents_needed), np.int64)]  # fmt: skip
    assert reach(more, 0.95).bound == pytest.approx(0.99, abs=0.001)


def test_copies_reach_no_further() -> None:
    labels = np.arange(400) % 4
    found = reach(np.tile(labels, 3), 0.9, np.tile(np.arange(400), 3))
    assert found.bound == pytest.approx(reach(labels, 0.9).bound, abs=1e-3)
    assert (found.documents, found.groups) == (1200, 400)


def test_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        smallest_quality_loss(100, 0.0)
    with pytest.raises(ValueError, match="score"):
        reach(np.arange(3), 0.0)
