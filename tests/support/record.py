"""The record of a made-up run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptdq.store.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from tests.support.factory import Factory


def record(run: Factory, synthetic: bool) -> dict[str, Any]:
    """What ``run.json`` of the made-up run holds."""
    cells = [
        {k: c[k] for k in ("variant", "max_length", "repeat", "core", "order")}
        | {"cell_id": f"{c['variant']}-{c['max_length']}-{c['repeat']}"}
        for c in run.tables["cells"]
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "command": f"ptdq run --model checkpoint --data test.csv --repeats {run.repeats}",
        "parameters": {
            "model": "checkpoint",
            "data": "test.csv",
            "max_length": run.lengths,
            "variant": run.variants,
            "repeats": run.repeats,
            "batch_size": 1,
            "seed": 20,
            "isolation": "parallel",
            "margin": 0.99,
        },
        "model": {
            "name": "checkpoint",
            "revision": None,
            "digest": "0123456789abcdef" * 4,
            "architecture": "BertForSequenceClassification",
            "labels": run.names,
            "parameters": 102_271_493,
            "max_positions": 512,
            "random_weights": run.random_weights,
            "multiply_adds_per_length": {str(n): 85_000_000 * n for n in run.lengths},
        },
        "data": {
            "path": "test.csv",
            "digest": "fedcba9876543210" * 4,
            "documents": len(run.ids),
            "classes": {n: int((run.labels == i).sum()) for i, n in enumerate(run.names)},
            "synthetic": synthetic,
            "sampled_from": 495,
            "lines": 497,
            "notes": ["separated by semicolons"],
        },
        "machine": {
            "cpu": "Imaginary CPU @ 2.80GHz",
            "flags": ["fpu", "avx2", "avx512_vnni"],
            "cores": [0, 1],
            "memory_bytes": 8_000_000_000,
            "system": "Linux 6.1",
            "python": "3.11.9",
            "load_before": 0.21,
            "load_after": 1.93,
        },
        "versions": {"torch": "2.13.0", "ptdq": "0.1.0"},
        "git_commit": "c0ffee" * 6,
        "design": {
            "seed": 20,
            "isolation": "parallel",
            "cores": [0, 1],
            "balanced": True,
            "notes": ["each variant runs on each core equally often"],
            "cells": cells,
            "control": [],
        },
        "started_at": "2026-11-23T08:00:00+00:00",
        "ended_at": "2026-11-23T08:12:00+00:00",
        "seconds": {"evaluate": 612.3, "report": 4.2},
        "limits": {"float32_gflops": 139.0, "int8_gops": 558.0},
        "verdict": {
            "decision": "can't tell",
            "variant": "int8-dynamic",
            "headline": "int8-dynamic is 2.40x as fast at 128 tokens",
            "reasons": ["the interval of the loss reaches past the margin"],
        },
        "gates": [],
        "failures": [],
    }
