"""What the runs of a matrix left, as one table.

A machine is a deployment of the benchmark: all workers of its work pool are to be alike, and the report
says where they are not (:mod:`ptdq.report.machines`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ptdq.analysis import tables
from ptdq.errors import RunFailed, UserError
from ptdq.matrix.plan import Child
from ptdq.store.layout import MatrixFiles, RunFiles
from ptdq.store.rows import VariantRow
from ptdq.store.rows_beyond import MatrixRow
from ptdq.store.run import Run, load
from ptdq.store.schema import merge
from ptdq.store.tables import make_table, write_table
from ptdq.variant_names import is_earlier


def collect(files: MatrixFiles, errors: Mapping[Child, str | None]) -> list[MatrixRow]:
    """Rows of the table ``matrix``, which is written: one for each variant of each run.

    Args:
        files: of the matrix.
        errors: each run, and why it failed; None where it did not. A run that failed after it was
            measured (a gate, a single cell) has its figures and its reason.
    """
    rows: list[MatrixRow] = []
    for child, error in errors.items():
        key: MatrixRow = {
            "matrix_id": files.matrix_id,
            "machine": child.machine,
            "model": child.model,
            "max_length": child.max_length,
            "run_id": child.run_id,
        }
        figures: list[MatrixRow] = []
        facts: MatrixRow = {}
        try:
            run = load(RunFiles(files.runs / child.run_id))
            figures, facts = _figures(run), _facts(run)
        except UserError as problem:
            error = error or f"it left no run: {problem}"
        if not figures and error is None:
            error = "it has no figures yet"
        outcome: MatrixRow = {"status": "ok" if error is None else "failed", "error": error}
        rows += [merge(MatrixRow, key, outcome, facts, row) for row in figures or [{}]]
    write_table(files.table, make_table("matrix", rows))
    return cast(list[MatrixRow], make_table("matrix", rows).to_pylist())


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


def _facts(run: Run) -> MatrixRow:
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


def _figures(run: Run) -> list[MatrixRow]:
    compared = {row["variant"]: row for row in tables.against_baseline(run)}
    sizes = {row["variant"]: row["artifact_bytes"] for row in run.rows(VariantRow)}
    rows = []
    for figures in tables.figures(run):
        if is_earlier(figures["variant"]):
            continue
        row: MatrixRow = {
            "variant": figures["variant"],
            "rounds": figures["rounds"],
            "forward_p50_ms": figures["forward_p50_ms"],
            "forward_p95_ms": figures["forward_p95_ms"],
            "total_mean_ms": figures["total_mean_ms"],
            "documents_per_second": figures["documents_per_second"],
            "f1_weighted": figures.get("f1_weighted"),
            "accuracy": figures.get("accuracy"),
            "artifact_bytes": sizes.get(figures["variant"]),
        }
        if (pair := compared.get(figures["variant"])) is not None:
            row.update(
                {
                    "speedup": pair["speedup"],
                    "speedup_low": pair["speedup_low"],
                    "speedup_high": pair["speedup_high"],
                    "speedup_refused": pair["speedup_refused"],
                    "speedup_total": pair["speedup_total"],
                    "speedup_total_low": pair["speedup_total_low"],
                    "speedup_total_high": pair["speedup_total_high"],
                    "total_verdict": pair["total_verdict"],
                    "confounded": pair["confounded"],
                    "noise_floor": pair["noise_floor"],
                    "latency_verdict": pair["latency_verdict"],
                    "f1_weighted_difference": pair["f1_weighted_difference"],
                    "f1_weighted_difference_low": pair["f1_weighted_difference_low"],
                    "f1_weighted_difference_high": pair["f1_weighted_difference_high"],
                    "non_inferiority": pair["non_inferiority"],
                    "documents": pair["documents"],
                    "documents_needed": pair["documents_needed"],
                }
            )
        rows.append(row)
    return rows
