"""The flow run that a flow is in: its id, and the directory that it gets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

from prefect.client.schemas.objects import FlowRun
from prefect.context import get_run_context
from prefect.task_runners import TaskRunner


class Placed(Protocol):
    """Parameters that say where results go."""

    @property
    def results_dir(self) -> str:
        """Directory that gets a directory for each run."""

    @property
    def run_id(self) -> str | None:
        """Name of the run; None for one made from the time."""


def current_flow_run() -> FlowRun | None:
    """The flow run of the flow that calls this."""
    return get_run_context().flow_run  # type: ignore[union-attr]


def current_task_runner() -> TaskRunner[Any]:
    """What runs the tasks of the flow that calls this."""
    return get_run_context().task_runner  # type: ignore[union-attr]


def directory_for(parameters: Placed, flow_run: FlowRun | None) -> Path:
    """The directory that a flow run writes to."""
    return Path(parameters.results_dir) / (parameters.run_id or default_run_id(flow_run))


def default_run_id(flow_run: FlowRun | None) -> str:
    """A name that sorts by time and is the same when Prefect retries the flow run."""
    started = None if flow_run is None else flow_run.expected_start_time or flow_run.created
    if flow_run is None or started is None:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return f"{started:%Y%m%dT%H%M%SZ}-{flow_run.name}"
