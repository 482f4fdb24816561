"""How a command ends whose flow has ended: the directory printed, or the error raised."""

from __future__ import annotations

from typing import Any

import click
from prefect.client.schemas.objects import State

from ptdq.errors import RunFailed, UserError


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
        raise RunFailed(f"{type(result).__name__}: {result}") from result
