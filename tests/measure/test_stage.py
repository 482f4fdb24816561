"""The stage that measures: which documents a cell takes, and what becomes of a run that stops early."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ptdq.errors import RunFailed
from ptdq.host.clock import TimeLimit
from ptdq.measure.design import Cell, Design, make_design
from ptdq.measure.progress import Board, Done, Progress
from ptdq.measure.stage import Stage
from ptdq.store.layout import RunFiles


class Shown(Progress):
    """Keeps what it is to show."""

    def __init__(self) -> None:
        self.last = Done(0, 0, 0, 0)
        self.closed = False

    def show(self, done: Done) -> None:
        self.last = done

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def design() -> Design:
    design = make_design(["fp32", "int8"], [16], repeats=2, cores=[0, 1], seed=0)
    return design.with_control(["fp32", "int8"], [16])


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    files = RunFiles(tmp_path / "run")
    files.cells.mkdir(parents=True)
    return Stage(
        files=files,
        artifacts={},
        documents=files.table("documents"),
        count=40,
        timing_documents=files.timing_documents,
        timing_count=10,
        control_documents=4,
        batch_size=1,
        warmup=0,
        timeout=60,
    )


def test_cells_of_a_kind_take_the_documents_for_it(stage: Stage, design: Design) -> None:
    design = design.with_quality(["fp32", "int8"], [16])
    assert {stage.documents_of(cell) for cell in design.cells} == {10}
    assert {stage.documents_of(cell) for cell in design.control} == {4}
    assert {stage.documents_of(cell) for cell in design.judged} == {40}
    shown = Shown()
    with pytest.raises(KeyError), stage.progress(design, shown) as board:
        fail_at(board, design.control[0], design.cells[0], 30)
    assert shown.last == Done(30 + 4, 4 * 10 + 2 * 4 + 2 * 40, 1, 8)
    assert shown.closed


def test_lists_of_queues_run_one_after_the_other(stage: Stage, design: Design) -> None:
    order: list[str] = []

    def measure(cell: Cell) -> None:
        order.append(cell.cell_id)

    with ThreadPoolExecutor() as pool:
        rounds = ([design.control], design.queues)
        assert stage.run(rounds, lambda cell: pool.submit(measure, cell), TimeLimit(None)) is None
        # Again, with what is to follow.
        assert (
            stage.run([design.queues], lambda cell: pool.submit(measure, cell), TimeLimit(None)) is None
        )
    control = [cell.cell_id for cell in design.control]
    assert order[: len(control)] == control
    assert sorted(order[len(control) :]) == sorted(2 * [cell.cell_id for cell in design.cells])


@pytest.mark.parametrize("finished", [{"fp32"}, {"fp32", "int8"}])
def test_a_run_that_stops_early_is_reported_if_two_variants_compare(
    stage: Stage, design: Design, finished: set[str]
) -> None:
    for cell in design.control:
        stage.files.cell(cell.cell_id).touch()  # the control compares nothing
    limit = TimeLimit(0.2)
    limit.start()
    hanging: list[Future[None]] = []

    def start(cell: Cell) -> Future[None]:
        future: Future[None] = Future()
        if cell.variant in finished and cell.repeat == 0:
            stage.files.cell(cell.cell_id).touch()
            future.set_result(None)
        else:
            hanging.append(future)
            future.set_running_or_notify_cancel()
            # As when the child was killed: it ends, without a result.
            ThreadPoolExecutor(1).submit(end_late, limit, future)
        return future

    if len(finished) == 2:
        stopped = stage.run([design.queues], start, limit)
        assert "exceeded its time limit (0.2 s)" in str(stopped)
    else:
        with pytest.raises(RunFailed, match=r"exceeded its time limit \(0.2 s\)"):
            stage.run([design.queues], start, limit)
    assert all(future.done() for future in hanging)


def end_late(limit: TimeLimit, future: Future[None]) -> None:
    """End a future once the limit is over."""
    limit_over(limit)
    future.set_result(None)


def fail_at(board: Board, ended: Cell, cell: Cell, documents: int) -> None:
    """Report the end of a cell and so many documents of another, and fail."""
    board.end(ended.cell_id)
    board.reporter(cell.cell_id)(documents)
    raise KeyError


def limit_over(limit: TimeLimit) -> None:
    """Wait until the limit is exceeded, and somebody has noticed."""
    import time

    time.sleep((limit.left or 0) + 0.3)
