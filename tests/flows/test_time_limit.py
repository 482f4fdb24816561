"""The time limit of a run: what runs is ended, what was finished is reported, and the run can go on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from prefect.client.schemas.objects import State

from ptdq.errors import RunFailed
from ptdq.flows.benchmark import quantization_benchmark
from ptdq.host.clock import TimeLimit
from ptdq.host.futures import run_queues
from ptdq.host.machine import usable_cores
from ptdq.host.process import Ended, own_children, run_child
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from tests.support.held import HELD, HOLD
from tests.support.running import broken_files, run_flow

SAME = "tests.support.planted:Same"


def test_queues_end_with_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child_sleeps.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = set(psutil.Process().children())
    limit = TimeLimit(1.0)
    ended: list[Ended] = []

    def sleep(cell: Any) -> None:
        request, log = tmp_path / f"{cell}.json", tmp_path / f"{cell}.log"
        ended.append(run_child("child_sleeps", {}, request, log, threads=1, timeout=600))

    queues: Any = [["a", "b"], ["c"]]
    with ThreadPoolExecutor() as pool, own_children():

        def start(cell: Any) -> Future[None]:
            return pool.submit(copy_context().run, sleep, cell)

        limit.start()
        with pytest.raises(RunFailed, match=r"exceeded its time limit \(1 s\)"):
            run_queues(queues, start, limit)
        assert set(psutil.Process().children()) <= before
        # Those that had begun, and nothing after them.
        assert len(ended) == 2
        assert all("time limit" in str(child.reason) for child in ended)
    assert not (tmp_path / "b.json").exists()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(len(usable_cores()) < 2, reason="two variants end while another waits: two cores")
def test_what_was_finished_is_reported_and_the_run_goes_on(
    prefect_server: str,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = RunFiles(tmp_path / "late")
    asked: dict[str, Any] = {
        "model": str(tiny_model), "data": str(tiny_data), "max_length": [16], "repeats": 1,
        "control_documents": 0, "load_wait": 0, "results_dir": str(tmp_path), "run_id": "late",
        "variant": ["fp32", HELD, SAME], "cores": "2",
    }  # fmt: skip
    # Held waits for ever, on a core of its own: whatever the limit is, it comes in the middle.
    state = run_flow(**asked, run_timeout=150)
    error = state.result(raise_on_failure=False)
    assert isinstance(error, RunFailed)
    assert "exceeded its time limit (150 s)" in str(error)
    assert str(error).endswith(f"ptdq run --resume {files.directory}")
    assert error.directory == str(files.directory)
    record = read_json(files.record)
    assert (record["status"], record["broken_off"]) == (
        "broken off", "the run exceeded its time limit (150 s)",
    )  # fmt: skip
    pairs = read_table(files.table("comparisons")).to_pylist()
    assert [(row["baseline"], row["variant"]) for row in pairs] == [("fp32", SAME)]
    cells = {row["variant"]: row["status"] for row in read_table(files.table("cells")).to_pylist()}
    assert cells == {"fp32": "ok", SAME: "ok", HELD: "failed"}
    assert files.report.is_file()
    assert broken_files(files.directory) == []

    monkeypatch.setenv(HOLD, str(tmp_path / "released"))
    state = cast(State[Any], quantization_benchmark(**asked, resume=True, return_state=True))
    assert state.is_completed(), state.message
    record = read_json(files.record)
    assert (record["status"], record["broken_off"], record["failures"]) == ("completed", None, [])
    assert len(record["resumed_at"]) == 1
