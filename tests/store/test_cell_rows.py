"""Rows of the documents, read a cell at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptdq.errors import UserError
from ptdq.store.cell_rows import CellPlace, CellRows
from ptdq.store.tables import make_table_of_columns, read_pieces, read_table, writing

KINDS = {"quality": -1, "timing": 0}


def piece(variant: str, kind: str | None, core: int, documents: int = 5) -> pa.Table:
    """Rows of a cell, the first of which is warm-up."""
    place = np.arange(documents)
    columns: dict[str, Any] = {
        "run_id": "r", "variant": variant, "max_length": 16, "repeat": KINDS.get(str(kind), 0),
        "kind": kind, "core": core, "order": 0, "doc_id": [f"{kind}{n}" for n in place],
        "position": place, "batch": place, "warmup": place == 0, "forward_ns": place + 100 * core,
    }  # fmt: skip
    return make_table_of_columns("predictions", columns, {"cell": {}})


def write(path: Path, pieces: list[pa.Table], together: bool) -> CellRows:
    with writing(path, "predictions") as add:
        for each in [pa.concat_tables(pieces)] if together else pieces:
            add(each)
    return CellRows(path)


@pytest.mark.parametrize("together", [True, False], ids=["one row group", "a row group each"])
def test_a_cell_is_read_alone(tmp_path: Path, together: bool) -> None:
    pieces = [piece("b", "quality", 0), piece("b", "timing", 1), piece("a", "timing", 0)]
    path = tmp_path / "predictions.parquet"
    rows = write(path, pieces, together)
    assert pq.ParquetFile(path).num_row_groups == (1 if together else 3)
    assert rows.variants == ["b", "a"]
    assert rows.cells == [CellPlace("b", 16, 0, 1), CellPlace("a", 16, 0, 0)]
    assert rows.read(rows.cells[0], ["forward_ns", "none"]).to_pydict() == {
        "forward_ns": [101, 102, 103, 104]
    }
    assert rows.read(rows.cells[1], ["forward_ns"], warmup=True).num_rows == 5
    (judged,) = CellRows(path, "quality").cells
    assert judged == CellPlace("b", 16, -1, 0)
    assert CellRows(path, "quality").read(judged, ["doc_id"])["doc_id"][0].as_py() == "quality1"
    assert rows.on(0).cells == [CellPlace("a", 16, 0, 0)]


def test_cells_of_no_kind_are_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    rows = write(path, [piece("a", None, 0)], together=False)
    assert rows.cells == CellRows(path, "quality").cells == [CellPlace("a", 16, 0, 0)]
    timed_only = write(path, [piece("a", "timing", 0)], together=False)
    assert CellRows(path, "quality").cells == timed_only.cells


def test_a_round_on_every_core_has_a_first_one(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "predictions.parquet", [piece("a", "timing", 1), piece("a", "timing", 0)], False
    )
    assert rows.of("a", 16) == [CellPlace("a", 16, 0, 0), CellPlace("a", 16, 0, 1)]
    assert rows.rounds("a", 16) == [CellPlace("a", 16, 0, 0)]


def test_pieces_are_the_table(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write(path, [piece("a", "timing", 0, documents=50)], together=True)
    pieces = list(read_pieces(path, rows=7))
    assert max(part.num_rows for part in pieces) == 7
    assert pa.concat_tables(pieces).equals(read_table(path))


def test_what_is_damaged_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    rows = write(path, [piece("a", "timing", 0, documents=500)], together=True)
    group = pq.read_metadata(path).row_group(0)
    names = [group.column(number).path_in_schema for number in range(group.num_columns)]
    times = group.column(names.index("forward_ns"))
    content = bytearray(path.read_bytes())
    content[times.data_page_offset + times.total_compressed_size - 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable Parquet file"):
        rows.read(rows.cells[0], ["doc_id", "forward_ns"])


def test_nothing_is_written_where_a_piece_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with writing(tmp_path / "predictions.parquet", "predictions") as add:
            add(piece("a", "timing", 0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []
