"""``ptdq baseline``: the run that later ones are compared with."""

from __future__ import annotations

import click

from ptdq.cli.options import RESULTS
from ptdq.text import plain


@click.command("baseline")
@click.argument("run", metavar="RUN")
@RESULTS
def command(run: str, results_dir: str) -> None:
    """Mark RUN as the baseline: later runs report what changed since, and it is never pruned."""
    from ptdq.store.baseline import mark
    from ptdq.store.results import local

    click.echo(f"baseline: {plain(mark(local(results_dir), run).run_id)}")
