"""The task ``evaluate``."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from ptdq.measure.cell import Outcome
from ptdq.measure.design import Cell
from ptdq.measure.progress import Board
from ptdq.measure.stage import Stage
from ptdq.orchestration.failures import plain_failure


@task(name="evaluate", task_run_name="evaluate {cell.title}", cache_policy=NO_CACHE)
@plain_failure
def evaluate(cell: Cell, stage: Stage, board: Board) -> Outcome:
    """Measure one cell in a fresh process on its core."""
    try:
        return stage.measure(cell, board.reporter(cell.cell_id))
    finally:
        board.end(cell.cell_id)
