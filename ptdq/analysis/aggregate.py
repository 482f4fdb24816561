"""From the files of the cells to the run's tables. Pure but for reading and writing files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ptdq.measure.cell import read_failure
from ptdq.measure.design import Cell, Design
from ptdq.measure.watch import clock_flags
from ptdq.statistics import drift, quality, summary
from ptdq.store.layout import RunFiles
from ptdq.store.schema import READ_BACK
from ptdq.store.tables import make_table, read_table, table_metadata, write_table
from ptdq.variants.preparation import PreparedVariant

_TIMES = ("started_at", "ended_at")
# A core that others used for more than this share of a cell was not the cell's own.
FOREIGN_SHARE = 0.05
STEAL_SHARE = 0.02


def write_cell_tables(
    files: RunFiles,
    design: Design,
    class_names: Sequence[str],
    batch_size: int,
    claim_quality: bool,
) -> None:
    """Write ``predictions``, ``control``, ``cells`` and ``classes`` from the cells' files.

    Args:
        files: of the run.
        design: the cells that should be there; one without a result becomes a failed row.
        class_names: by class id.
        batch_size: documents in a batch.
        claim_quality: whether the labels say anything about the predictions (not with random
            weights).
    """
    tables: list[pa.Table] = []
    cells: list[dict[str, Any]] = []
    classes: list[dict[str, Any]] = []
    for cell in design.cells:
        key = {
            "run_id": files.run_id,
            "variant": cell.variant,
            "max_length": cell.max_length,
            "repeat": cell.repeat,
        }
        row = {**key, "core": cell.core, "order": cell.order, "batch_size": batch_size}
        path = files.cell(cell.cell_id)
        if not path.is_file():
            error = read_failure(files, cell) or "it was not run"
            cells.append({**row, "status": "failed", "error": error})
            continue
        table = read_table(path)
        tables.append(table)
        measured = table.filter(pa.compute.invert(table["warmup"]))
        row["kind"] = table["kind"][0].as_py()
        row |= {"status": "ok", "core": table["core"][0].as_py(), **_latencies(measured)}
        row["warmup_documents"] = table.num_rows - measured.num_rows
        facts = table_metadata(table)["facts"]
        row |= {name: facts[name] for name, _, _ in READ_BACK}
        row |= {name: datetime.fromisoformat(facts[name]) for name in _TIMES}
        row |= _course(table)
        row["flags"] = flags(row)
        if claim_quality:
            labels, predictions = (
                measured[name].to_numpy().astype(np.int64) for name in ("label", "prediction")
            )
            found = quality.measure(labels, predictions)
            row |= _quality_columns(found)
            classes += [
                {
                    **key,
                    "class_id": entry.label,
                    "class_name": class_names[entry.label],
                    "precision": entry.precision,
                    "recall": entry.recall,
                    "f1": entry.f1,
                    "support": entry.support,
                }
                for entry in found.classes
            ]
        cells.append(row)
    write_table(files.table("predictions"), _joined("predictions", tables))
    write_table(files.table("cells"), make_table("cells", cells))
    write_table(files.table("classes"), make_table("classes", classes))
    if design.control:
        found_control = _existing(files, design.control)
        write_table(files.table("control"), _joined("control", found_control))


def write_variants(files: RunFiles, prepared: dict[str, PreparedVariant]) -> None:
    """Write ``variants``: what was prepared, and how large it is."""
    rows = [
        {
            "run_id": files.run_id,
            "variant": name,
            "digest": entry.artifact.digest,
            "artifact_bytes": entry.artifact.size_bytes,
            "state_dict_bytes": entry.artifact.state_dict_bytes,
            "converted": entry.artifact.converted,
            "kept_float": entry.artifact.kept_float,
            "engine": entry.artifact.settings.engine,
            "prepare_seconds": entry.artifact.prepare_seconds,
            "cached": entry.cached,
            "details": _json(entry.artifact.details),
        }
        for name, entry in prepared.items()
    ]
    write_table(files.table("variants"), make_table("variants", rows))


def flags(row: dict[str, Any]) -> list[str]:
    """What was out of line while a cell ran, in words.

    Args:
        row: of the table ``cells``.
    """
    found = []
    seconds = row["measure_seconds"]
    steal, other = row["steal_seconds"], row["other_seconds"]
    if not row["pinned"]:
        found.append("not pinned: this system has no affinity call")
    if steal is not None and steal > STEAL_SHARE * seconds:
        found.append(f"the hypervisor took {steal / seconds:.0%} of the core's time")
    # Counters of a core move in hundredths of a second.
    if other is not None and other > max(FOREIGN_SHARE * seconds, 0.1):
        found.append(f"others used the core for {other / seconds:.0%} of the time")
    if row["throttle_count"]:
        found.append(f"the core was throttled {row['throttle_count']} times")
    before, after = row["frequency_mhz_before"], row["frequency_mhz_after"]
    if before and after and abs(np.log(after / before)) > 0.1:
        found.append(f"the clock went from {before:.0f} to {after:.0f} MHz")
    if row.get("step_at") is not None:
        ratio = row["step_ratio"]
        found.append(f"times shift by a factor of {ratio:.2f} at document {row['step_at']}")
    found += clock_flags(row)
    if row.get("drift"):
        found.append(f"times still drift by {np.expm1(row['drift']):+.0%} at the end of the cell")
    return found


def batches(table: pa.Table) -> pa.Table:
    """The first row of each batch: a time is that of a whole batch, and counts once."""
    numbers = table["batch"].to_numpy()
    _, first = np.unique(numbers, return_index=True)
    return table.take(pa.array(np.sort(first)))


def _latencies(measured: pa.Table) -> dict[str, Any]:
    once = batches(measured)
    forward = once["forward_ns"].to_numpy().astype(np.float64)
    total = forward + once["tokenize_ns"].to_numpy()
    row: dict[str, Any] = {"documents": measured.num_rows}
    for prefix, times in (("forward", forward), ("total", total)):
        latency = summary.summarize(times)
        for name in ("mean", "p50", "p90", "p95", "p99", "max"):
            row[f"{prefix}_{name}_ms"] = getattr(latency, f"{name}_ms")
    row["documents_per_second"] = measured.num_rows / (total.sum() / 1e9)
    return row


def _course(table: pa.Table) -> dict[str, Any]:
    """How the times went over the cell, warm-up included: first documents, drift, a step."""
    once = batches(table)
    times = once["forward_ns"].to_numpy().astype(np.float64)
    tokens = once["tokens"].to_numpy().astype(np.float64)
    measured = ~once["warmup"].to_numpy(zero_copy_only=False).astype(bool)
    count = int(measured.sum())
    if count < drift.MIN_DOCUMENTS:
        return {}  # too few to tell
    warm = drift.warm_up(times, tokens)
    step = drift.find_step(times[measured], tokens[measured])
    # Whether it still drifts at its end, if the end is long enough to tell.
    last = 0.5 if count >= 2 * drift.MIN_DOCUMENTS else 1.0
    trend = drift.find_trend(times[measured], tokens[measured], last=last)
    return {
        "warmup_suggested": warm.documents,
        "drift": float(np.log(trend.ratio)) if trend.found else 0.0,
        "step_at": step.location if step.found else None,
        "step_ratio": step.ratio if step.found else None,
    }


def _quality_columns(found: quality.Quality) -> dict[str, float]:
    return {
        "accuracy": found.accuracy,
        "precision_macro": found.macro_precision,
        "recall_macro": found.macro_recall,
        "f1_macro": found.macro_f1,
        "precision_weighted": found.weighted_precision,
        "recall_weighted": found.weighted_recall,
        "f1_weighted": found.weighted_f1,
    }


def _existing(files: RunFiles, cells: Iterable[Cell]) -> list[pa.Table]:
    paths = [files.cell(cell.cell_id) for cell in cells]
    return [read_table(path) for path in paths if path.is_file()]


def _joined(name: str, tables: list[pa.Table]) -> pa.Table:
    empty = make_table(name, [])
    # The cells' own metadata stays in their files.
    return pa.concat_tables([empty, *(t.replace_schema_metadata(empty.schema.metadata) for t in tables)])


def _json(value: dict[str, Any]) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, sort_keys=True)


__all__ = ["batches", "flags", "write_cell_tables", "write_variants"]
