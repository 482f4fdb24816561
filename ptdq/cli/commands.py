"""Commands over the runs there are: history, baseline, compare, prune, export, doctor.

``compare`` ends with status 3 where something became worse, as a failed gate does; ``doctor`` with 1
where something has to be mended.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import click

from ptdq.errors import UserError

WORSE = 3
_RESULTS = click.option(
    "--results-dir", default="results", show_default=True, help="Directory of the runs."
)
_RESULTS_OR_URL = click.option(
    "--results-dir",
    default="results",
    show_default=True,
    help="Directory of the runs, or an fsspec URL such as s3://bucket/results.",
)


def register(group: click.Group) -> None:
    """Add the commands to ``ptdq``."""
    for command in (history, compare, baseline, prune, export, doctor):
        group.add_command(command)


@click.command()
@_RESULTS_OR_URL
@click.option("--variant", multiple=True, help="Only this variant; may be repeated.")
@click.option("--max-length", multiple=True, type=int, help="Only this length; may be repeated.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the plot goes.  [default: history.png in the results directory]",
)
def history(
    results_dir: str, variant: tuple[str, ...], max_length: tuple[int, ...], plot: Path | None
) -> None:
    """Show how latency, speed-up and quality went from run to run; print the path of a plot."""
    from ptdq.analysis.history import points, select
    from ptdq.report.history import plot as draw
    from ptdq.report.history import show
    from ptdq.report.terminal import console
    from ptdq.store.results import all_runs, is_url, readable

    with readable(results_dir) as directory:
        runs, left_out = all_runs(directory)
        found = select(points(runs), variant, max_length)
    for reason in left_out:
        click.echo(f"left out: {reason}", err=True)
    if not found:
        raise UserError(f"results_dir {results_dir}: no run with figures of what was asked for")
    show(found, console())
    path = plot or (Path() if is_url(results_dir) else Path(results_dir)) / "history.png"
    draw(found, path)
    click.echo(str(path))


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@_RESULTS_OR_URL
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
def compare(old: str, new: str, results_dir: str, as_json: bool) -> None:
    """Say what changed from run OLD to run NEW (ids or directories).

    Timings of different CPU models or numbers of cores are not compared; quality is, all the same.
    Status 3: something became slower beyond the noise floor, or predicts decidedly worse.
    """
    from ptdq.analysis.compare_runs import compare_runs
    from ptdq.report.sections.baseline import document
    from ptdq.store.results import open_runs
    from ptdq.store.run import load

    with open_runs(results_dir, [old, new]) as (before, after):
        found = compare_runs(load(before), load(after)).as_json()
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else document(found))
    if found["regressions"]:
        sys.exit(WORSE)


@click.command()
@click.argument("run", metavar="RUN")
@_RESULTS
def baseline(run: str, results_dir: str) -> None:
    """Mark RUN as the baseline: later runs report what changed since, and it is never pruned."""
    from ptdq.store.baseline import mark
    from ptdq.store.results import local

    click.echo(f"baseline: {mark(local(results_dir), run).run_id}")


@click.command()
@_RESULTS
@click.option("--older-than", metavar="DAYS", type=click.FloatRange(min=0), required=True)
@click.option(
    "--cache",
    is_flag=True,
    help="Also drop what the cache has of models, documents and artifacts that no run has used for so "
    "long (a day at least); fails at once while a run has this machine.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
def prune(results_dir: str, older_than: float, cache: bool, dry_run: bool) -> None:
    """Drop the rows of documents of runs that ended over DAYS ago; their summaries stay.

    Runs of matrices and sharded evaluations are among them, and runs that were broken off as long ago. A
    run that is marked as the baseline, or that the parameters of another name as theirs, keeps its rows.
    """
    from ptdq.host.cleaning import prune_cache
    from ptdq.store.prune import prune as drop
    from ptdq.store.results import local

    age = timedelta(days=older_than)
    found = prune_cache(age, dry_run=dry_run) if cache else []
    found += drop(local(results_dir), age, dry_run=dry_run)
    for run in found:
        if run.kept is None:
            click.echo(f"{run.run_id}: {run.freed / 1e6:.1f} MB")
        else:
            click.echo(f"{run.run_id}: kept, {run.kept}")
    freed = sum(run.freed for run in found)
    click.echo(f"{'would free' if dry_run else 'freed'} {freed / 1e6:.1f} MB")


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--variant", required=True, help="Which of the run's variants.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory to write; it must be new or empty.",
)
@_RESULTS
def export(run: str, variant: str, out: Path, results_dir: str) -> None:
    """Write what RUN measured, to be shipped: artifact, tokenizer, model card, loader without ptdq."""
    from ptdq.export.build import export as write
    from ptdq.store.layout import open_run
    from ptdq.store.results import local

    click.echo(str(write(open_run(run, local(results_dir)), variant, out)))


@click.command()
@click.option("--model", help="Checkpoint directory, or id of a model in the hub's cache.")
@_RESULTS
def doctor(model: str | None, results_dir: str) -> None:
    """Check this machine before the first run, and say what to mend. Status 1: something has to be."""
    from rich.console import Console
    from rich.text import Text

    from ptdq.doctor import examine
    from ptdq.store.results import local

    console = Console(soft_wrap=True)
    style = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    checks = examine(model, local(results_dir))
    for check in checks:
        console.print(
            Text(f"{check.status:<5}", style=style[check.status]), Text(f"{check.name}: {check.text}")
        )
        if check.remedy:
            console.print(Text(f"      {check.remedy}", style="italic"))
    if any(check.status == "fail" for check in checks):
        sys.exit(1)
