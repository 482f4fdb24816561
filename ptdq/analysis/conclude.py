"""From the files of a run's cells to its tables, comparisons, gates and verdict."""

from __future__ import annotations

from collections.abc import Mapping

from ptdq.analysis import aggregate
from ptdq.analysis.comparisons import write_comparisons
from ptdq.analysis.gates import Tables, judge_gates
from ptdq.analysis.past import past
from ptdq.analysis.question import Question
from ptdq.analysis.since import change_since
from ptdq.analysis.stability import nondeterministic
from ptdq.analysis.verdict import decide
from ptdq.measure.design import Design
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import (
    BaselineChange,
    FailedCell,
    GateRecord,
    HistoryRecord,
    VerdictRecord,
)
from ptdq.store.rows import BestRow, BucketRow, ComparisonRow, VariantRow
from ptdq.store.run import Run, load
from ptdq.variants.preparation import PreparedVariant


def conclude(
    files: RunFiles, design: Design, prepared: Mapping[str, PreparedVariant], question: Question
) -> None:
    """Write the run's tables, and into its record what follows from them.

    Args:
        files: of the run, with its record; a cell without a file counts as failed.
        design: the cells that should be there.
        prepared: artifacts by variant, the baseline first.
        question: what is to be answered.
    """
    aggregate.write_variants(files, dict(prepared))
    aggregate.write_cell_tables(files, design, question)
    left_out = write_comparisons(files, question)
    run = load(files)
    tables = tables_of(run)
    gates = judge_gates(question, tables)
    verdict = decide(question, tables, gates)
    unstable = nondeterministic(files, question.variants, question.max_lengths)
    conclusion = record.Conclusion(
        verdict=VerdictRecord(**vars(verdict)),
        gates=[GateRecord(**vars(gate)) for gate in gates],
        failures=[
            FailedCell(
                variant=cell["variant"],
                max_length=cell["max_length"],
                repeat=cell["repeat"],
                error=cell["error"] or "",
            )
            for cell in run.failed
        ],
        notes=[*left_out, *unstable],
        baseline=_change_since(files),
        history=_history(files),
    )
    record.conclude(files, conclusion)


def _change_since(files: RunFiles) -> BaselineChange | None:
    change = change_since(files)
    return None if change is None else BaselineChange.model_validate(change)


def _history(files: RunFiles) -> HistoryRecord | None:
    found = past(files)
    return None if found is None else HistoryRecord.model_validate(found)


def tables_of(run: Run) -> Tables:
    """What gates and verdict are decided on."""
    return Tables(
        comparisons=run.rows(ComparisonRow),
        buckets=run.rows(BucketRow),
        cells=run.good,
        failed=run.failed,
        variants=run.rows(VariantRow),
        best=run.rows(BestRow),
    )
