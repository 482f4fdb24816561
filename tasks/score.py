"""The task ``score``: Prefect's view of :func:`tasks.shards.score_shard`.

A file of its own: the workers of a cluster import this, and not all that the benchmark needs.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.shards import ShardRequest, ShardResult, score_shard


@task(name="score", task_run_name="score shard {number}", cache_policy=NO_CACHE)
def score(request: ShardRequest, number: int) -> ShardResult:
    """Score one shard, unless that is done."""
    return score_shard(request, number)
