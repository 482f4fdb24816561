"""What the first call of an input length costs more than later ones.

Some runtimes make kernels for each length of input that they meet. A process that serves for long pays
once for each, so this is no part of the steady times; it is kept apart from them.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from ptdq.store.rows import FirstCallRow

_CELL = ["variant", "max_length", "repeat", "core"]


def first_calls(run_id: str, predictions: pa.Table) -> list[FirstCallRow]:
    """Rows of ``first_calls``; none where no first calls were made.

    Args:
        run_id: the run.
        predictions: rows of the timing cells. The first batch of a shape is called twice: first, as
            part of the warm-up, and later among the others.
    """
    if "first_of_shape" not in predictions.column_names:
        return []
    columns = [*_CELL, "doc_id", "position", "batch", "forward_ns", "warmup", "first_of_shape"]
    frame: pd.DataFrame = predictions.select(columns).to_pandas()
    # The time of a batch is in the row of its first document.
    frame = frame.sort_values("position").drop_duplicates([*_CELL, "batch"])
    first = frame[frame["first_of_shape"].fillna(False).astype(bool)]
    later = frame[~frame["warmup"].astype(bool)]
    both = first.merge(later, on=[*_CELL, "doc_id"], suffixes=("", "_later"))
    both["extra_ms"] = (both["forward_ns"] - both["forward_ns_later"]) / 1e6
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
