"""The flow ``benchmark-matrix``: models × lengths × machines, fanned out over Prefect work pools.

A machine is a deployment of ``quantization-benchmark`` (``deployments/matrix.yaml``); the workers of its
pool take one run at a time each (``--limit 1``, and the lock of the machine). All write into one
results directory that they and this flow see. Nothing is measured here: this flow starts the runs,
sleeps, and puts what they left into one report.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.context import get_run_context
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Completed, Failed

from ptdq.errors import RunFailed, UserError
from ptdq.evaluation.shards import check_same
from ptdq.flows.benchmark import default_run_id, problems
from ptdq.matrix.collect import Child, collect, plan, status
from ptdq.orchestration.artifacts import publish_matrix
from ptdq.parameters import Parameters, Purpose, make_parameters, names
from ptdq.parameters.matrix import MatrixParameters
from ptdq.report.machines import document, machine_rows
from ptdq.store.disk import read_json, write_json, write_text
from ptdq.store.layout import MatrixFiles, RunFiles
from ptdq.store.record import now

BENCHMARK = "quantization-benchmark"
PAGE = 200
"""Flow runs that the API gives at a time."""


@flow(name="benchmark-matrix", validate_parameters=True)
def benchmark_matrix(parameters: MatrixParameters) -> Any:
    """Measure models on machines; one report with a row for each CPU.

    Args:
        parameters: what to measure, and where.
    """
    flow_run = get_run_context().flow_run  # type: ignore[union-attr]
    files = MatrixFiles(Path(parameters.results_dir) / (parameters.run_id or default_run_id(flow_run)))
    try:
        errors = run_matrix(parameters, files)
    except UserError as error:
        return Failed(message=str(error), data=error)
    rows = collect(files, errors)
    markdown = document(files.matrix_id, rows, parameters.price)
    write_text(files.report, markdown)
    _record(files, parameters, ended_at=now())
    publish_matrix(files.matrix_id, files.directory, markdown, machine_rows(rows, parameters.price))
    failed = {child: error for child, error in errors.items() if error is not None}
    if failed:
        child, first = next(iter(failed.items()))
        where = f"{child.model} at {child.max_length} tokens on {child.machine}"
        problem = RunFailed(
            f"{len(failed)} of {len(errors)} runs failed, first {where}: {first}; "
            f"the others are in {files.report}",
            str(files.directory),
        )
        return Failed(message=str(problem), data=problem)
    return Completed(message=f"report: {files.report}", data=str(files.directory))


def run_matrix(parameters: MatrixParameters, files: MatrixFiles) -> dict[Child, str | None]:
    """Start what is missing, wait for all of it; why each run failed, None where it did not.

    Raises:
        UserError: the parameters of the runs are wrong or others than before, or there is no such
            deployment.
    """
    children = plan(parameters.machine, parameters.model, parameters.max_length)
    values = {child: child_parameters(parameters, files, child) for child in children}
    check_gone_on_with(parameters, files)
    errors: dict[Child, str | None] = dict.fromkeys(children)
    with get_client(sync_client=True) as client:
        for machine in parameters.machine:
            check_machine(client, machine)
        _record(files, parameters, started_at=now())
        with cancelled_on_error(client) as started:
            for child in children:
                there = RunFiles(files.runs / child.run_id)
                before = status(there)
                if before == "completed":
                    get_run_logger().info("%s: it is there already", child.run_id)
                    problem = problems(there)
                    errors[child] = None if problem is None else str(problem)
                    continue
                name = f"{files.matrix_id}-{child.run_id}"
                run: Any = unfinished(client, name, values[child])
                if run is not None:
                    get_run_logger().info("%s: it was started before, and is waited for", child.run_id)
                else:
                    given = {"parameters": values[child].model_dump(), "resume": before is not None}
                    run = run_deployment(
                        f"{BENCHMARK}/{child.machine}",
                        parameters=given,
                        flow_run_name=name,
                        tags=["matrix"],
                        timeout=0,
                    )
                started[run.id] = child
            errors |= wait_for_runs(client, dict(started), parameters.timeout, parameters.poll_interval)
    return errors


def child_parameters(parameters: MatrixParameters, files: MatrixFiles, child: Child) -> Parameters:
    """Parameters of one run of the matrix.

    Raises:
        UserError: they are wrong.
    """
    given = [name for name in names(Purpose.MATRIX) if name in parameters.benchmark]
    if given:
        raise UserError(f"benchmark: {', '.join(given)} is for the matrix to give to each run")
    own = {
        "model": child.model,
        "max_length": [child.max_length],
        "results_dir": str(files.runs),
        "run_id": child.run_id,
        # A run of another machine is nothing to compare timings with.
        "baseline": "none",
    }
    return make_parameters(parameters.benchmark | own)


def check_gone_on_with(parameters: MatrixParameters, files: MatrixFiles) -> None:
    """Raises UserError where the runs that are there were asked another question than these will be."""
    if files.record.is_file():
        before = read_json(files.record)["parameters"]["benchmark"]
        check_same(_question(before), _question(parameters.benchmark), files.matrix_id)
    elif files.directory.exists():
        raise UserError(
            f"run_id '{files.matrix_id}': {files.directory} is there and no matrix; take another id"
        )


def _question(benchmark: dict[str, Any]) -> dict[str, Any]:
    """The parameters that the runs share, defaults too, as far as they have a say in what is found."""
    shared = make_parameters(benchmark | {"model": "any"}).model_dump()
    return {name: shared[name] for name in names(without=[Purpose.MATRIX, Purpose.UNMEASURED])}


def unfinished(client: SyncPrefectClient, name: str, values: Parameters) -> FlowRun | None:
    """The flow run of this name that has not ended: left waiting by a matrix that was killed.

    Matrices of several results directories may have the same name, and so may their runs.
    """
    ended = [state for state in StateType if state in TERMINAL_STATES]
    only = FlowRunFilter(
        name=FlowRunFilterName(any_=[name]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=ended)),
    )
    for run in client.read_flow_runs(flow_run_filter=only, limit=PAGE):
        if run.parameters.get("parameters", {}).get("results_dir") == values.results_dir:
            return run
    return None


def check_machine(client: SyncPrefectClient, machine: str) -> None:
    """Raises UserError where no deployment has that name; warns where nothing works for its pool."""
    try:
        deployment = client.read_deployment_by_name(f"{BENCHMARK}/{machine}")
    except ObjectNotFound as error:
        raise UserError(
            f"machine '{machine}': no deployment {BENCHMARK}/{machine}; see deployments/matrix.yaml"
        ) from error
    pool = deployment.work_pool_name
    if pool is None:
        raise UserError(f"machine '{machine}': its deployment has no work pool")
    workers = client.read_workers_for_work_pool(pool)
    if not any(worker.status == "ONLINE" for worker in workers):
        get_run_logger().warning(
            "%s: no worker of pool %s is online; its runs wait for one", machine, pool
        )


@contextmanager
def cancelled_on_error(client: SyncPrefectClient) -> Iterator[dict[UUID, Child]]:
    """Runs that are added are cancelled if the block fails, or is itself cancelled."""
    started: dict[UUID, Child] = {}
    try:
        yield started
    except BaseException:
        for run_id in started:
            cancel(client, run_id)
        raise


def cancel(client: SyncPrefectClient, run_id: UUID) -> None:
    """Ask for the end of a run; nothing happens to one that has ended."""
    state = client.read_flow_run(run_id).state
    if state is not None and not state.is_final():
        client.set_flow_run_state(run_id, Cancelling(message="the matrix gave it up"))


def wait_for_runs(
    client: SyncPrefectClient, started: dict[UUID, Child], timeout: float | None, interval: float
) -> dict[Child, str | None]:
    """Sleep until all runs have ended; those that have not when the time is up are cancelled."""
    begun = time.monotonic()
    ended: dict[Child, str | None] = {}
    waiting = dict(started)
    while waiting:
        try:
            found = read_runs(client, list(waiting))
        except httpx.TransportError as error:
            # The runs go on without the API, and so does this flow.
            get_run_logger().warning("the API cannot be reached, trying again: %s", error)
            found = []
        for run in found:
            if run.state is not None and run.state.is_final():
                child = waiting.pop(run.id)
                ended[child] = reason(run)
                get_run_logger().info("%s: %s", child.run_id, ended[child] or "completed")
        late = timeout is not None and time.monotonic() - begun > timeout
        if late and found:
            for run in found:
                if run.id in waiting:
                    cancel(client, run.id)
                    did = "did not end" if run.start_time else "was not started by any worker"
                    ended[waiting.pop(run.id)] = f"{did} within {timeout:g} s"
        elif waiting:
            time.sleep(interval)
    return ended


def read_runs(client: SyncPrefectClient, run_ids: Sequence[UUID]) -> list[FlowRun]:
    """The runs as they are now."""
    found: list[FlowRun] = []
    for start in range(0, len(run_ids), PAGE):
        only = FlowRunFilter(id=FlowRunFilterId(any_=list(run_ids[start : start + PAGE])))
        found += client.read_flow_runs(flow_run_filter=only, limit=PAGE)
    return found


def reason(run: FlowRun) -> str | None:
    """Why a run that has ended is no good; None where it is."""
    if run.state is None or run.state.is_completed():
        return None
    return f"{run.state.name}: {run.state.message}" if run.state.message else run.state.name


def _record(files: MatrixFiles, parameters: MatrixParameters, **times: str) -> None:
    found = read_json(files.record) if files.record.is_file() else {}
    write_json(files.record, found | {"parameters": parameters.model_dump()} | times)


__all__ = ["MatrixParameters", "benchmark_matrix"]
