"""``ptdq history``: the runs of a results directory, over time."""

from __future__ import annotations

from pathlib import Path

import click

from ptdq.cli.options import RESULTS_OR_URL
from ptdq.errors import UserError
from ptdq.text import plain


@click.command("history")
@RESULTS_OR_URL
@click.option("--variant", multiple=True, help="Only this variant; may be repeated.")
@click.option("--max-length", multiple=True, type=int, help="Only this length; may be repeated.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the plot goes.  [default: history.png in the results directory]",
)
def command(
    results_dir: str, variant: tuple[str, ...], max_length: tuple[int, ...], plot: Path | None
) -> None:
    """Show how latency, speed-up and quality went from run to run; print the path of a plot."""
    from ptdq.analysis.history import all_points, select
    from ptdq.report import history
    from ptdq.report.terminal import console
    from ptdq.store.results import is_url, readable

    with readable(results_dir) as directory:
        points, left_out = all_points(directory)
        selected = select(points, variant, max_length)
    for reason in left_out:
        click.echo(f"left out: {plain(reason)}", err=True)
    if not selected:
        raise UserError(f"results_dir {results_dir}: no run with figures of what was asked for")
    history.show(selected, console())
    path = plot or (Path() if is_url(results_dir) else Path(results_dir)) / "history.png"
    history.plot(selected, path)
    click.echo(plain(path))
