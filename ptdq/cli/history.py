"""``ptdq history``: the runs of a results directory, over time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from ptdq.cli.completion import variants
from ptdq.cli.options import RESULTS_OR_URL
from ptdq.errors import UserError
from ptdq.text import plain, printable


@click.command("history")
@RESULTS_OR_URL
@click.option(
    "--variant", multiple=True, shell_complete=variants, help="Only this variant; may be repeated."
)
@click.option("--max-length", multiple=True, type=int, help="Only this length; may be repeated.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the plot goes.  [default: history.png in the results directory]",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write tables, plot and changes to this file as well: Markdown (.md), or one page (.html).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone; draw only what is asked for.")
def command(
    results_dir: str,
    variant: tuple[str, ...],
    max_length: tuple[int, ...],
    plot: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Show how latency, speed-up and quality went from run to run, and where their level changed.

    The path of a plot is the last line. Changes of level take six runs of one machine, model, data and
    design; a false one in any of the series comes in 5 % of looks at most.
    """
    from ptdq.analysis.history import all_points, select
    from ptdq.analysis.shifts import explained, trend
    from ptdq.report import history
    from ptdq.report import trend as document
    from ptdq.report.terminal import console
    from ptdq.store.results import is_url, readable

    if report is not None:
        document.check(report)
    with readable(results_dir) as directory:
        points, left_out = all_points(directory)
        selected = select(points, variant, max_length)
        seen = trend(selected)
        seen = replace(seen, shifts=explained(seen.shifts, directory))
    for reason in left_out:
        click.echo(f"left out: {plain(reason)}", err=True)
    if not selected:
        raise UserError(f"results_dir {results_dir}: no run with figures of what was asked for")
    path = plot
    if as_json:
        values = document.as_json(selected, seen, left_out)
        click.echo(printable(json.dumps(values, ensure_ascii=False, indent=2)))
    else:
        history.show(selected, console())
        history.say(seen, console())
        path = plot or (Path() if is_url(results_dir) else Path(results_dir)) / "history.png"
    if report is not None:
        document.write(selected, seen, report)
    if path is not None:
        history.plot(selected, path, seen.shifts)
        if not as_json:
            click.echo(plain(path))
