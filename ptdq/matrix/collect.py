"""A matrix of runs, models × lengths × machines: which runs it takes, and one table of what they left.

A machine is a deployment of the benchmark: all workers of its work pool are to be alike, and the report
says where they are not (:mod:`ptdq.report.machines`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ptdq.analysis import tables
from ptdq.errors import UserError
from ptdq.store.disk import digest_of, read_json
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


@dataclass(frozen=True)
class Child:
    """One run of the matrix: every variant of a model, at one length, on one machine."""

    machine: str
    model: str
    max_length: int

    @property
    def run_id(self) -> str:
        """The same whenever the matrix is run again, so that it can be gone on with."""
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{self.machine[:30]}-{Path(self.model).name[-40:]}")
        return f"{slug.strip('-_')}-L{self.max_length}-{digest_of([self.machine, self.model])[:6]}"


def plan(machines: Sequence[str], models: Sequence[str], lengths: Sequence[int]) -> list[Child]:
    """All runs; each machine gets its own in the same order."""
    return [Child(*found) for found in product(machines, models, lengths)]


def status(files: RunFiles) -> str | None:
    """How far a run has come, from its record; None where there is none."""
    return str(read_json(files.record)["status"]) if files.record.is_file() else None


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


def _facts(run: Run) -> Row:
    """The machine, as the run has found it."""
    machine: Mapping[str, Any] = run.get("machine", default={})
    names = ("cpu", "flags", "memory_bytes", "system", "node")
    return {
        **{name: machine.get(name) for name in names},
        "cores": len(machine.get("cores") or []) or None,
        "cores_usable": len(machine.get("cores_usable") or []) or None,
        "isolation": run.get("design", "isolation"),
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
