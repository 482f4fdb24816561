"""The runs of a matrix as flow runs of deployments: started, waited for, and cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from ptdq.errors import UserError
from ptdq.host import terminal
from ptdq.matrix.plan import Child, status
from ptdq.orchestration.signature import given_values
from ptdq.parameters import Parameters
from ptdq.parameters.matrix import MatrixParameters
from ptdq.store.layout import MatrixFiles, RunFiles

BENCHMARK = "quantization-benchmark"
PAGE = 200
"""Flow runs that the API gives at a time."""


def check_machines(machines: Sequence[str]) -> None:
    """Check that each machine has a deployment; warn where no worker of its pool is online.

    Raises:
        UserError: a machine has none.
    """
    with get_client(sync_client=True) as client:
        for machine in machines:
            _check_machine(client, machine)


def run_on_machines(
    files: MatrixFiles, parameters: MatrixParameters, runs: Mapping[Child, Parameters]
) -> dict[Child, str | None]:
    """Run all of these, and wait for them; those that have not ended in time are cancelled.

    Args:
        files: of the matrix.
        parameters: of the matrix.
        runs: with the parameters of each.

    Returns:
        Why each run failed; None where it did not.
    """
    with get_client(sync_client=True) as client, _cancelled_on_error(client) as started:
        for child, values in runs.items():
            started[_start(client, files, child, values)] = child
        return _wait_for_runs(client, started, parameters.timeout, parameters.poll_interval)


def _start(client: SyncPrefectClient, files: MatrixFiles, child: Child, values: Parameters) -> UUID:
    """The flow run of one run of the matrix: started now, or before by a matrix that was killed."""
    name = f"{files.matrix_id}-{child.run_id}"
    earlier = _unfinished(client, name, values)
    if earlier is not None:
        get_run_logger().info("%s: it was started before, and is waited for", child.run_id)
        return earlier.id
    resume = status(RunFiles(files.runs / child.run_id)) is not None
    flow_run: FlowRun = run_deployment(  # type: ignore[assignment]
        f"{BENCHMARK}/{child.machine}",
        parameters={**values.model_dump(), "resume": resume},
        flow_run_name=name,
        tags=["matrix"],
        timeout=0,
    )
    return flow_run.id


def _unfinished(client: SyncPrefectClient, name: str, values: Parameters) -> FlowRun | None:
    """The flow run of this name that has not ended: left waiting by a matrix that was killed.

    Matrices of several results directories may have the same name, and so may their runs.
    """
    final = [state for state in StateType if state in TERMINAL_STATES]
    only = FlowRunFilter(
        name=FlowRunFilterName(any_=[name]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=final)),
    )
    for run in client.read_flow_runs(flow_run_filter=only, limit=PAGE):
        if given_values(Parameters, run.parameters).get("results_dir") == values.results_dir:
            return run
    return None


def _check_machine(client: SyncPrefectClient, machine: str) -> None:
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
def _cancelled_on_error(client: SyncPrefectClient) -> Iterator[dict[UUID, Child]]:
    """Runs that are added are cancelled if the block fails, or is itself cancelled."""
    started: dict[UUID, Child] = {}
    try:
        yield started
    except BaseException:
        for flow_run_id in started:
            _cancel(client, flow_run_id)
        raise


def _cancel(client: SyncPrefectClient, flow_run_id: UUID) -> None:
    """Ask for the end of a run; nothing happens to one that has ended."""
    state = client.read_flow_run(flow_run_id).state
    if state is not None and not state.is_final():
        client.set_flow_run_state(flow_run_id, Cancelling(message="the matrix stopped waiting for it"))


def _wait_for_runs(
    client: SyncPrefectClient, started: Mapping[UUID, Child], timeout: float | None, interval: float
) -> dict[Child, str | None]:
    """Sleep until all runs have ended; those that have not when the time is up are cancelled."""
    begun = time.monotonic()
    errors: dict[Child, str | None] = {}
    waiting = dict(started)
    shown = terminal.current()
    while waiting:
        if shown is not None:
            ended = len(started) - len(waiting)
            shown.progress("waiting for the runs", ended, len(started), f"{ended} of {len(started)}")
        try:
            runs = _read_runs(client, list(waiting))
        except httpx.TransportError as error:
            # The runs go on without the API, and so does this flow.
            get_run_logger().warning("the API cannot be reached, trying again: %s", error)
            runs = []
        for run in runs:
            if run.state is not None and run.state.is_final():
                child = waiting.pop(run.id)
                errors[child] = _reason(run)
                get_run_logger().info("%s: %s", child.run_id, errors[child] or "completed")
        late = timeout is not None and time.monotonic() - begun > timeout
        if late and runs:
            for run in runs:
                if run.id in waiting:
                    _cancel(client, run.id)
                    did = "did not end" if run.start_time else "was not started by any worker"
                    errors[waiting.pop(run.id)] = f"{did} within {timeout:g} s"
        elif waiting:
            time.sleep(interval)
    return errors


def _read_runs(client: SyncPrefectClient, flow_run_ids: Sequence[UUID]) -> list[FlowRun]:
    """The flow runs as they are now."""
    runs: list[FlowRun] = []
    for start in range(0, len(flow_run_ids), PAGE):
        only = FlowRunFilter(id=FlowRunFilterId(any_=list(flow_run_ids[start : start + PAGE])))
        runs += client.read_flow_runs(flow_run_filter=only, limit=PAGE)
    return runs


def _reason(run: FlowRun) -> str | None:
    """Why a run that has ended counts as failed; None where it does not."""
    if run.state is None or run.state.is_completed():
        return None
    return f"{run.state.name}: {run.state.message}" if run.state.message else run.state.name
