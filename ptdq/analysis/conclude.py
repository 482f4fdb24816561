"""From the files of a run's cells to its tables, comparisons, gates and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ptdq.analysis import aggregate
from ptdq.analysis.comparisons import nondeterministic, write_comparisons
from ptdq.analysis.since import change_since
from ptdq.analysis.verdict import Gates, decide, judge_gates
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.measure.design import Design
from ptdq.parameters import Parameters
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import BaselineChange, FailedCell, GateRecord, VerdictRecord
from ptdq.store.run import load
from ptdq.variants.preparation import PreparedVariant


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the figures are to answer.

    Attributes:
        max_lengths: those that were asked for.
        class_names: by class id.
        claim_quality: whether labels mean anything (not with random weights).
        batch_size: documents in a batch.
        margin: share of the baseline's weighted F1 to keep.
        seed: of the resampling.
        gates: thresholds.
        baseline: run to compare with, ``none``, or None for the one that is marked.
    """

    max_lengths: tuple[int, ...]
    class_names: tuple[str, ...]
    claim_quality: bool
    batch_size: int
    margin: float
    seed: int
    gates: Gates
    baseline: str | None

    @classmethod
    def asked(cls, parameters: Parameters, checkpoint: Checkpoint) -> Self:
        """The question that the parameters ask of a model."""
        return cls(
            max_lengths=tuple(parameters.max_length),
            class_names=tuple(checkpoint.class_names),
            claim_quality=not checkpoint.random_weights,
            batch_size=parameters.batch_size,
            margin=parameters.margin,
            seed=parameters.seed,
            gates=Gates(
                min_speedup=parameters.min_speedup,
                max_f1_drop=parameters.max_f1_drop,
                max_size_ratio=parameters.max_size_ratio,
                max_p95_ms=parameters.max_p95_ms,
            ),
            baseline=parameters.baseline,
        )


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
    variants, lengths = list(prepared), question.max_lengths
    aggregate.write_variants(files, dict(prepared))
    aggregate.write_cell_tables(
        files, design, question.class_names, question.batch_size, question.claim_quality
    )
    write_comparisons(
        files,
        variants,
        lengths,
        claim_quality=question.claim_quality,
        margin=question.margin,
        seed=question.seed,
        cores=len(design.cores),
    )
    run = load(files)
    comparisons, failed = run.rows("comparisons"), run.failed
    gates = judge_gates(question.gates, variants, lengths, comparisons, run.good, run.rows("variants"))
    verdict = decide(
        variants,
        lengths,
        comparisons,
        gates,
        claim_quality=question.claim_quality,
        isolation=design.isolation,
        failures=len(failed),
    )
    conclusion = record.Conclusion(
        verdict=VerdictRecord(**vars(verdict)),
        gates=[GateRecord(**vars(gate)) for gate in gates],
        failures=[
            FailedCell(**{name: cell[name] for name in FailedCell.model_fields}) for cell in failed
        ],
        notes=nondeterministic(files, variants, lengths),
        baseline=_change_since(files, question.baseline),
    )
    record.conclude(files, conclusion)


def _change_since(files: RunFiles, baseline: str | None) -> BaselineChange | None:
    change = change_since(files, baseline)
    return None if change is None else BaselineChange.model_validate(change)
