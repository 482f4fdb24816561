"""The task ``score``. The workers of a cluster import this, and not all that a benchmark needs."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from ptdq.evaluation.shards import ShardRequest, ShardResult, score_shard
from ptdq.orchestration.failures import plain_failure


@task(name="score", task_run_name="score shard {number}", cache_policy=NO_CACHE)
@plain_failure
def score(request: ShardRequest, number: int) -> ShardResult:
    """The result of one shard, scored unless that is done."""
    return score_shard(request, number)
