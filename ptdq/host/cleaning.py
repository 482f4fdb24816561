"""Cleaning the cache of this machine, while no run of this machine can be using it."""

from __future__ import annotations

from datetime import datetime, timedelta

from ptdq.host.lock import MachineLock
from ptdq.store.prune import Pruned, drop_unused


def prune_cache(
    older_than: timedelta, *, dry_run: bool = False, now: datetime | None = None
) -> list[Pruned]:
    """Drop models, documents and artifacts that no run has used for so long, and for a day at least.

    The machine's lock is held meanwhile, so that no run of this machine is in the middle of using one;
    an evaluation on a cluster does not take it, and may find an entry gone that it has used for longer.

    Raises:
        UserError: a run is using the machine.
    """
    with MachineLock() as lock:
        lock.acquire("ptdq prune --cache", max_wait=0)
        return drop_unused(older_than, dry_run=dry_run, now=now)
