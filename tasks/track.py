"""The task ``track_run``."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ptdq import tracking
from ptdq.host.terminal import stage
from ptdq.orchestration.failures import plain_failure
from ptdq.store.layout import RunFiles


@task(name="track_run", task_run_name="track_run", cache_policy=NO_CACHE)
@plain_failure
def track(files: RunFiles, tracker: str) -> str:
    """Give the finished run to the tracker that the parameters name."""
    stage("tracking the run")
    place = tracking.track(files, tracker)
    get_run_logger().info("%s", place)
    return place
