"""What the runs of a matrix left, as one table.

A machine is a deployment of the benchmark: all workers of its work pool are to be alike, and the report
says where they are not (:mod:`ptdq.report.machines`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ptdq.analysis import tables
from ptdq.errors import RunFailed, UserError
from ptdq.matrix.plan import Child
from ptdq.store.layout import MatrixFiles, RunFiles
from ptdq.store.run import Row, Run, load
from ptdq.store.tables import make_table, write_table

_COMPARED = (
    "speedup", "speedup_low", "speedup_high", "speedup_refused", "noise_floor", "latency_verdict",
    "f1_weighted_difference", "f1_weighted_difference_low", "f1_weighted_difference_high",
    "non_inferiority",
)  # fmt: skip
_MEASURED = (
    "variant", "rounds", "forward_p50_ms", "forward_p95_ms", "total_mean_ms", "documents_per_second",
)  # fmt: skip


def collect(files: MatrixFiles, errors: Mapping[Child, str | None]) -> list[Row]:
    """Rows of the table ``matrix``, which is written: one for each variant of each run.

    Args:
        files: of the matrix.
        errors: each run, and why it failed; None where it did not. A run that failed after it was
            measured (a gate, a single cell) has its figures and its reason.
    """
    rows: list[Row] = []
    for child, error in errors.items():
        key = {
            "matrix_id": files.matrix_id,
            "machine": child.machine,
            "model": child.model,
            "max_length": child.max_length,
            "run_id": child.run_id,
        }
        try:
            run = load(RunFiles(files.runs / child.run_id))
            found = _figures(run) or [{}]
            facts = _facts(run)
        except UserError as problem:
            found, facts, error = [{}], {}, error or f"it left no run: {problem}"
        if found == [{}] and error is None:
            error = "it has not come to its figures"
        outcome = {"status": "ok" if error is None else "failed", "error": error}
        rows += [{**key, **outcome, **facts, **figures} for figures in found]
    write_table(files.table, make_table("matrix", rows))
    return make_table("matrix", rows).to_pylist()  # type: ignore[no-any-return]


def check_runs(files: MatrixFiles, errors: Mapping[Child, str | None]) -> None:
    """Raises RunFailed where runs failed; the report has them, and the others."""
    failed = {child: error for child, error in errors.items() if error is not None}
    if failed:
        child, first = next(iter(failed.items()))
        raise RunFailed(
            f"{len(failed)} of {len(errors)} runs failed, first {child}: {first}; "
            f"the others are in {files.report}",
            str(files.directory),
        )


def _facts(run: Run) -> Row:
    """The machine, as the run has found it."""
    machine = run.record.machine
    return {
        "cpu": machine.cpu,
        "flags": machine.flags,
        "memory_bytes": machine.memory_bytes,
        "system": machine.system,
        "node": machine.node,
        "cores": len(machine.cores or []) or None,
        "cores_usable": len(machine.cores_usable or []) or None,
        "isolation": run.record.design.isolation,
        "cells_flagged": sum(bool(cell["flags"]) for cell in run.good),
    }


def _figures(run: Run) -> list[Row]:
    compared = {row["variant"]: row for row in tables.against_baseline(run)}
    sizes = {row["variant"]: row["artifact_bytes"] for row in run.rows("variants")}
    rows = []
    for figures in tables.figures(run):
        versus = compared.get(figures["variant"], {})
        rows.append(
            {
                **{name: figures[name] for name in _MEASURED},
                **{name: figures.get(name) for name in ("f1_weighted", "accuracy")},
                **{name: versus.get(name) for name in _COMPARED},
                "artifact_bytes": sizes.get(figures["variant"]),
            }
        )
    return rows
