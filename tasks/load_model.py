"""The task ``load_model``."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ptdq.host.terminal import stage
from ptdq.inputs.documents import RawDocuments
from ptdq.inputs.load import Loaded, read_model
from ptdq.orchestration.failures import plain_failure
from ptdq.orchestration.handed import Handed
from ptdq.parameters import Parameters


@task(name="load_model", task_run_name="load_model", cache_policy=NO_CACHE)
@plain_failure
def load_model(parameters: Parameters, raw: Handed[RawDocuments]) -> Loaded:
    """Find, check and normalize the model; match the labels of the data to its classes."""
    stage("reading the model")
    loaded = read_model(parameters, raw.value)
    checkpoint = loaded.checkpoint
    get_run_logger().info(
        "%s: %s, %.1f million parameters, classes %s",
        checkpoint.name,
        checkpoint.architecture,
        checkpoint.parameters / 1e6,
        ", ".join(checkpoint.class_names),
    )
    if loaded.warning is not None:
        get_run_logger().warning(loaded.warning)
    return loaded
