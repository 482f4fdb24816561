"""From the files of cells to tables and verdict, without Prefect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ptdq.analysis.conclude import conclude
from ptdq.analysis.question import Gates, Question
from ptdq.measure.design import make_design
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.rows import ComparisonRow, ReadBack
from ptdq.store.run import Run, load
from ptdq.store.schema import names
from ptdq.store.tables import make_table, write_table
from ptdq.variants.artifact import Artifact
from ptdq.variants.base import Settings
from ptdq.variants.preparation import PreparedVariant
from tests.support.factory import MB, Factory

BROKEN = "killed by SIGKILL"
MOMENT = "2026-11-23T08:00:00+00:00"


def facts() -> dict[str, Any]:
    """What a worker reads back of itself, where nothing is out of line."""
    read_back = dict.fromkeys(names(ReadBack))
    return read_back | {
        "pinned": True, "measure_seconds": 1.0, "started_at": MOMENT, "ended_at": MOMENT,
    }  # fmt: skip


def prepared(name: str) -> PreparedVariant:
    size = int(MB[name] * 1e6)
    return PreparedVariant(
        Artifact(Path(), name, Settings("x86"), "ab" * 32, size, size, [], [], 3.2, {}), cached=False
    )


def concluded(directory: Path, gates: Gates, broken: tuple[str, int] | None = None) -> Run:
    """A run of made-up cells, brought to its end; of one variant no cell at a length is well."""
    made = Factory(directory)
    files = RunFiles(directory)
    files.cells.mkdir(parents=True)
    labels = {row["doc_id"]: row["label"] for row in made.tables["predictions"]}
    documents = [{"doc_id": name, "text": name, "label": label} for name, label in labels.items()]
    write_table(files.table("documents"), make_table("documents", documents, {}))
    design = make_design(made.variants, made.lengths, made.repeats, [0, 1], seed=0)
    for cell in design.cells:
        if (cell.variant, cell.max_length) == broken:
            files.failure(cell.cell_id).parent.mkdir(exist_ok=True)
            write_json(files.failure(cell.cell_id), {"error": BROKEN})
            continue
        rows = [
            {**row, "core": cell.core, "order": cell.order}
            for row in made.tables["predictions"]
            if all(row[key] == getattr(cell, key) for key in ("variant", "max_length", "repeat"))
        ]
        write_table(
            files.cell(cell.cell_id), make_table("predictions", rows, {"cell": {}, "facts": facts()})
        )
    write_json(files.record, made.record | {"notes": [], "design": design.as_json()})
    conclude(
        files,
        design,
        {name: prepared(name) for name in made.variants},
        Question(
            variants=tuple(made.variants),
            max_lengths=tuple(made.lengths),
            class_names=tuple(made.names),
            claim_quality=True,
            batch_size=1,
            margin=0.9,
            seed=0,
            gates=gates,
        ),
    )
    return load(files)


def test_cells_become_tables_gates_and_verdict(tmp_path: Path) -> None:
    run = concluded(tmp_path / "r", {"min_speedup": 2, "max_size_ratio": 0.4, "max_p95_ms": 10_000})
    assert len(run.good) == 16
    for row in run.rows(ComparisonRow):
        assert row["speedup"] == pytest.approx(2.4, rel=0.05)
        assert row["latency_verdict"] == "faster"
        assert row["p95_ms_bound"] is not None
        assert row["p95_ms"] is not None
        assert row["p95_ms"] < row["p95_ms_bound"]
    assert [gate["passed"] for gate in run.get("gates")] == [True, True, True]
    assert run.get("verdict", "variant") == "int8-dynamic"
    assert run.get("failures") == []
    assert run.get("baseline") is None


def test_a_length_whose_cells_all_failed_is_not_shipped(tmp_path: Path) -> None:
    run = concluded(tmp_path / "r", {"min_speedup": 2}, broken=("int8-dynamic", 256))
    (gate,) = run.get("gates")
    assert not gate["passed"]
    assert "at 256 tokens nothing was measured" in gate["text"]
    assert run.get("verdict", "decision") == "don't ship"
    assert {failure["error"] for failure in run.get("failures")} == {BROKEN}
    assert len(run.get("failures")) == 4


def test_it_needs_no_prefect() -> None:
    text = "import sys, ptdq.analysis.conclude; print('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
