"""The task ``publish_run``."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ptdq.host.terminal import stage
from ptdq.orchestration.failures import plain_failure
from ptdq.store import published
from ptdq.store.layout import RunFiles


@task(
    name="publish_run",
    task_run_name="publish_run",
    cache_policy=NO_CACHE,
    retries=2,  # a store that is out of reach for a moment
    retry_delay_seconds=[2, 20],
)
@plain_failure
def publish(files: RunFiles, url: str) -> str:
    """Copy the finished run to another file system."""
    stage("copying the run")
    target = published.publish(files, url)
    get_run_logger().info("a copy of report and tables: %s", target)
    return target
