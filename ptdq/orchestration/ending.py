"""How a flow ends: the state that it returns, and what its command makes of that state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, Completed

from ptdq.analysis.outcome import problem_of
from ptdq.errors import RunFailed, UserError, disk_full
from ptdq.host import terminal
from ptdq.orchestration.cancelling import CancelledByUser
from ptdq.orchestration.failures import failed
from ptdq.store import record
from ptdq.store.in_use import in_use
from ptdq.store.layout import MatrixFiles, RunFiles, ShardFiles

Files = RunFiles | ShardFiles | MatrixFiles


class Ending:
    """How the block of :func:`ended` has ended.

    Attributes:
        state: for the flow to return; None where the block came to its end.
    """

    def __init__(self) -> None:
        self.state: State[Any] | None = None


@contextmanager
def ended(files: Files, kept: str | None = None) -> Iterator[Ending]:
    """Turn errors of the block that have a message for the user into the flow's state.

    Args:
        files: of what the flow does.
        kept: what is kept where the flow fails after its record was begun, and how to go on with it; None
            where the messages say so.
    """
    ending = Ending()
    try:
        yield ending
    except UserError as error:
        ending.state = failed(error)
    except CancelledByUser:
        problem = _with_hint(RunFailed("cancelled"), files, kept)
        ending.state = Cancelled(message=str(problem))
    except RunFailed as error:
        ending.state = failed(_with_hint(error, files, kept))
    except OSError as error:
        full = disk_full(error)
        if full is None:
            raise
        ending.state = failed(_with_hint(full, files, kept))


def _with_hint(problem: RunFailed, files: Files, kept: str | None) -> RunFailed:
    if kept is None or not files.record.is_file():
        return problem
    return RunFailed(f"{problem}; {kept}", problem.directory)


def completed(files: Files) -> State[Any]:
    """The state of a flow that came to its report."""
    state: State[Any] = Completed(message=f"report: {files.report}", data=str(files.directory))
    return state


def finished(files: RunFiles) -> State[Any]:
    """The state of a run that came to its report: failed where cells or gates say so."""
    problem = problem_of(files)
    return completed(files) if problem is None else failed(problem)


@contextmanager
def breaks_recorded(files: RunFiles) -> Iterator[None]:
    """A run that does not come to its end in the block is broken off in its record, with the reason.

    Where nobody is left to write, since the process is killed, or nothing can be written, the record
    stays at ``running``: who reads it sees that the directory is no longer in use.

    What is logged is in its directory from now on.

    Raises:
        UserError: another process works on the run.
    """
    with in_use(files.directory) as process:
        record.amend(files, process=process)
        terminal.keep(files.log)
        try:
            yield
        except BaseException as error:
            # A disk that is full may have no room for this either.
            with suppress(OSError):
                if record.read(files).status == "running":
                    record.break_off(files, reason_of(error))
            raise


def reason_of(error: BaseException) -> str:
    """Why a run was broken off, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, TerminationSignal):
        return "cancelled, or ended by a signal"
    full = disk_full(error) if isinstance(error, OSError) else None
    if full is not None or isinstance(error, RunFailed):
        return str(full or error)
    return f"{type(error).__name__}: {error}".splitlines()[0]


def finish(state: State[Any]) -> None:
    """Print the directory that the flow returned, or that its failure names; raise the failure.

    Raises:
        UserError, RunFailed: as the flow ended.
    """
    result = state.result(raise_on_failure=False)
    directory = result.directory if isinstance(result, RunFailed) else result
    if isinstance(directory, str):
        click.echo(directory)
    if isinstance(result, UserError | RunFailed):
        raise result
    if isinstance(result, BaseException):
        raise unexpected(result) from result


def unexpected(error: BaseException) -> RunFailed:
    """The same in a line, which names the log where there is one."""
    shown = terminal.current()
    log = f"; log: {shown.kept}" if shown is not None and shown.kept is not None else ""
    return RunFailed(f"{type(error).__name__}: {error}{log}")
