"""Cells that a run had finished before it goes on: those whose files are not what was written go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ptdq.errors import UserError, line_of
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table, table_metadata


def drop_damaged(files: RunFiles, say: Callable[[str], None]) -> None:
    """Remove the files of cells that are damaged, or another's: these cells are measured again.

    Each file is read to its end, and has to be of this run, of the cell whose name it has, and with a
    row for each document. Of one that is removed the record has a note.

    Args:
        files: of a run that is resumed, with its documents.
        say: told of each, and why.
    """
    for path in sorted(files.cells.glob("*.parquet")):
        reason = _damage(files, path)
        if reason is not None:
            path.unlink()
            text = f"cell {path.stem} is measured again: its file was damaged ({reason})"
            record.amend(files, note=text)
            say(text)


def _damage(files: RunFiles, path: Path) -> str | None:
    """Why a file is not the result of its cell; None where it is."""
    try:
        table = read_table(path)
        cell = table_metadata(table)["cell"]
        identity = (cell["run_id"], cell["cell_id"])
        expected = _documents(files, cell)
        rows = table.num_rows - pa.compute.sum(table["warmup"]).as_py()
    except UserError as error:
        return str(error).removeprefix(f"{path}: ")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return line_of(error)
    if identity != (files.run_id, path.stem):
        return f"it is of cell {identity[1]} of run {identity[0]}"
    if expected is not None and rows != expected:
        return f"it has {rows} documents of {expected}"
    return None


def _documents(files: RunFiles, cell: dict[str, Any]) -> int | None:
    """How many documents a cell evaluates, from the file that it reads; None where that is not there.

    By its name: the run's directory may have been moved.
    """
    known = {path.name: path for path in (files.table("documents"), files.timing_documents)}
    try:
        rows = pq.ParquetFile(known[Path(cell["documents"]).name]).metadata.num_rows
    except (OSError, pa.ArrowException):
        return None
    return int(rows if cell["limit"] is None else min(rows, cell["limit"]))
