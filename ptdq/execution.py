"""A run from the command line: its input checked, then the flow, then its tables on the terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ptdq.errors import GateFailed, RunFailed, UserError
from ptdq.parameters import DEMO, Parameters
from ptdq.store.layout import RunFiles, open_run

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def execute(parameters: Parameters, resume: bool = False) -> None:
    """Run the flow and raise what it failed with; print the run's directory last.

    Raises:
        UserError, RunFailed, GateFailed: as the flow ended.
    """
    check_input(parameters, resume)
    from ptdq.flows.benchmark import quantization_benchmark
    from ptdq.report.terminal import console, show

    started = time.time()
    try:
        state = cast("State[Any]", quantization_benchmark(parameters, resume=resume, return_state=True))
    except Exception as error:
        directory = _broken_off(parameters, started)
        if directory is not None:
            error.add_note(f"finished cells are kept: ptdq run --resume {directory}")
        raise
    if state.is_cancelled():
        raise RunFailed(state.message or "cancelled")
    result = state.result(raise_on_failure=False)
    if isinstance(result, UserError):
        raise result
    directory = _directory(result, parameters)
    if directory is not None:
        show(open_run(directory), console())
        click.echo(str(directory))
    if isinstance(result, RunFailed | GateFailed):
        raise result
    if isinstance(result, BaseException):
        raise RunFailed(f"{type(result).__name__}: {result}") from result


def check_input(parameters: Parameters, resume: bool) -> None:
    """Find what is wrong before Prefect starts: within seconds, and with no log around the one line.

    The flow checks the same again, for those who come by a deployment. What is read here is in the
    cache then.

    Raises:
        UserError: something is wrong; nothing was written but the cache.
    """
    from ptdq.inputs.load import read_data, read_model
    from ptdq.measure.request import check_request

    files = RunFiles(Path(parameters.results_dir) / (parameters.run_id or ".new"))
    check_request(parameters, files, resume=resume)
    if DEMO not in (parameters.model, parameters.data):
        read_model(parameters, read_data(parameters))


def _broken_off(parameters: Parameters, started: float) -> Path | None:
    """The directory of the run that was just broken off, by its id or as the newest one begun since."""
    records = Path(parameters.results_dir).glob(f"{parameters.run_id or '*'}/run.json")
    since = [(path.stat().st_mtime, path.parent) for path in records if path.stat().st_mtime >= started]
    return max(since, default=(0.0, None))[1]


def _directory(result: Any, parameters: Parameters) -> Path | None:
    if isinstance(result, str):
        return Path(result)
    if isinstance(result, RunFailed | GateFailed) and result.directory is not None:
        return Path(result.directory)
    return None
