"""The task ``make_demo``."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ptdq.demo import build
from ptdq.demo.build import DemoFiles
from ptdq.host.terminal import stage
from ptdq.orchestration.failures import plain_failure
from ptdq.store.cache import private_cache


@task(name="make_demo", cache_policy=NO_CACHE)
@plain_failure
def make_demo() -> DemoFiles:
    """The embedded default: corpus, tokenizer and a small BERT trained on it, made or found."""
    stage("making the demo (under a minute the first time)")
    files = build.make_demo(private_cache() / "demo")
    get_run_logger().info("accuracy of its float32 model on held-out documents: %.3f", files.accuracy)
    return files
