"""A run as a function: its input checked before Prefect starts, the flow, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ptdq import tracking
from ptdq.errors import GateFailed, RunFailed, UserError
from ptdq.parameters import DEMO, Parameters, Purpose, default_values, make_parameters, names
from ptdq.store import record
from ptdq.store.layout import RunFiles, open_run

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        directory: of its files, where there is a report.
        error: what it failed with; None where all went well.
    """

    directory: Path | None
    error: RunFailed | GateFailed | None


def execute(parameters: Parameters, resume: bool = False, verbose: bool = True) -> Ended:
    """Check the input, and run the flow to its end.

    Args:
        parameters: of the run.
        resume: whether a run that was broken off continues.
        verbose: leave standard error to what is logged; else it shows the progress, and what is logged
            goes to the run's directory.

    Raises:
        UserError: the input is wrong; nothing was measured.
        RunFailed: the run was cancelled, or failed with what nobody expected.
        Exception: what Prefect failed with, with a note on how to resume the run.
    """
    check_input(parameters, resume)
    from ptdq.orchestration.calm import shown

    with shown(verbose):
        return _execute(parameters, resume)


def _execute(parameters: Parameters, resume: bool) -> Ended:
    from ptdq.orchestration.server import api

    started = time.time()
    try:
        with api(meanwhile=_flow):
            given = {**parameters.model_dump(), "resume": resume}
            state = cast("State[Any]", _flow()(**given, return_state=True))
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
    if isinstance(result, RunFailed | GateFailed):
        return Ended(Path(result.directory) if result.directory is not None else None, result)
    if isinstance(result, BaseException):
        from ptdq.orchestration.ending import unexpected

        raise unexpected(result) from result
    return Ended(Path(result), None)


def _flow() -> Any:
    """The flow, whose import takes seconds."""
    from ptdq.flows.benchmark import quantization_benchmark

    return quantization_benchmark


def fixed(asked: Iterable[str], extending: bool = False) -> list[str]:
    """Those of the parameters that a run which continues, perhaps with more rounds, cannot change."""
    free = set(names(Purpose.UNMEASURED)) - {"run_id"}
    if extending:
        free |= set(names(Purpose.EXTENDS))
    return [name for name in asked if name not in free]


def resumed(run: str | Path, given: Mapping[str, Any]) -> Parameters:
    """The parameters of a run that was broken off, with those that it may change.

    Args:
        run: its directory, or its id in the results directory.
        given: parameters that decide no result.

    Raises:
        UserError: there is no such run, or a parameter is wrong.
    """
    files = open_run(run, Path(str(given.get("results_dir", default_values()["results_dir"]))))
    values = {**record.read(files).parameters, **given}
    place = {"run_id": files.run_id, "results_dir": str(files.directory.parent)}
    return make_parameters(values | place)


def extended(run: str | Path, given: Mapping[str, Any]) -> Parameters:
    """The parameters of a run that is there, with those that ask for more rounds.

    Args:
        run: its directory, or its id in the results directory.
        given: parameters that decide how many rounds there are, and such as decide no result.

    Raises:
        UserError: there is no such run, it cannot have more rounds, or a parameter is wrong.
    """
    parameters = resumed(run, given)
    begun = record.read(RunFiles(Path(parameters.results_dir) / str(parameters.run_id)))
    if begun.pruned is not None:
        raise UserError(f"extend '{run}': the rows of its documents were pruned; start a new run")
    rounds = begun.design.rounds
    if parameters.repeats <= rounds and not {"target_width", "max_minutes"} & given.keys():
        raise UserError(
            f"extend '{run}': it has {rounds} rounds; ask for more in all (--repeats), or for a width of "
            "the intervals (--target-width)"
        )
    if parameters.repeats <= rounds and parameters.target_width is None:
        raise UserError("max_minutes: it limits what target_width adds; give --target-width as well")
    return parameters


def check_input(parameters: Parameters, resume: bool) -> None:
    """Find what is wrong before Prefect starts: within seconds, and with no log around the one line.

    The flow checks the same again, for those who come by a deployment. What is read here is in the
    cache then.

    Raises:
        UserError: something is wrong; nothing was written but the cache.
    """
    from ptdq.inputs.load import read_data, read_model
    from ptdq.measure.run_request import check_documents, check_request

    if parameters.baseline is not None and ":" in parameters.baseline:
        from ptdq.orchestration import variables

        variables.offer()
    files = RunFiles(Path(parameters.results_dir) / (parameters.run_id or ".new"))
    check_request(parameters, files, resume=resume)
    tracking.check(parameters.track)
    if DEMO not in (parameters.model, parameters.data):
        raw = read_data(parameters)
        check_documents(parameters, raw)
        read_model(parameters, raw)


def _broken_off(parameters: Parameters, started: float) -> Path | None:
    """The directory of the run that was just broken off, by its id or as the newest one begun since."""
    records = Path(parameters.results_dir).glob(f"{parameters.run_id or '*'}/run.json")
    begun = [(path.stat().st_mtime, path.parent) for path in records]
    return max((run for run in begun if run[0] >= started), default=(0.0, None))[1]
