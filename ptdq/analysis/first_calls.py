"""What the first call of an input length costs more than later ones.

Some runtimes make kernels for each length of input that they meet. A process that serves for long pays
once for each, so this is no part of the steady times; it is kept apart from them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from ptdq.store.cell_rows import CellPlace, CellRows
from ptdq.store.rows import FirstCallRow

_CELL = ["variant", "max_length", "repeat", "core"]


def first_calls(run_id: str, predictions: CellRows) -> list[FirstCallRow]:
    """Rows of ``first_calls``; none where no first calls were made.

    Args:
        run_id: the run.
        predictions: rows of the timing cells. The first batch of a shape is called twice: first, as
            part of the warm-up, and later among the others.
    """
    if "first_of_shape" not in predictions.columns:
        return []
    both = pd.concat([_of_cell(predictions, cell) for cell in predictions.cells] or [pd.DataFrame()])
    if both.empty:
        return []
    rows: list[FirstCallRow] = []
    for (variant, length), calls in both.groupby(["variant", "max_length"], sort=True):
        rows.append(
            {
                "run_id": run_id,
                "variant": str(variant),
                "max_length": int(str(length)),
                "calls": len(calls),
                "first_ms": float(calls["forward_ns"].median()) / 1e6,
                "later_ms": float(calls["forward_ns_later"].median()) / 1e6,
                "extra_ms": float(calls["extra_ms"].median()),
                "process_ms": float(calls.groupby(_CELL)["extra_ms"].sum().median()),
            }
        )
    return rows


def _of_cell(predictions: CellRows, cell: CellPlace) -> pd.DataFrame:
    """The first calls of a cell, each with the later one of the same batch."""
    first = _rows(predictions, cell, lambda rows: rows["first_of_shape"].fill_null(False))
    ids = pa.array(first["doc_id"], pa.string())
    later = _rows(predictions, cell, lambda rows: pa.compute.is_in(rows["doc_id"], ids))
    both = first.merge(later[~later["warmup"].astype(bool)], on="doc_id", suffixes=("", "_later"))
    both["extra_ms"] = (both["forward_ns"] - both["forward_ns_later"]) / 1e6
    return both.assign(**{name: getattr(cell, name) for name in _CELL})


def _rows(
    predictions: CellRows, cell: CellPlace, wanted: Callable[[pa.Table], pa.ChunkedArray]
) -> pd.DataFrame:
    """Those rows of a cell, which are few, that are the first of their batch: they have its time."""
    columns = ["doc_id", "batch", "forward_ns", "warmup", "first_of_shape"]
    found, last = [], -1
    for piece in predictions.pieces(cell, columns, warmup=True):
        batch = piece["batch"].to_numpy()
        first = np.diff(batch, prepend=last) != 0
        last = int(batch[-1]) if len(batch) else last
        found.append(piece.filter(pa.array(first & wanted(piece).to_numpy())))
    frame: pd.DataFrame = pa.concat_tables(found).to_pandas()
    return frame
