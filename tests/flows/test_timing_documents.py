"""Time on some documents, quality once on all: the whole flow."""

from __future__ import annotations

import numpy as np
import pytest

from ptdq.report.sections import opening, quality
from ptdq.report.sections.page import Page
from ptdq.store.disk import read_json
from ptdq.store.run import load
from ptdq.store.tables import read_table
from tests.support.running import Finished, Run

FEW, ALL = 12, 40


@pytest.fixture(scope="module")
def decoupled(run_tiny: Run) -> Finished:
    return run_tiny("decoupled", repeats=2, timing_documents=FEW)


def test_quality_is_of_all_documents_and_time_of_some(decoupled: Finished) -> None:
    assert decoupled.state.is_completed(), decoupled.state.message
    cells = read_table(decoupled.files.table("cells")).to_pylist()
    taken = {(c["kind"], c["repeat"]): c["documents"] for c in cells}
    assert taken == {("quality", -1): ALL, ("timing", 0): FEW, ("timing", 1): FEW}
    assert len(cells) == 2 * 3
    # Scores of a few documents would be taken for those of all.
    assert all((c["accuracy"] is not None) == (c["kind"] == "quality") for c in cells)
    classes = read_table(decoupled.files.table("classes")).to_pylist()
    assert {row["repeat"] for row in classes} == {-1}
    (pair,) = read_table(decoupled.files.table("comparisons")).to_pylist()
    assert (pair["documents"], pair["timing_documents"], pair["rounds"]) == (ALL, FEW, 2)
    assert pair["baseline_accuracy"] == next(c["accuracy"] for c in cells if c["variant"] == "fp32")


def test_the_timed_documents_stand_for_all_lengths(decoupled: Finished) -> None:
    rows = read_table(decoupled.files.table("predictions")).to_pandas()
    rows = rows[~rows["warmup"].astype(bool) & (rows["variant"] == "fp32")]
    timed, judged = (rows[rows["kind"] == kind] for kind in ("timing", "quality"))
    assert timed.groupby("repeat")["doc_id"].agg(frozenset).nunique() == 1
    few, everyone = (each.drop_duplicates("doc_id")["tokens"] for each in (timed, judged))
    assert few.mean() == pytest.approx(everyone.mean(), abs=0.5)
    assert np.median(few) == pytest.approx(np.median(everyone), abs=1)


def test_the_report_says_so_and_judges_all(decoupled: Finished) -> None:
    run = load(decoupled.files)
    page = Page(run, {})
    assert "12 of 40 documents, chosen over their lengths in tokens; quality on all 40" in (
        opening.question(page)
    )
    assert f"{ALL} documents" in quality.agreement(page)
    assert {len(rows) for _, rows in run.measured.groupby("variant")} == {ALL}
    assert set(run.calls["repeat"]) == {0, 1}
    summary = read_json(decoupled.files.directory / "summary.json")
    assert summary["cells"]["finished"] == 6
    accuracies = {cell["variant"]: cell["accuracy"] for cell in run.judged}
    assert {row["variant"]: row["accuracy"] for row in summary["figures"]} == accuracies
