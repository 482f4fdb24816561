"""``ptdq show``: the tables of a run in the terminal."""

from __future__ import annotations

import click

from ptdq.cli.options import RESULTS, RUN


@click.command("show")
@RUN
@RESULTS
def command(run: str, results_dir: str) -> None:
    """Print the tables of RUN (a directory, or an id)."""
    from ptdq.report import terminal
    from ptdq.store.layout import open_run
    from ptdq.store.results import as_data, local

    files = open_run(run, local(results_dir))
    with as_data(files):
        terminal.show(files, terminal.console())
