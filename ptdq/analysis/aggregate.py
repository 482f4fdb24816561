"""From the files of the cells to the run's tables. Pure but for reading and writing files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.analysis.arrays import first_of_batches
from ptdq.analysis.question import Question
from ptdq.analysis.truth import TRUTH, Truth, label_scores
from ptdq.measure.cell import read_failure
from ptdq.measure.design import Cell, Design
from ptdq.measure.watch import clock_flags
from ptdq.problem.task import OF_CLASSES
from ptdq.statistics import drift, quality, summary
from ptdq.store.layout import RunFiles
from ptdq.store.rows import (
    CellKey,
    CellRow,
    ClassRow,
    Course,
    Latencies,
    ReadBack,
    Scores,
    VariantRow,
)
from ptdq.store.schema import merge, names
from ptdq.store.tables import (
    arrays_of,
    make_table,
    read_pieces,
    read_table,
    table_metadata,
    write_table,
    writing,
)
from ptdq.variants.artifact import INSTRUCTIONS
from ptdq.variants.preparation import PreparedVariant

# A core that others used for more than this share of a cell was not the cell's own.
FOREIGN_SHARE = 0.05
STEAL_SHARE = 0.02

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Batches:
    """The batches of a cell [B], in the order in which they were measured.

    Attributes:
        forward: forward latency in ns.
        total: the same with tokenization.
        tokens: of the first document of each.
        measured: whether a batch counts; the others are of the warm-up.
        documents: number of documents in those that count.
        warmup: number of documents in the others.
    """

    forward: Floats
    total: Floats
    tokens: Floats
    measured: NDArray[np.bool_]
    documents: int
    warmup: int

    @classmethod
    def read(cls, path: Path) -> _Batches:
        """Of a cell's file."""
        names = ["batch", "warmup", "tokens", "forward_ns", "tokenize_ns"]
        found = arrays_of(read_pieces(path, names), names)
        first, warmup = first_of_batches(found.pop("batch")), found["warmup"]
        forward = found.pop("forward_ns")[first].astype(np.float64)
        return cls(
            forward,
            forward + found.pop("tokenize_ns")[first],
            found.pop("tokens")[first].astype(np.float64),
            ~warmup[first],
            int((~warmup).sum()),
            int(warmup.sum()),
        )


def write_cell_tables(files: RunFiles, design: Design, question: Question) -> None:
    """Write ``predictions``, ``control``, ``cells`` and ``classes`` from the cells' files.

    Args:
        files: of the run.
        design: the cells that should be there; one without a result becomes a failed row.
        question: what was asked; scores are written where it claims quality, and of the cells that
            it is taken from.
    """
    cells: list[CellRow] = []
    classes: list[ClassRow] = []
    truth: Truth | None = None
    judged = design.judged or design.cells
    with writing(files.table("predictions"), "predictions") as write:
        for cell in (*design.judged, *design.cells):
            path = files.cell(cell.cell_id)
            if not path.is_file():
                cells.append(_failed_row(files, cell, question))
                continue
            key = _cell_key(files, cell)
            row = _cell_row(key, cell, path, question)
            if question.claim_quality and cell in judged:
                if question.task in OF_CLASSES:
                    scores = _scores(path)
                    row = merge(CellRow, row, _score_columns(scores))
                    classes += _class_rows(key, scores.classes, question.class_names)
                elif question.task == "multi-label":
                    truth = truth or Truth(read_table(files.table("documents"), TRUTH))
                    answers = read_table(path, ["doc_id", "logits", "warmup"])
                    answers = answers.filter(pa.compute.invert(answers["warmup"]))
                    labels = label_scores(truth, answers, question.cut)
                    classes += _class_rows(key, labels, question.class_names)
            cells.append(row)
            _copy(path, write)
    write_table(files.table("cells"), make_table("cells", cells))
    write_table(files.table("classes"), make_table("classes", classes))
    if design.control:
        with writing(files.table("control"), "control") as write:
            for cell in design.control:
                if (path := files.cell(cell.cell_id)).is_file():
                    _copy(path, write)


def _copy(path: Path, write: Callable[[pa.Table], None]) -> None:
    """All rows of a cell, a piece at a time: those of a few cells may be more than fit into memory."""
    for piece in read_pieces(path):
        write(piece)


def _cell_key(files: RunFiles, cell: Cell) -> CellKey:
    return {
        "run_id": files.run_id,
        "variant": cell.variant,
        "max_length": cell.max_length,
        "repeat": cell.repeat,
    }


def _failed_row(files: RunFiles, cell: Cell, question: Question) -> CellRow:
    outcome: CellRow = {
        "kind": cell.kind,
        "core": cell.core,
        "order": cell.order,
        "batch_size": question.batch_size,
        "status": "failed",
        "error": read_failure(files, cell) or "it was not run",
    }
    return merge(CellRow, _cell_key(files, cell), outcome)


def _cell_row(key: CellKey, cell: Cell, path: Path, question: Question) -> CellRow:
    """All of a finished cell but its quality."""
    batches, first = _Batches.read(path), next(read_pieces(path, rows=1))
    outcome: CellRow = {
        "kind": first["kind"][0].as_py() if "kind" in first.column_names else None,
        "core": first["core"][0].as_py(),
        "order": cell.order,
        "batch_size": question.batch_size,
        "status": "ok",
        "documents": batches.documents,
        "warmup_documents": batches.warmup,
    }
    read_back = _read_back(table_metadata(read_table(path, []))["facts"])
    row = merge(CellRow, key, outcome, _latencies(batches), read_back, _course(batches))
    row["flags"] = flags(row)
    return row


def _read_back(facts: Mapping[str, Any]) -> ReadBack:
    """What the worker noted, with its moments as such."""
    columns = {name: facts.get(name) for name in names(ReadBack)}
    for name in ("started_at", "ended_at"):
        columns[name] = datetime.fromisoformat(facts[name])
    return cast(ReadBack, columns)


def _scores(path: Path) -> quality.Quality:
    names = ["warmup", "label", "prediction"]
    found = arrays_of(read_pieces(path, names), names)
    measured = ~found["warmup"]
    return quality.measure(found["label"][measured], found["prediction"][measured])


def _class_rows(
    key: CellKey, scores: Sequence[quality.ClassMetrics], class_names: Sequence[str]
) -> list[ClassRow]:
    return [
        {
            **key,
            "class_id": entry.label,
            "class_name": class_names[entry.label],
            "precision": entry.precision,
            "recall": entry.recall,
            "f1": entry.f1,
            "support": entry.support,
        }
        for entry in scores
    ]


def write_variants(files: RunFiles, prepared: dict[str, PreparedVariant]) -> None:
    """Write ``variants``: what was prepared, and how large it is."""
    rows: list[VariantRow] = [
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
            "instruction_set": entry.artifact.details.get(INSTRUCTIONS),
            "details": json.dumps(entry.artifact.details, ensure_ascii=False, sort_keys=True),
        }
        for name, entry in prepared.items()
    ]
    write_table(files.table("variants"), make_table("variants", rows))


def flags(row: CellRow) -> list[str]:
    """What was out of line while a cell ran, in words."""
    said = []
    seconds = row["measure_seconds"] or 0.0
    steal, other = row["steal_seconds"], row["other_seconds"]
    if not row["pinned"]:
        said.append("not pinned: this system cannot pin a process to a core")
    if steal is not None and steal > STEAL_SHARE * seconds:
        said.append(f"the hypervisor took {steal / seconds:.0%} of the core's time")
    # Counters of a core move in hundredths of a second.
    if other is not None and other > max(FOREIGN_SHARE * seconds, 0.1):
        said.append(f"others used the core for {other / seconds:.0%} of the time")
    if row["throttle_count"]:
        said.append(f"the core was throttled {row['throttle_count']} times")
    before, after = row["frequency_mhz_before"], row["frequency_mhz_after"]
    if before and after and abs(np.log(after / before)) > 0.1:
        said.append(f"the clock went from {before:.0f} to {after:.0f} MHz")
    if row.get("step_at") is not None:
        ratio = row["step_ratio"]
        said.append(f"times shift by a factor of {ratio:.2f} at document {row['step_at']}")
    said += clock_flags(row)
    if drifted := row.get("drift"):
        said.append(f"times still drift by {np.expm1(drifted):+.0%} at the end of the cell")
    return said


def _latencies(batches: _Batches) -> Latencies:
    forward, total = batches.forward[batches.measured], batches.total[batches.measured]
    in_forward, in_total = summary.summarize(forward), summary.summarize(total)
    return {
        "forward_mean_ms": in_forward.mean_ms,
        "forward_p50_ms": in_forward.p50_ms,
        "forward_p90_ms": in_forward.p90_ms,
        "forward_p95_ms": in_forward.p95_ms,
        "forward_p99_ms": in_forward.p99_ms,
        "forward_max_ms": in_forward.max_ms,
        "total_mean_ms": in_total.mean_ms,
        "total_p50_ms": in_total.p50_ms,
        "total_p90_ms": in_total.p90_ms,
        "total_p95_ms": in_total.p95_ms,
        "total_p99_ms": in_total.p99_ms,
        "total_max_ms": in_total.max_ms,
        "documents_per_second": batches.documents / (float(total.sum()) / 1e9),
    }


def _course(batches: _Batches) -> Course:
    """How the times went over the cell, warm-up included: first documents, drift, a step."""
    times, tokens, measured = batches.forward, batches.tokens, batches.measured
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


def _score_columns(scores: quality.Quality) -> Scores:
    return {
        "accuracy": scores.accuracy,
        "precision_macro": scores.macro_precision,
        "recall_macro": scores.macro_recall,
        "f1_macro": scores.macro_f1,
        "precision_weighted": scores.weighted_precision,
        "recall_weighted": scores.weighted_recall,
        "f1_weighted": scores.weighted_f1,
    }


__all__ = ["flags", "write_cell_tables", "write_variants"]
