"""``ptdq prune``: old runs without the rows of their documents."""

from __future__ import annotations

from datetime import timedelta

import click

from ptdq.cli.options import RESULTS
from ptdq.text import plain


@click.command("prune")
@RESULTS
@click.option("--older-than", metavar="DAYS", type=click.FloatRange(min=0), required=True)
@click.option(
    "--cache",
    is_flag=True,
    help="Also drop models, documents and artifacts from the cache that no run has used for as long "
    "(a day at least); fails at once while a run has this machine.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
def command(results_dir: str, older_than: float, cache: bool, dry_run: bool) -> None:
    """Drop the rows of documents of runs that ended over DAYS ago; their summaries stay.

    This includes runs of matrices, sharded evaluations, and runs that were broken off as long ago. A run
    that is marked as the baseline, or that the parameters of another name as theirs, keeps its rows.
    """
    from ptdq.host.cleaning import prune_cache
    from ptdq.store.prune import prune
    from ptdq.store.results import local

    age = timedelta(days=older_than)
    pruned = prune_cache(age, dry_run=dry_run) if cache else []
    pruned += prune(local(results_dir), age, dry_run=dry_run)
    for run in pruned:
        if run.kept is None:
            click.echo(f"{plain(run.run_id)}: {run.freed / 1e6:.1f} MB")
        else:
            click.echo(f"{plain(run.run_id)}: kept, {plain(run.kept)}")
    freed = sum(run.freed for run in pruned)
    click.echo(f"{'would free' if dry_run else 'freed'} {freed / 1e6:.1f} MB")
