"""``ptdq baseline``: the run that later ones are compared with."""

from __future__ import annotations

import click

from ptdq.cli.options import RESULTS, RUN
from ptdq.text import plain


@click.command("baseline")
@RUN
@click.option(
    "--variable",
    metavar="NAME",
    help="Have this variable of Prefect name it too, for `--baseline variable:NAME` on any machine.",
)
@RESULTS
def command(run: str, variable: str | None, results_dir: str) -> None:
    """Mark RUN as the baseline: later runs report what changed since, and it is never pruned."""
    from ptdq.store.baseline import mark
    from ptdq.store.results import local

    files = mark(local(results_dir), run)
    if variable is not None:
        from ptdq.orchestration.variables import write

        write(variable, files)
    click.echo(f"baseline: {plain(files.run_id)}")
