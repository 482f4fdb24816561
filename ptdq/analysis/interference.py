"""What a busy neighbour costs: the control's documents on its core, neighbour idle and busy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ptdq.analysis.arrays import Measured, read_measured
from ptdq.store.rows import InterferenceRow


def interference(control: pa.Table, predictions: pa.Table, run_id: str) -> list[InterferenceRow]:
    """Rows of ``interference``: the control's documents on its core, neighbour idle and neighbour busy.

    Nothing of a variant that had no round on that core: the core would be in the ratio.
    """
    rows: list[InterferenceRow] = []
    for variant, length in _variants_and_lengths(control):
        alone = read_measured(control, variant, length)
        if alone is None:
            continue
        on_core = predictions.filter(pa.compute.equal(predictions["core"], int(alone.cores[0])))
        busy = _same_documents(control, on_core, variant, length)
        if busy is None:
            continue
        solo, parallel = np.median(alone.times), np.median(busy.times)
        rows.append(
            {
                "run_id": run_id,
                "variant": variant,
                "max_length": length,
                "documents": alone.times.shape[1],
                "solo_p50_ms": float(solo) / 1e6,
                "parallel_p50_ms": float(parallel) / 1e6,
                "slowdown": float(parallel / solo),
            }
        )
    return rows


def _same_documents(
    control: pa.Table, predictions: pa.Table, variant: str, length: int
) -> Measured | None:
    at_length = control.filter(pa.compute.equal(control["max_length"], length))
    ids = pa.compute.unique(at_length["doc_id"])
    return read_measured(
        predictions.filter(pa.compute.is_in(predictions["doc_id"], ids)), variant, length
    )


def _variants_and_lengths(table: pa.Table) -> list[tuple[str, int]]:
    keys = table.select(["variant", "max_length"]).group_by(["variant", "max_length"]).aggregate([])
    return sorted(zip(keys["variant"].to_pylist(), keys["max_length"].to_pylist(), strict=True))
