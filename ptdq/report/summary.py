"""``summary.json``: the answer of a run for programs that know neither Parquet nor Prefect.

Its fields are declared in ``tasks/summary.schema.json`` (JSON Schema, draft 2020-12). ``version``
changes when a field goes or changes its meaning; new fields may come at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptdq.analysis import tables
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import Row, Run, load

VERSION = 1

_COMPARISON = (
    "baseline", "variant", "max_length", "rounds", "documents",
    "speedup", "speedup_low", "speedup_high", "speedup_refused",
    "speedup_p95", "speedup_p95_low", "speedup_p95_high",
    "noise_floor", "latency_verdict", "confounded",
    "accuracy_difference", "accuracy_difference_low", "accuracy_difference_high",
    "f1_weighted_difference", "f1_weighted_difference_low", "f1_weighted_difference_high",
    "f1_ratio", "f1_ratio_low", "non_inferiority",
    "discordant_better", "discordant_worse", "mcnemar_p", "agreement",
)  # fmt: skip
_CHANGE = (
    "variant", "max_length", "speedup", "speedup_low", "speedup_high", "latency_verdict",
    "f1_difference", "mcnemar_p", "quality_verdict",
)  # fmt: skip


def summary_path(files: RunFiles) -> Path:
    """Where the summary of a run lies."""
    return files.directory / "summary.json"


def summary_schema() -> dict[str, Any]:
    """The JSON schema of the summary."""
    path = Path(__file__).with_name("summary.schema.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write_summary(files: RunFiles) -> Path:
    """Write ``summary.json`` from the run's tables and record.

    Raises:
        UserError: there is no ``run.json``, or a file is of a newer schema version.
    """
    write_json(summary_path(files), summarize(load(files)))
    return summary_path(files)


def summarize(run: Run) -> dict[str, Any]:
    """The summary of a run; None where something is not known or not claimed."""
    verdict = run.get("verdict", default={})
    machine = run.get("machine", default={})
    quality = None if run.quality else {"f1_weighted": None, "accuracy": None}
    return {
        "format": "ptdq-summary",
        "version": VERSION,
        "run_id": run.files.run_id,
        "status": run.get("status"),
        "started_at": run.get("started_at"),
        "ended_at": run.get("ended_at"),
        "command": run.get("command"),
        "git_commit": run.get("git_commit"),
        "verdict": _only(verdict, ("decision", "variant", "headline", "reasons")) if verdict else None,
        "gates": [
            _only(gate, ("name", "variant", "threshold", "value", "bound", "passed", "text"))
            for gate in run.get("gates", default=[])
        ],
        "model": _only(
            run.get("model", default={}),
            ("name", "revision", "digest", "architecture", "parameters", "random_weights"),
        ),
        "data": _only(
            run.get("data", default={}), ("path", "digest", "documents", "sampled_from", "synthetic")
        ),
        "machine": {
            **_only(machine, ("cpu", "flags", "memory_bytes", "system", "architecture", "node")),
            "cores": len(machine.get("cores_usable") or []),
            "cores_used": len(machine.get("cores") or []),
        },
        "isolation": run.get("design", "isolation"),
        "versions": dict(run.get("versions", default={})),
        "variants": [
            _only(row, ("variant", "digest", "artifact_bytes", "state_dict_bytes", "engine"))
            for row in _in_order(run, run.rows("variants"))
        ],
        "figures": [{**row, **(quality or {})} for row in tables.figures(run)],
        "comparisons": [_only(row, _COMPARISON) for row in tables.against_baseline(run)],
        "since": _since(run),
        "cells": {
            "finished": len(run.good),
            "failed": len(run.failed),
            "flagged": sum(bool(cell["flags"]) for cell in run.good),
        },
        "notes": list(run.get("notes", default=[])),
    }


def _only(row: Mapping[str, Any], names: Sequence[str]) -> Row:
    return {name: row.get(name) for name in names}


def _in_order(run: Run, rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: run.variants.index(row["variant"]))


def _since(run: Run) -> Row | None:
    """What changed since the run that is marked as the baseline."""
    found = run.get("baseline")
    if not found:
        return None
    return {
        "run_id": found.get("old"),
        "error": found.get("error"),
        "timings_refused": found.get("timings_refused"),
        "regressions": list(found.get("regressions") or []),
        "changes": [_only(row, _CHANGE) for row in found.get("changes") or []],
    }
