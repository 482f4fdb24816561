"""The task ``export_winner``."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from ptdq.export.release import release
from ptdq.host.terminal import stage
from ptdq.orchestration.failures import plain_failure
from ptdq.store.layout import RunFiles


@task(name="export_winner", task_run_name="export_winner {files.run_id}", cache_policy=NO_CACHE)
@plain_failure
def export_winner(files: RunFiles, publish_to: str) -> str:
    """Export what the run says to ship; gives where it is."""
    stage("exporting")
    return release(files, publish_to)
