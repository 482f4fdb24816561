"""The task ``score``: Prefect's view of :func:`ptdq.evaluation.shards.score_shard`.

A file of its own: the workers of a cluster import this, and not all that the benchmark needs.
"""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from ptdq.errors import disk_full
from ptdq.evaluation.shards import ShardRequest, score_shard


@task(name="score", task_run_name="score shard {number}", cache_policy=NO_CACHE)
def score(request: ShardRequest, number: int) -> Any:
    """The :class:`ShardResult` of one shard, scored unless that is done."""
    try:
        return score_shard(request, number)
    except OSError as error:
        full = disk_full(error)
        if full is None:
            raise
        return Failed(message=str(full), data=full)  # a Failed state has no traceback
