"""``ptdq report``: the report of a run, made anew from its tables."""

from __future__ import annotations

import click

from ptdq.cli.options import RESULTS, RUN
from ptdq.text import plain


@click.command("report")
@RUN
@RESULTS
def command(run: str, results_dir: str) -> None:
    """Rebuild the report of RUN (a directory, or an id) from its tables."""
    from ptdq.report import build_report
    from ptdq.report.summary import write_summary
    from ptdq.store.layout import open_run
    from ptdq.store.results import as_data, local

    files = open_run(run, local(results_dir))
    with as_data(files):
        write_summary(files)
        built = build_report(files)
    click.echo(plain(built.path))
