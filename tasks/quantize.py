"""The task ``quantize``."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ptdq.host.terminal import stage
from ptdq.inputs.load import Loaded
from ptdq.orchestration.failures import plain_failure
from ptdq.variants.base import Settings
from ptdq.variants.preparation import PreparedVariant, Terms, preparation_log, prepare_variant


@task(name="quantize", task_run_name="quantize {variant}", cache_policy=NO_CACHE)
@plain_failure
def quantize(loaded: Loaded, settings: Settings, variant: str, terms: Terms) -> PreparedVariant:
    """The variant's artifact, from the cache or made in a process of its own."""
    stage("preparing the variants")
    prepared = prepare_variant(
        variant,
        loaded.checkpoint,
        settings,
        loaded.calibration,
        preparation_log(variant),
        terms,
    )
    artifact = prepared.artifact
    get_run_logger().info(
        "%s: %.1f MB, %d modules converted, %s",
        variant,
        artifact.size_bytes / 1e6,
        len(artifact.converted),
        "from the cache" if prepared.cached else f"prepared in {artifact.prepare_seconds:.1f} s",
    )
    for note in artifact.details.get("notes", []):
        get_run_logger().warning("%s: %s", variant, note)
    return prepared
