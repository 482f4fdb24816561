"""The matrix for real: two work pools, a worker on a core of its own for each, one report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import yaml
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings

from ptdq.errors import UserError
from ptdq.flows.matrix import benchmark_matrix
from ptdq.host.machine import usable_cores
from ptdq.matrix.plan import Child
from ptdq.parameters.matrix import MatrixParameters
from ptdq.store.disk import read_json
from ptdq.store.layout import MatrixFiles, RunFiles
from ptdq.store.tables import read_table
from tests.support.deploying import Installation
from tests.support.running import ROOT, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(len(usable_cores()) < 2, reason="a core for each worker"),
]

FILE = "deployments/matrix.yaml"
MACHINES = ("machine-a", "machine-b")
SMALL = {"repeats": 1, "control_documents": 0, "load_wait": 0}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A server and a worker for each machine, on one core and with one lock each; the file deployed."""
    running = Installation(tmp_path_factory.mktemp("machines"))
    workers = []
    try:
        for core, name in zip(usable_cores(), MACHINES, strict=False):
            worker = running.start(
                name, "worker", "start", "--pool", name, "--type", "process", "--limit", "1",
                PTDQ_ROOT=str(ROOT), PTDQ_LOCK=str(running.home / f"{name}.lock"),
            )  # fmt: skip
            # What it starts inherits the core.
            psutil.Process(worker.pid).cpu_affinity([core])
            workers.append(worker)
        with running.client() as client:
            client.create_work_pool(WorkPoolCreate(name="coordinator", type="process"))
        # A worker makes its pool if there is none.
        wait_for("pools", lambda: set(MACHINES) <= pools(running))
        running.prefect("--no-prompt", "deploy", "--all", "--prefect-file", FILE)
        yield running
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait(timeout=60)
        left = running.stop()
    assert left == []


def pools(installation: Installation) -> set[str]:
    with installation.client() as client:
        return {pool.name for pool in client.read_work_pools()}


@dataclass(frozen=True)
class Ran:
    """``ptdq matrix`` at its end."""

    status: int
    output: str
    files: MatrixFiles


def command(data: Path, results: Path, *options: object) -> list[str]:
    """``ptdq matrix`` with a configuration of short runs."""
    results.parent.mkdir(parents=True, exist_ok=True)
    config = results.parent / "all.yaml"
    config.write_text(yaml.safe_dump({"data": str(data), **SMALL}), encoding="utf-8")
    program = str(Path(sys.executable).with_name("ptdq"))
    given = ["--config", config, "--run-id", "rent", "--results-dir", results, *options]
    return [program, "matrix", *map(str, given)]


def run_matrix(installation: Installation, data: Path, results: Path, *options: object) -> Ran:
    done = subprocess.run(
        command(data, results, *options),
        cwd=ROOT, env=installation.environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout + done.stderr, MatrixFiles(results / "rent"))


@pytest.fixture(scope="module")
def ran(
    machines: Installation, tiny_model: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """Both machines; the second model exists on neither."""
    results = tmp_path_factory.mktemp("matrix") / "results"
    absent = tiny_model.parent / "absent"
    options = ["--max-length", 16, "--model", tiny_model, "--model", absent, "--price", "machine-a=0.5"]
    for name in MACHINES:
        options += ["--machine", name]
    return run_matrix(machines, tiny_data, results, *options)


def test_each_machine_has_its_rows(ran: Ran, tiny_model: Path) -> None:
    rows = read_table(ran.files.table).to_pylist()
    good = [row for row in rows if row["status"] == "ok"]
    assert {(row["machine"], row["variant"]) for row in good} == {
        (machine, variant) for machine in MACHINES for variant in ("fp32", "int8-dynamic")
    }
    for row in good:
        assert row["cores"] == row["cores_usable"] == 1
        assert row["cpu"]
        assert row["documents_per_second"] > 0
        assert row["artifact_bytes"] > 0
        assert (row["speedup"] is None) == (row["variant"] == "fp32")


def test_machines_had_cores_of_their_own(ran: Ran, tiny_model: Path) -> None:
    used = {}
    for name in MACHINES:
        files = RunFiles(ran.files.runs / Child(name, str(tiny_model), 16).run_id)
        used[name] = read_json(files.record)["machine"]["cores"]
    assert used == {name: [core] for name, core in zip(MACHINES, usable_cores(), strict=False)}


def test_a_failed_run_is_a_row_with_its_reason(ran: Ran) -> None:
    failed = [r for r in read_table(ran.files.table).to_pylist() if r["status"] != "ok"]
    assert {row["machine"] for row in failed} == set(MACHINES)
    assert all("absent" in row["error"] and row["variant"] is None for row in failed)
    assert ran.status == 1
    assert "2 of 4 runs failed" in ran.output


def test_one_report_with_a_row_for_each_machine(ran: Ran, machines: Installation) -> None:
    report = ran.files.report.read_text(encoding="utf-8")
    for name in MACHINES:
        assert report.count(f"| `{name}` |") == 3  # the machine, and its two variants
    assert "## Failed runs" in report
    with machines.client() as client:
        found = {a.key: str(a.data) for a in client.read_artifacts() if a.key}
    assert found["ptdq-matrix"] == report
    rows = json.loads(found["ptdq-machines"])
    assert {row["machine"] for row in rows} == set(MACHINES)
    assert next(row for row in rows if row["machine"] == "machine-a")["documents_per_price"] > 0


def go(installation: Installation, **values: Any) -> State[Any]:
    """The flow in this process: what it does with its runs does not depend on how it is started."""
    parameters = MatrixParameters(**values, run_id="rent", poll_interval=1)
    with temporary_settings({PREFECT_API_URL: installation.api}):
        return cast(State[Any], benchmark_matrix(**parameters.model_dump(), return_state=True))


def test_what_is_there_is_not_run_again(
    ran: Ran, machines: Installation, tiny_model: Path, tiny_data: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in ran.files.runs.rglob("run.json")}
    state = go(
        machines,
        machine=[MACHINES[0]],
        model=[str(tiny_model)],
        max_length=[16],
        # Not how long it may take: that may be changed.
        benchmark={"data": str(tiny_data), **SMALL, "cell_timeout": 1800},
        results_dir=str(ran.files.directory.parent),
    )
    assert state.is_completed(), state.message
    assert {path: path.stat().st_mtime_ns for path in ran.files.runs.rglob("run.json")} == before
    rows = read_table(ran.files.table).to_pylist()
    assert {(row["machine"], row["status"]) for row in rows} == {(MACHINES[0], "ok")}


def test_other_parameters_are_refused_and_nothing_is_written(
    ran: Ran, machines: Installation, tiny_model: Path, tiny_data: Path
) -> None:
    before = ran.files.record.read_bytes()
    state = go(
        machines,
        machine=[MACHINES[0]],
        model=[str(tiny_model)],
        max_length=[16],
        benchmark={"data": str(tiny_data), **SMALL, "repeats": 2, "variant": ["fp32"]},
        results_dir=str(ran.files.directory.parent),
    )
    error = state.result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert "run_id 'rent': its variant, repeats was another" in str(error)
    assert ran.files.record.read_bytes() == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"machine": ["no-such"]}, "machine 'no-such': no deployment"),
        ({"benchmark": {"model": "m"}}, "benchmark: model is for the matrix"),
        ({"benchmark": {"data": "demo", "repeats": 0}}, "repeats"),
    ],
)
def test_a_mistake_starts_no_run(
    machines: Installation, tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    given = {"machine": [MACHINES[0]], "model": ["m"], "benchmark": {"data": "demo"}}
    state = go(machines, **given | values, results_dir=str(tmp_path))
    error = state.result(raise_on_failure=False)
    assert isinstance(error, UserError)
    assert words in str(error)
    assert list(tmp_path.iterdir()) == []


def named(installation: Installation, name: str) -> list[FlowRun]:
    with installation.client() as client:
        return [run for run in client.read_flow_runs() if run.name == name]


def paused(installation: Installation, pool: str, is_paused: bool) -> None:
    with installation.client() as client:
        client.update_work_pool(pool, WorkPoolUpdate(is_paused=is_paused))


def test_what_a_killed_matrix_left_waiting_is_not_started_twice(
    machines: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    child = Child(MACHINES[1], str(tiny_model), 16)
    name = f"rent-{child.run_id}"
    files = MatrixFiles(tmp_path / "results" / "rent")
    others = len(named(machines, name))  # of another results directory
    paused(machines, MACHINES[1], True)
    parent = subprocess.Popen(
        command(tiny_data, files.directory.parent, "--machine", child.machine, "--model", child.model,
                "--max-length", child.max_length),
        cwd=ROOT, env=machines.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for("waiting run", lambda: len(named(machines, name)) > others)
    finally:
        parent.kill()
        parent.wait()
    paused(machines, MACHINES[1], False)
    state = go(
        machines,
        machine=[child.machine],
        model=[child.model],
        max_length=[child.max_length],
        benchmark={"data": str(tiny_data), **SMALL},
        results_dir=str(files.directory.parent),
    )
    assert state.is_completed(), state.message
    assert len(named(machines, name)) == others + 1
    assert {row["status"] for row in read_table(files.table).to_pylist()} == {"ok"}


def test_what_no_worker_takes_is_given_up(
    machines: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    paused(machines, MACHINES[0], True)
    state = go(
        machines,
        machine=[MACHINES[0]],
        model=[str(tiny_model)],
        max_length=[8],
        benchmark={"data": str(tiny_data)},
        results_dir=str(tmp_path),
        timeout=3,
    )
    assert state.is_failed()
    (row,) = read_table(MatrixFiles(tmp_path / "rent").table).to_pylist()
    assert row["error"] == "was not started by any worker within 3 s"
    (run,) = named(machines, f"rent-{row['run_id']}")
    assert run.state is not None
    assert run.state.is_cancelled()
