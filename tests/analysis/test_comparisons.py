"""From tables to comparisons."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptdq.analysis.interference import interference
from ptdq.store.cell_rows import CellRows
from ptdq.store.rows import InterferenceRow
from ptdq.store.tables import make_table, write_table
from tests.support.factory import Factory

SLOWER_CORE, BUSY = 3.0, 1.25


def planted(directory: Path, repeats: int) -> list[InterferenceRow]:
    """Interference where core 1 is slow and a busy neighbour costs a quarter, both without noise."""
    made = Factory(directory, lengths=[128], repeats=repeats)
    busy = made.tables["predictions"]
    for row in busy:
        row["forward_ns"] = int(1e6 * row["tokens"] * (SLOWER_CORE if row["core"] else 1) * BUSY)
    # The control: each variant once, on core 0, a third of the documents.
    few = set(made.ids[::3])
    control = [
        {**row, "core": 0, "forward_ns": int(1e6 * row["tokens"])}
        for row in busy
        if row["repeat"] == 0 and row["doc_id"] in few
    ]
    tables = {"control": control, "predictions": busy}
    for name, rows in tables.items():
        write_table(made.files.table(name), make_table(name, rows))
    in_control, beside = (CellRows(made.files.table(name)) for name in tables)
    return interference(in_control, beside, "r")


def test_interference_is_that_of_the_controls_core_alone(tmp_path: Path) -> None:
    found = planted(tmp_path / "r", repeats=5)
    assert [row["variant"] for row in found] == ["fp32", "int8-dynamic"]
    for row in found:
        assert row["slowdown"] == pytest.approx(BUSY)
        assert row["documents"] == 20


def test_a_variant_that_was_not_on_the_controls_core_has_no_interference(tmp_path: Path) -> None:
    found = planted(tmp_path / "r", repeats=1)
    assert [row["variant"] for row in found] == ["fp32"]
