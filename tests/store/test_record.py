"""The record of a run: what is read, what is refused, and the ways in which it changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ptdq.errors import RunFailed, UserError
from ptdq.store import evaluation_record, matrix_record, record
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import MatrixFiles, RunFiles, ShardFiles
from ptdq.store.record_model import (
    CellPlan,
    DataFacts,
    DesignPlan,
    FailedCell,
    GateRecord,
    Limits,
    MachineFacts,
    ModelFacts,
    VerdictRecord,
)
from ptdq.store.schema import SCHEMA_VERSION
from tests.support.running import ROOT

EARLIER = Path(__file__).with_name("earlier_run.json")
SAMPLE = ROOT / "results" / "sample" / "run.json"
CELL = CellPlan(cell_id="fp32-L16-r0", variant="fp32", max_length=16, repeat=0, core=1, order=0, seed=7)
ROUNDS = {"repeats": 1, "target_width": None, "max_minutes": 30.0}


def beginning(**changes: Any) -> record.Beginning:
    given: dict[str, Any] = {
        "parameters": {"model": "m", "data": "d.csv", **ROUNDS},
        "command": "ptdq run --model m --data d.csv",
        "flow_run_id": "flow-run",
        "model": ModelFacts(name="m", digest="aa", labels=["no", "yes"]),
        "data": DataFacts(path="d.csv", digest="bb", documents=40),
        "calibration": "random token ids",
        "machine": MachineFacts(cpu="CPU", flags=["avx2"], cores=[0, 1], load_before=0.5),
        "versions": {"torch": "2.13.0"},
        "git_commit": None,
        "design": DesignPlan(seed=0, isolation="parallel", cores=[0, 1], cells=[CELL]),
        "skipped": {"onnx-fp32": "not installed"},
    }
    return record.Beginning(**given | changes)


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    """A run that has begun."""
    files = RunFiles(tmp_path / "run")
    record.begin(files, beginning())
    return files


def test_the_sample_is_read_and_written_as_it_is(tmp_path: Path) -> None:
    before = read_json(SAMPLE)
    files = RunFiles(tmp_path / "sample")
    write_json(files.record, before)
    assert record.amend(files).model_dump(mode="json") == before


def test_a_record_of_version_1_keeps_what_it_says(tmp_path: Path) -> None:
    """Keys and values of a file of an earlier version stay what they are; some are new."""
    before = read_json(EARLIER)
    files = RunFiles(tmp_path / "sample")
    write_json(files.record, before)
    after = record.amend(files).model_dump(mode="json")
    assert after == read_json(files.record)
    before["verdict"]["conditions"] = None  # not known then
    before["design"]["quality"] = []
    before["data"] = DataFacts().model_dump() | before["data"]
    before["model"] = ModelFacts().model_dump() | before["model"]
    before["limits"] = Limits(**before["limits"]).model_dump()
    assert {key: after[key] for key in before} == before


def test_a_run_begins_is_broken_off_and_resumed_to_its_end(files: RunFiles) -> None:
    begun = record.read(files)
    assert (begun.run_id, begun.status, begun.ended_at) == ("run", "running", None)
    assert begun.schema_version == SCHEMA_VERSION
    record.amend(files, note="others used the cores", limits=Limits(float32_gflops=1, int8_gops=4))
    record.amend(files, load_after=1.5, seconds={"evaluate": 3.0})
    broken = record.break_off(files, "interrupted")
    assert (broken.status, broken.broken_off) == ("broken off", "interrupted")
    assert broken.seconds == {"evaluate": 3.0}
    assert broken.ended_at is not None

    resumed = record.resume(files, beginning())
    assert (resumed.status, resumed.broken_off, resumed.ended_at) == ("running", None, None)
    assert len(resumed.resumed_at) == 1
    record.conclude(
        files,
        record.Conclusion(
            verdict=VerdictRecord(decision="ship", variant="int8"),
            gates=[GateRecord(name="min_speedup", variant="int8", threshold=2, passed=True)],
            failures=[FailedCell(variant="int8", max_length=16, repeat=0, error="killed")],
            notes=["others used the cores", "int8 is not the same twice"],
            baseline=None,
            history=None,
        ),
    )
    ended = record.end(files, {"evaluate": 5.0})
    assert (ended.status, ended.broken_off, ended.seconds) == ("completed", None, {"evaluate": 5.0})
    assert ended.machine == begun.machine.model_copy(update={"load_after": 1.5})
    assert ended.notes == ["others used the cores", "int8 is not the same twice"]
    assert ended.started_at == begun.started_at
    assert record.read(files) == ended


def test_the_end_of_a_run_that_stopped_early_has_its_reason(files: RunFiles) -> None:
    ended = record.end(files, {}, RunFailed("the run exceeded its time limit (5 s)"))
    assert (ended.status, ended.broken_off) == ("broken off", "the run exceeded its time limit (5 s)")


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("model", {"model": ModelFacts(digest="other")}),
        ("data", {"data": DataFacts(digest="other")}),
        ("design", {"design": DesignPlan(cells=[CELL.model_copy(update={"seed": 8})])}),
    ],
)
def test_another_subject_is_not_resumed(files: RunFiles, what: str, change: Mapping[str, Any]) -> None:
    before = files.record.read_bytes()
    with pytest.raises(UserError, match=f"resume 'run': the {what} is no longer that of the run"):
        record.resume(files, beginning(**change))
    assert files.record.read_bytes() == before


def test_a_run_goes_on_with_more_rounds(files: RunFiles) -> None:
    more = CELL.model_copy(update={"cell_id": "fp32-L16-r1", "repeat": 1})
    longer = record.read(files).design.model_copy(update={"cells": [more, CELL], "notes": ["said"]})
    assert (record.grow(files, longer).design, longer.rounds) == (longer, 2)
    with pytest.raises(ValueError, match="its own cells"):
        record.grow(files, longer.model_copy(update={"cells": [more]}))
    with pytest.raises(ValueError, match="its own cells"):
        record.grow(files, longer.model_copy(update={"cores": [0]}))

    # Extended: what asks for more rounds is that of the run from now on, and so is its command.
    third = CELL.model_copy(update={"cell_id": "fp32-L16-r2", "repeat": 2})
    longest = longer.model_copy(update={"cells": [more, CELL, third]})
    asked = {"model": "other", "repeats": 3, "target_width": 0.05, "max_minutes": 9.0}
    extended = record.resume(files, beginning(design=longest, parameters=asked, command="ptdq run …"))
    assert (extended.design, extended.command) == (longest, "ptdq run …")
    assert extended.parameters == {**asked, "model": "m", "data": "d.csv"}
    with pytest.raises(UserError, match="the design is no longer"):
        record.resume(files, beginning(design=longer, parameters=asked))


def test_a_run_does_not_begin_where_another_is(files: RunFiles) -> None:
    with pytest.raises(UserError, match=r"run_id 'run': .* exists already"):
        record.begin(files, beginning())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"surprise": 1}, "was not written by this version of ptdq: it does not know 'surprise'"),
        ({"machine": {"gpu": "none"}}, "it does not know 'machine.gpu'"),
        ({"gates": "none"}, "is damaged: gates: "),
        ({"status": "perhaps"}, "is damaged: status: "),
        ({"design": {"cells": [{"variant": "fp32"}]}}, "is damaged: design.cells.0.cell_id: "),
        ({"schema_version": "one"}, "is damaged: schema_version: "),
        ({"schema_version": SCHEMA_VERSION + 1, "surprise": 1}, "newer than this ptdq understands"),
    ],
)
def test_what_is_no_record_of_this_version_is_one_line(
    files: RunFiles, change: Mapping[str, Any], said: str
) -> None:
    write_json(files.record, {**read_json(files.record), **change})
    with pytest.raises(UserError) as caught:
        record.read(files)
    text = str(caught.value)
    assert said in text
    assert str(files.record) in text
    assert len(text.splitlines()) == 1


def test_the_baseline_of_a_newer_run_is_known(files: RunFiles) -> None:
    """Else pruning would drop the rows that the newer run is compared with."""
    newer = {"schema_version": SCHEMA_VERSION + 1, "parameters": {"baseline": "good"}, "surprise": 1}
    write_json(files.record, newer)
    assert record.baseline_of(files.record) == "good"
    for other in ({}, {"parameters": None}, {"parameters": {"baseline": 3}}):
        write_json(files.record, other)
        assert record.baseline_of(files.record) is None


def test_an_evaluation_is_resumed_with_the_same_question_only(tmp_path: Path) -> None:
    files = ShardFiles(tmp_path / "shards")
    evaluation_record.begin(files, {"variant": ["fp32"], "model_digest": "aa"})
    evaluation_record.begin(files, {"variant": ["fp32"], "model_digest": "aa"})
    with pytest.raises(UserError, match="'shards': its model_digest was another"):
        evaluation_record.begin(files, {"variant": ["fp32"], "model_digest": "bb"})
    done = evaluation_record.complete(files, documents=3, confusion=[[1, 0], [0, 2]])
    assert evaluation_record.read(files) == done
    assert done.ended_at is not None
    with pytest.raises(ValueError, match="acuracy"):
        evaluation_record.complete(files, acuracy=1.0)


def test_a_matrix_that_is_begun_again_keeps_its_end_until_the_next(tmp_path: Path) -> None:
    files = MatrixFiles(tmp_path / "rent")
    matrix_record.begin(files, {"machine": ["a"]})
    assert matrix_record.read(files).ended_at is None
    matrix_record.end(files)
    ended = matrix_record.read(files)
    matrix_record.begin(files, {"machine": ["a", "b"]})
    again = matrix_record.read(files)
    assert (again.ended_at, again.parameters) == (ended.ended_at, {"machine": ["a", "b"]})
