"""Rounds that are added for a width: how many, and why no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ptdq.analysis.growth import Rounds
from ptdq.analysis.width import widths
from ptdq.measure.design import Cell, Design, design_frame, make_design
from ptdq.parameters import make_parameters
from ptdq.store import record
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.record_file import write_record
from ptdq.store.record_model import DesignPlan, RunRecord
from ptdq.store.tables import make_table, write_table
from tests.support.worlds import CALM, World, simulate

SPEEDS = {"fp32": 1.0, "int8": 2.0}
MOST = 16
SECONDS = 10.0
"""Wall time of a cell."""


class Measured:
    """A run whose cells are measured in a world; keeps what the rounds were told and said."""

    def __init__(self, directory: Path, world: World, documents: int = 40, **asked: object) -> None:
        self.files = RunFiles(directory / "run")
        self.files.cells.mkdir(parents=True)
        longest = make_design([*SPEEDS], [128], MOST, [0, 1], 0)
        rng = np.random.default_rng(5)
        self.times = simulate(design_frame(longest), world, rng, SPEEDS, documents=documents)
        design = make_design([*SPEEDS], [128], 4, [0, 1], 0)
        plan = DesignPlan.model_validate(design.as_json())
        write_record(self.files.record, RunRecord(design=plan))
        self.expected: list[Cell] = []
        self.said: list[str] = []
        values = {"model": "m", "data": "d.csv", "max_length": [128], "repeats": 4, **asked}
        self.rounds = Rounds(
            self.files, design, make_parameters(values), [*SPEEDS], self.expected.extend, self.said.append
        )

    def run(self) -> Design:
        """Measure list after list; the design at the end."""
        for queues in self.rounds:
            self.measure([cell for queue in queues for cell in queue])
        return self.rounds.design

    def measure(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            same = (self.times["variant"] == cell.variant) & (self.times["repeat"] == cell.repeat)
            rows: pd.DataFrame = self.times[same].assign(warmup=False, tokenize_ns=1000, tokens=9)
            rows = rows.assign(batch=range(len(rows)), doc_id=rows["doc_id"].astype(str))
            columns = ["variant", "max_length", "repeat", "core", "order", "doc_id", "batch", "tokens",
                       "tokenize_ns", "forward_ns", "warmup"]  # fmt: skip
            rows = rows.astype({"forward_ns": "int64"})[columns]
            facts = {"facts": {"wall_seconds": SECONDS}}
            made: list[dict[str, Any]] = [
                {str(k): v for k, v in row.items()} for row in rows.to_dict(orient="records")
            ]
            table = make_table("predictions", made, facts)
            write_table(self.files.cell(cell.cell_id), table)


def test_without_a_width_there_are_as_many_rounds_as_asked_for(tmp_path: Path) -> None:
    run = Measured(tmp_path, CALM)
    assert run.run().rounds == 4
    assert (run.said, record.read(run.files).width) == ([], None)


def test_blocks_of_rounds_are_added_until_the_interval_is_narrow(tmp_path: Path) -> None:
    target = 0.012
    run = Measured(tmp_path, CALM, target_width=target)
    design = run.run()
    shares = {
        rounds: widths(run.times[run.times["repeat"] < rounds], "fp32")[0].share
        for rounds in range(4, MOST + 1, 2)
    }
    first = next(rounds for rounds, share in shares.items() if share <= target)
    assert first > 4
    assert design.rounds == first
    # What was added is what the design of so many rounds has, and the record and the board know it.
    assert design.cells == make_design([*SPEEDS], [128], first, [0, 1], 0).cells
    assert record.read(run.files).design == DesignPlan.model_validate(design.as_json())
    assert {cell.repeat for cell in run.expected} == set(range(4, first))
    (said,) = run.said
    assert said == f"Every interval is at most ±{100 * shares[first]:.1f} % wide (asked for: ±1.2 %)."
    assert record.read(run.files).width == said


def test_no_block_begins_that_would_end_too_late(tmp_path: Path) -> None:
    # A block of two rounds on two cores takes two cells' time.
    run = Measured(tmp_path, CALM, target_width=0.012, max_minutes=2 * SECONDS / 60 - 0.01)
    assert run.run().rounds == 4
    (said,) = run.said
    assert "For int8 at 128 tokens the interval is ±" in said
    assert "the limit of 0.32" in said


def test_where_documents_are_too_few_rounds_are_not_added(tmp_path: Path) -> None:
    run = Measured(tmp_path, replace(CALM, interaction=0.3), target_width=0.02)
    assert run.run().rounds == 4
    (said,) = run.said
    assert "40 timed documents make the interval wider than that, however many rounds there are" in said
    needed = int(said.partition("more than ")[2].split()[0])
    assert needed > 40


def test_a_handful_of_documents_has_no_interval(tmp_path: Path) -> None:
    run = Measured(tmp_path, CALM, documents=8, target_width=0.02)
    assert run.run().rounds == 4
    assert "8 documents are too few" in run.said[0]


def test_cells_that_failed_end_it(tmp_path: Path) -> None:
    run = Measured(tmp_path, CALM, target_width=0.001)
    failed = run.rounds.design.cells[0]
    write_json(run.files.failure(failed.cell_id), {"error": "killed"})
    assert run.run().rounds == 4
    assert run.said == ["No rounds were added for the target width: cells failed."]


@pytest.mark.parametrize("share", ["5%", " 5 % ", 0.05])
def test_a_width_is_given_as_a_share(share: object) -> None:
    assert make_parameters({"model": "m", "data": "d", "target_width": share}).target_width == 0.05
