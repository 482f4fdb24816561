"""The task ``report``."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from ptdq.host.terminal import stage
from ptdq.orchestration.artifacts import publish_run
from ptdq.orchestration.events import emit_verdict
from ptdq.orchestration.failures import plain_failure, server_away
from ptdq.report import build_report
from ptdq.report.summary import write_summary
from ptdq.store.layout import RunFiles


@task(
    name="report",
    task_run_name="report",
    cache_policy=NO_CACHE,
    # A server that is restarted is back in a minute or two; the report's file is written by then.
    retries=5,
    retry_delay_seconds=[5, 10, 20, 40, 80],
    retry_condition_fn=server_away,
)
@plain_failure
def report(files: RunFiles) -> Path:
    """Write the report, publish the artifacts and emit the events."""
    stage("writing the report")
    write_summary(files)
    written = build_report(files)
    publish_run(files, written.markdown_inlined)
    emit_verdict(files)
    return written.path
