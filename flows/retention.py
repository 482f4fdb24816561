"""The flow ``retention``: old runs lose the rows of their documents, the cache what no run has used.

What ``ptdq prune --cache`` does, as a deployment with a schedule of its own.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.states import Completed
from pydantic import Field

from ptdq.errors import UserError
from ptdq.host.cleaning import prune_cache
from ptdq.orchestration.failures import failed
from ptdq.store.prune import Pruned, prune
from ptdq.text import plain


@flow(name="retention", validate_parameters=True)
def retention(
    older_than: Annotated[float, Field(ge=1)] = 90,
    results_dir: str = "results",
    cache: bool = True,
    dry_run: bool = False,
) -> Any:
    """Drop the rows of documents of old runs, whose summaries stay; and what is unused from the cache.

    Args:
        older_than: days since a run ended, or since an entry of the cache was used; at least one.
        results_dir: directory of the runs.
        cache: also clean the cache of this machine; while a run has the machine it is left for the next
            time.
        dry_run: only say what would be dropped.
    """
    log, age = get_run_logger(), timedelta(days=older_than)
    try:
        pruned = prune(Path(results_dir), age, dry_run=dry_run)
    except UserError as error:
        return failed(error)
    if cache:
        try:
            pruned += prune_cache(age, dry_run=dry_run)
        except UserError as error:
            log.warning("the cache is left for the next time: %s", error)
    for entry in pruned:
        log.info("%s", describe(entry))
    freed = sum(entry.freed for entry in pruned)
    return Completed(message=f"{'would free' if dry_run else 'freed'} {freed / 1e6:.1f} MB")


def describe(entry: Pruned) -> str:
    """What became of a run or an entry of the cache, in one line of plain text."""
    what = f"{entry.freed / 1e6:.1f} MB" if entry.kept is None else f"kept, {entry.kept}"
    return plain(f"{entry.run_id}: {what}")
