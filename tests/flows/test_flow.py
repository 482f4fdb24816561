"""The flow against a real Prefect server, with real workers and a tiny model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import psutil
import pyarrow.parquet as pq
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from ptdq.errors import RunFailed, UserError
from ptdq.store import schema
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from tests.support.held import HELD, WAITS
from tests.support.running import (
    Finished,
    Run,
    broken_files,
    log_of,
    start_ptdq,
    wait_for,
    worker,
)

Waiting = tuple[subprocess.Popen[bytes], list[psutil.Process]]
"""``ptdq run``, and its children."""

QUALITY = (
    "accuracy", "precision_macro", "recall_macro", "f1_macro",
    "precision_weighted", "recall_weighted", "f1_weighted",
)  # fmt: skip


def task_runs(run: Finished) -> list[TaskRun]:
    with get_client(sync_client=True) as client:
        only = FlowRunFilter(id=FlowRunFilterId(any_=[run.flow_run_id]))
        return client.read_task_runs(flow_run_filter=only, limit=200)


def rows(files: RunFiles, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_table(files.table(table)).to_pylist()
    return found


def test_task_runs_are_named_for_people(finished: Finished) -> None:
    design = read_json(finished.files.record)["design"]
    expected = ["load_data", "load_model", "quantize fp32", "quantize int8-dynamic"]
    expected += [
        f"evaluate {kind}{c['variant']} {c['max_length']} tokens, repeat {c['repeat']}, core {c['core']}"
        for kind, cells in (("", design["cells"]), ("control: ", design["control"]))
        for c in cells
    ]
    expected += ["aggregate", "report", "publish_run"]
    found = task_runs(finished)
    assert sorted(run.name for run in found) == sorted(expected)
    assert {run.state_name for run in found} == {"Completed"}
    assert finished.state.is_completed()


def test_every_table_has_its_schema(finished: Finished) -> None:
    files = finished.files
    there = {path.stem for path in files.directory.glob("*.parquet")}
    # One repeat is measured on one core, which is its own control.
    alone = set() if read_json(files.record)["design"]["control"] else {"control", "interference"}
    assert there == set(schema.tables()) - alone - {"profiles", "operations"}  # of `ptdq why`
    for name in there:
        assert pq.ParquetFile(files.table(name)).schema_arrow.equals(schema.schema(name)), name
    assert broken_files(files.directory) == []


def test_the_copy_is_of_the_finished_run(finished: Finished) -> None:
    system = fsspec.filesystem("memory")
    for name in ("run.json", "report.md", "cells.parquet"):
        assert system.cat(f"/copies/good/{name}") == (finished.files.directory / name).read_bytes()
    assert read_json(finished.files.record)["status"] == "completed"


def test_every_document_is_in_every_cell(finished: Finished) -> None:
    documents = {row["doc_id"] for row in rows(finished.files, "documents")}
    measured: dict[tuple[str, int], list[str]] = {}
    for row in rows(finished.files, "predictions"):
        if not row["warmup"]:
            measured.setdefault((row["variant"], row["max_length"]), []).append(row["doc_id"])
    assert set(measured) == {(v, length) for v in ("fp32", "int8-dynamic") for length in (8, 16)}
    for ids in measured.values():
        assert len(ids) == len(documents)
        assert set(ids) == documents


def test_quality_is_that_of_scikit_learn(finished: Finished) -> None:
    predictions = rows(finished.files, "predictions")
    for cell in rows(finished.files, "cells"):
        mine = [
            row
            for row in predictions
            if not row["warmup"]
            and all(row[key] == cell[key] for key in ("variant", "max_length", "repeat"))
        ]
        labels, predicted = [r["label"] for r in mine], [r["prediction"] for r in mine]
        expected = [accuracy_score(labels, predicted)]
        for average in ("macro", "weighted"):
            expected += precision_recall_fscore_support(
                labels, predicted, average=average, zero_division=0
            )[:3]
        assert [cell[name] for name in QUALITY] == pytest.approx(expected, abs=1e-12)
        assert 0 < cell["accuracy"] < 1


def test_workers_were_what_was_asked_for(finished: Finished) -> None:
    for cell in rows(finished.files, "cells"):
        if cell["pinned"]:
            assert cell["affinity"] == [cell["core"]]
        assert (cell["torch_threads"], cell["interop_threads"]) == (1, 1)


@pytest.mark.long
def test_random_weights_claim_no_quality(run_tiny: Run, tiny_model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_model / name).read_bytes())
    run = run_tiny("random", model=str(tmp_path), random_weights=True)
    assert run.state.is_completed()
    cells = rows(run.files, "cells")
    assert all(cell[name] is None for cell in cells for name in QUALITY)
    assert all(cell["forward_p50_ms"] > 0 for cell in cells)
    comparison, *_ = rows(run.files, "comparisons")
    assert comparison["accuracy_difference"] is comparison["f1_ratio"] is None
    report = run.files.report.read_text(encoding="utf-8")
    assert "random weights" in report
    assert "precision" not in report.split("## ")[0]
    assert "weighted avg" not in report


@pytest.mark.long
def test_failed_cells_fail_alone(troubled: Finished) -> None:
    state = {cell["max_length"]: cell for cell in rows(troubled.files, "cells") if cell["error"]}
    assert "SIGKILL" in state[8]["error"]
    assert "time limit" in state[16]["error"]
    well = [cell for cell in rows(troubled.files, "cells") if not cell["error"]]
    assert [(cell["variant"], cell["documents"]) for cell in well] == [("fp32", 40)] * 2
    for length in (8, 16):
        record = read_json(troubled.files.failure(f"tests.support.held-Held-L{length}-r0"))
        assert record["error"] == state[length]["error"]
        assert WAITS in record["tail"]
    assert "SIGKILL" in troubled.files.report.read_text(encoding="utf-8")


@pytest.mark.long
def test_failed_cells_fail_the_flow(troubled: Finished) -> None:
    assert troubled.state.name == "Failed"
    assert isinstance(troubled.state.data, RunFailed) or "cells failed" in str(troubled.state.message)
    by_name = {run.name.rpartition(",")[0]: run.state_name for run in task_runs(troubled)}
    for length in (8, 16):
        assert by_name[f"evaluate {HELD} {length} tokens, repeat 0"] == "Failed"
        assert by_name[f"evaluate fp32 {length} tokens, repeat 0"] == "Completed"
    assert broken_files(troubled.files.directory) == []


def test_run_id_is_used_once(finished: Finished, run_tiny: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.files.directory.rglob("*")}
    again = run_tiny("good", results_dir=str(finished.files.directory.parent))
    error = again.state.result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "'good'" in str(error)
    assert {path: path.stat().st_mtime_ns for path in finished.files.directory.rglob("*")} == before


@contextmanager
def waiting_run(results: Path, run_id: str, server: str, model: Path, data: Path) -> Iterator[Waiting]:
    """``ptdq run`` whose only cell waits; it is dead when the block ends."""
    files = RunFiles(results / run_id)
    ptdq = start_ptdq(
        "run", "--model", model, "--data", data, "--variant", HELD, "--max-length", 16,
        "--repeats", 1, "--control-documents", 0, "--load-wait", 0,
        "--results-dir", results, "--run-id", run_id,
        server=server,
    )  # fmt: skip
    cell = "tests.support.held-Held-L16-r0"
    try:
        wait_for("waiting worker", lambda: WAITS in log_of(files, cell) or ptdq.poll() is not None)
        children = psutil.Process(ptdq.pid).children(recursive=True)
        assert worker(files, cell) in children
        yield ptdq, children
    finally:
        ptdq.kill()
        ptdq.wait()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_nothing_is_left_of_a_run_that_was_ended(
    number: signal.Signals, prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    files = RunFiles(tmp_path / "ended")
    with waiting_run(tmp_path, "ended", prefect_server, tiny_model, tiny_data) as (ptdq, children):
        ptdq.send_signal(number)
        output, errors = ptdq.communicate(timeout=120)
    assert ptdq.returncode != 0, errors.decode()
    assert output == b""
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert broken_files(tmp_path) == []
    assert json.loads(files.record.read_text(encoding="utf-8"))["run_id"] == "ended"


@pytest.mark.long
@pytest.mark.slow
def test_a_cancel_by_prefect_ends_a_run_of_the_command_line(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    files = RunFiles(tmp_path / "cancelled")
    with waiting_run(tmp_path, "cancelled", prefect_server, tiny_model, tiny_data) as (ptdq, children):
        flow_run = json.loads(files.record.read_text(encoding="utf-8"))["flow_run_id"]
        cancelling = subprocess.run(
            [Path(sys.executable).with_name("prefect"), "flow-run", "cancel", flow_run],
            env=os.environ | {"PREFECT_API_URL": prefect_server},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert cancelling.returncode == 0, cancelling.stdout + cancelling.stderr
        _, errors = ptdq.communicate(timeout=120)
    assert ptdq.returncode == 1, errors.decode()
    last = errors.decode().strip().splitlines()[-1]
    assert last == f"ptdq: cancelled; finished cells are kept: ptdq run --resume {files.directory}"
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    record = json.loads(files.record.read_text(encoding="utf-8"))
    assert (record["status"], record["broken_off"]) == ("broken off", "cancelled, or ended by a signal")
    with urllib.request.urlopen(f"{prefect_server}/flow_runs/{flow_run}", timeout=30) as answer:
        assert json.load(answer)["state"]["type"] == "CANCELLED"
