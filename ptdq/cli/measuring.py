"""A run from the command line, for the commands that end in one: the flow, then tables and directory."""

from __future__ import annotations

import click

from ptdq.parameters import Parameters


def measure(parameters: Parameters, resume: bool = False, verbose: bool = False) -> None:
    """Run the flow; print the tables, and the run's directory last.

    Args:
        parameters: of the run.
        resume: whether a run that was broken off continues.
        verbose: show what is logged, in the place of the progress.

    Raises:
        UserError, RunFailed, GateFailed: as the flow ended.
    """
    from ptdq.execution import execute
    from ptdq.report.terminal import console, show
    from ptdq.store.layout import open_run

    ended = execute(parameters, resume, verbose)
    if ended.directory is not None:
        files, out = open_run(ended.directory), console()
        show(files, out)
        if files.page.is_file():
            out.print(f"Report: {files.page}", markup=False, highlight=False, soft_wrap=True)
        click.echo(str(ended.directory))
    if ended.error is not None:
        raise ended.error
