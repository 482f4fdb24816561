"""The task ``aggregate``."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from ptdq.analysis.conclude import conclude
from ptdq.analysis.question import Question
from ptdq.host.memory import give_back
from ptdq.host.terminal import stage
from ptdq.measure.design import Design
from ptdq.orchestration.failures import plain_failure
from ptdq.store.layout import RunFiles
from ptdq.variants.preparation import PreparedVariant


@task(name="aggregate", task_run_name="aggregate", cache_policy=NO_CACHE)
@plain_failure
def aggregate(
    files: RunFiles, design: Design, prepared: Mapping[str, PreparedVariant], question: Question
) -> None:
    """Tables, comparisons, gates and verdict from the files of the cells."""
    stage("comparing")
    give_back()  # what reading the data and planning left: this is the largest stage of a run
    conclude(files, design, prepared, question)
    give_back()
