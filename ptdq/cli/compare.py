"""``ptdq compare``: what changed from one run to another."""

from __future__ import annotations

import json
import sys

import click

from ptdq.cli.options import RESULTS_OR_URL
from ptdq.text import printable

WORSE = 3


@click.command("compare")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@RESULTS_OR_URL
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
def command(old: str, new: str, results_dir: str, as_json: bool) -> None:
    """Say what changed from run OLD to run NEW (ids or directories).

    Timings of different CPU models or numbers of cores are not compared; quality always is. How much runs
    differ without any change is taken from the other runs beside OLD.
    Status 3: something became decidedly slower, or predicts decidedly worse.
    """
    from ptdq.analysis.compare_runs import compare_runs
    from ptdq.report.sections.baseline import document
    from ptdq.store.results import all_runs, as_data, open_runs
    from ptdq.store.run import load

    with open_runs(results_dir, [old, new]) as (before, after), as_data(before, after):
        history, _ = all_runs(before.directory.parent)
        comparison = compare_runs(load(before), load(after), history).as_json()
    if as_json:
        click.echo(printable(json.dumps(comparison, ensure_ascii=False, indent=2)))
    else:
        click.echo(document(comparison))
    if comparison["regressions"]:
        sys.exit(WORSE)
