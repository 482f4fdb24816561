"""What a busy neighbour costs: the control's documents on its core, neighbour idle and busy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ptdq.analysis.arrays import Times, read_times
from ptdq.store.cell_rows import CellRows
from ptdq.store.rows import InterferenceRow


def interference(control: CellRows, predictions: CellRows, run_id: str) -> list[InterferenceRow]:
    """Rows of ``interference``: the control's documents on its core, neighbour idle and neighbour busy.

    Nothing of a variant that had no round on that core: the core would be in the ratio.
    """
    rows: list[InterferenceRow] = []
    for variant, length in sorted({(cell.variant, cell.max_length) for cell in control.cells}):
        alone = read_times(control, variant, length)
        if alone is None:
            continue
        busy = _same_documents(control, predictions.on(int(alone.cores[0])), variant, length)
        if busy is None:
            continue
        solo, parallel = np.median(alone.in_order), np.median(busy.in_order)
        rows.append(
            {
                "run_id": run_id,
                "variant": variant,
                "max_length": length,
                "documents": alone.in_order.shape[1],
                "solo_p50_ms": float(solo) / 1e6,
                "parallel_p50_ms": float(parallel) / 1e6,
                "slowdown": float(parallel / solo),
            }
        )
    return rows


def _same_documents(control: CellRows, on_core: CellRows, variant: str, length: int) -> Times | None:
    cells = [cell for cell in control.cells if cell.max_length == length]
    ids = [control.read(cell, ["doc_id"], warmup=True)["doc_id"] for cell in cells]
    wanted = pa.chunked_array([chunk for each in ids for chunk in each.chunks]).unique()
    return read_times(on_core, variant, length, wanted)
