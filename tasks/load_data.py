"""The task ``load_data``."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ptdq.host.memory import give_back
from ptdq.host.terminal import stage
from ptdq.inputs.documents import RawDocuments
from ptdq.inputs.load import read_data
from ptdq.orchestration.failures import plain_failure
from ptdq.orchestration.handed import Handed
from ptdq.parameters import Parameters


@task(name="load_data", task_run_name="load_data", cache_policy=NO_CACHE)
@plain_failure
def load_data(parameters: Parameters) -> Handed[RawDocuments]:
    """Read and check the labelled documents."""
    stage("reading the documents")
    raw = read_data(parameters)
    sampled = f", a stratified sample of {raw.sampled_from}" if raw.sampled_from else ""
    lines = f", from {raw.lines} lines" if raw.lines is not None else ""
    notes = "".join(f"; {note}" for note in raw.notes)
    get_run_logger().info("%s: %d documents%s%s%s", raw.name, len(raw.ids), sampled, lines, notes)
    give_back()
    return Handed(raw)
