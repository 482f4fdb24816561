"""Time on some documents in more and more rounds, quality once on all: the whole flow."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ptdq
from ptdq.analysis.timing_table import TIMES
from ptdq.analysis.width import widths
from ptdq.errors import UserError
from ptdq.report.sections import opening, quality
from ptdq.report.sections.page import Page
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from ptdq.store.tables import read_table
from tests.support.running import Finished, Run

pytestmark = pytest.mark.long
FEW, ALL, TARGET = 12, 40, 0.9


@pytest.fixture(scope="module")
def decoupled(run_tiny: Run) -> Finished:
    return run_tiny("decoupled", repeats=2, timing_documents=FEW, target_width=TARGET)


def rounds_of(finished: Finished) -> int:
    """How many there are: the first number of which the interval is as narrow as asked for.

    Four, where nothing disturbs: two give no interval. Noise adds some, a block of two at a time.
    """
    rounds = len({cell["repeat"] for cell in read_json(finished.files.record)["design"]["cells"]})
    times = read_table(finished.files.table("predictions"), [*TIMES, "kind"]).to_pandas()
    times = times[times["kind"] == "timing"]
    shares = [widths(times[times["repeat"] < n], "fp32")[0].share for n in range(2, rounds + 1, 2)]
    assert [share <= TARGET for share in shares] == [False] * (len(shares) - 1) + [True]
    return rounds


def test_quality_is_of_all_documents_and_time_of_some(decoupled: Finished) -> None:
    rounds = rounds_of(decoupled)
    assert decoupled.state.is_completed(), decoupled.state.message
    cells = read_table(decoupled.files.table("cells")).to_pylist()
    taken = {(c["kind"], c["repeat"]): c["documents"] for c in cells}
    assert taken == {("quality", -1): ALL, **{("timing", repeat): FEW for repeat in range(rounds)}}
    assert len(cells) == 2 * (rounds + 1)
    # Scores of a few documents would be taken for those of all.
    assert all((c["accuracy"] is not None) == (c["kind"] == "quality") for c in cells)
    classes = read_table(decoupled.files.table("classes")).to_pylist()
    assert {row["repeat"] for row in classes} == {-1}
    (pair,) = read_table(decoupled.files.table("comparisons")).to_pylist()
    assert (pair["documents"], pair["timing_documents"], pair["rounds"]) == (ALL, FEW, rounds)
    assert pair["baseline_accuracy"] == next(c["accuracy"] for c in cells if c["variant"] == "fp32")


def test_the_run_says_before_what_it_cannot_decide(decoupled: Finished) -> None:
    notes = [
        note for note in read_json(decoupled.files.record)["notes"] if "before the first cell" in note
    ]
    (note,) = notes  # two rounds are not among them: more are added for the width
    assert "quality: 40 documents cannot show that 0.99 of" in note
    assert note in decoupled.files.report.read_text(encoding="utf-8").replace("\\", "")


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
    assert run.answered is not None
    assert {run.answered.read(cell, ["doc_id"]).num_rows for cell in run.answered.cells} == {ALL}
    rounds = rounds_of(decoupled)
    assert set(run.calls["repeat"]) == set(range(rounds))
    summary = read_json(decoupled.files.directory / "summary.json")
    assert summary["cells"]["finished"] == 2 * (rounds + 1)
    accuracies = {cell["variant"]: cell["accuracy"] for cell in run.judged}
    assert {row["variant"]: row["accuracy"] for row in summary["figures"]} == accuracies


def test_rounds_are_added_until_the_interval_is_narrow(decoupled: Finished) -> None:
    record = read_json(decoupled.files.record)
    assert record["parameters"]["repeats"] == 2
    assert rounds_of(decoupled) > 2
    assert record["width"].startswith("Every interval is at most ±")
    (pair,) = read_table(decoupled.files.table("comparisons")).to_pylist()
    half = (pair["speedup_total_high"] / pair["speedup_total_low"]) ** 0.5 - 1
    assert half <= TARGET
    assert f"{100 * half:.1f} %" in record["width"]


def test_a_finished_run_is_extended(decoupled: Finished, tmp_path: Path) -> None:
    """A copy of it: the files of its cells stay what they are, and only the new rounds are measured."""
    results = decoupled.files.directory.parent
    files = RunFiles(tmp_path / decoupled.files.run_id)
    shutil.copytree(decoupled.files.directory, files.directory)
    cells = {path.name: path.read_bytes() for path in files.cells.iterdir()}
    assert results != tmp_path

    rounds = rounds_of(decoupled)
    with pytest.raises(UserError, match=f"'decoupled': it has {rounds} rounds; ask for more"):
        ptdq.extend("decoupled", results_dir=tmp_path, repeats=rounds)
    with pytest.raises(UserError, match="margin: a run continues as it began"):
        ptdq.extend("decoupled", results_dir=tmp_path, repeats=rounds + 2, margin=0.5)

    run = ptdq.extend("decoupled", results_dir=tmp_path, repeats=rounds + 1, load_wait=0)
    record = read_json(files.record)
    assert (record["status"], record["parameters"]["repeats"]) == ("completed", rounds + 1)
    assert f"--repeats {rounds + 1}" in record["command"]
    assert set(run.cells["repeat"]) == {-1, *range(rounds + 1)}
    assert list(run.comparisons["rounds"]) == [rounds + 1]
    after = {path.name: path.read_bytes() for path in files.cells.iterdir()}
    assert {name: after[name] for name in cells} == cells
    assert len(after) == len(cells) + 2
