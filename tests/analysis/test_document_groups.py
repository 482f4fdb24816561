"""Rows that belong together count as one, from the file of documents to the decisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import ptdq
from ptdq.analysis.document_groups import Groups, document_groups, with_groups
from ptdq.analysis.width import widths
from ptdq.measure.design import design_frame, make_design
from tests.support.predicted import documents_of, quality_of
from tests.support.worlds import CALM, simulate

HUNDRED = np.arange(100) % 4
"""Labels, which every variant here predicts: no prediction changes."""


def test_a_hundred_documents_four_times_decide_no_more_than_the_hundred(tmp_path: Path) -> None:
    four = np.tile(HUNDRED, 4)
    texts = [f"document {place % 100}, as told by witness {place // 100}" for place in range(400)]
    tickets = [f"ticket {place % 100}" for place in range(400)]
    once = quality_of(tmp_path / "once", documents_of(HUNDRED), HUNDRED, HUNDRED)
    grouped = quality_of(tmp_path / "grouped", documents_of(four, texts, tickets), four, four)
    assert once["non_inferiority"] == grouped["non_inferiority"] == "undecided"
    for name in ("f1_ratio_low", "f1_macro_ratio_low", "f1_drop_bound", "accuracy_difference_low"):
        assert grouped[name] == pytest.approx(once[name], abs=1e-9)
    assert (grouped["texts"], once["texts"]) == (100, 100)
    # On the code that knows no groups they are four hundred.
    alone = quality_of(tmp_path / "alone", documents_of(four, texts), four, four)
    assert alone["non_inferiority"] == "non-inferior"


def test_copies_are_a_group_without_being_named(tmp_path: Path) -> None:
    four, texts = np.tile(HUNDRED, 4), [f"document {place % 100}" for place in range(400)]
    found = quality_of(tmp_path, documents_of(four, texts), four, four)
    assert (found["non_inferiority"], found["texts"]) == ("undecided", 100)


def test_texts_and_names_make_one_group_by_a_chain() -> None:
    texts = ["a", "b", "A!", "c", "d", "e"]
    table = documents_of(HUNDRED[:6], texts, ["x", "x", "y", "y", None, None])
    assert document_groups(table).numbers.tolist() == [0, 0, 0, 0, 1, 2]
    assert document_groups(documents_of(HUNDRED[:3], texts[:3])).numbers.tolist() == [0, 1, 0]


def test_times_know_the_groups_too() -> None:
    """Few authors whose documents gain alike: without groups the interval is far too narrow."""
    design = design_frame(make_design(["fp32", "int8"], [128], 4, [0, 1], 0))
    rng = np.random.default_rng(6)
    times = simulate(design, CALM, rng, {"fp32": 1.0, "int8": 2.0}, documents=120)
    times["doc_id"] = times["doc_id"].astype(str).str.zfill(3)
    ids = sorted(times["doc_id"].unique())
    author = {name: place // 8 for place, name in enumerate(ids)}
    gain = np.exp(rng.normal(0, 0.2, 15))[times["doc_id"].map(author)]
    times["forward_ns"] = times["forward_ns"] * np.where(times["variant"] == "int8", gain, 1.0)
    grouped = with_groups(times, Groups(pa.array(ids), np.arange(120) // 8))
    alone, together = (ptdq.analyse(frame, "fp32").comparisons.iloc[0] for frame in (times, grouped))
    for measure in ("speedup", "speedup_total"):
        assert together[measure] == alone[measure]
        widths_of = [row[f"{measure}_high"] / row[f"{measure}_low"] for row in (alone, together)]
        assert np.log(widths_of[1]) > 1.2 * np.log(widths_of[0])
    assert together["documents_se"] > 1.5 * alone["documents_se"]
    assert (alone["timing_groups"], together["timing_groups"]) == (120, 15)
    # Rounds are added until the interval with its groups is narrow enough.
    assert widths(grouped, "fp32")[0].share > 1.2 * widths(times, "fp32")[0].share
    assert widths(grouped, "fp32")[0].documents == 15


def test_documents_that_stand_alone_are_left_as_they_are() -> None:
    design = design_frame(make_design(["fp32", "int8"], [128], 4, [0, 1], 0))
    times = simulate(design, CALM, np.random.default_rng(6), {"fp32": 1.0, "int8": 2.0}, documents=20)
    times["doc_id"] = times["doc_id"].astype(str)
    ids = pa.array(sorted(times["doc_id"].unique()))
    assert with_groups(times, Groups(ids, np.arange(20))) is times
    # Of documents that are not known nothing is known.
    assert with_groups(times, Groups(ids[:10], np.zeros(10, np.int64))) is times


@pytest.mark.parametrize(
    ("change", "text"), [(None, "'group' has no value in row 3"), ("b", "is in more than one group")]
)
def test_a_table_with_half_a_group_is_refused(change: str | None, text: str) -> None:
    design = design_frame(make_design(["fp32", "int8"], [128], 4, [0, 1], 0))
    times = simulate(design, CALM, np.random.default_rng(6), {"fp32": 1.0, "int8": 2.0}, documents=20)
    times = times.reset_index(drop=True).assign(group="a")
    times.loc[3, "group"] = change
    with pytest.raises(ValueError, match=text):
        ptdq.analyse(times, "fp32")
