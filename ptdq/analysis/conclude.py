"""From the files of a run's cells to its tables, comparisons, gates and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ptdq.analysis import aggregate
from ptdq.analysis.comparisons import Question, nondeterministic, write_comparisons
from ptdq.analysis.since import change_since
from ptdq.analysis.verdict import Gates, decide, judge_gates
from ptdq.measure.design import Design
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.rows import ComparisonRow, VariantRow
from ptdq.store.run import load
from ptdq.variants.preparation import PreparedVariant


def conclude(
    files: RunFiles,
    design: Design,
    prepared: Mapping[str, PreparedVariant],
    *,
    max_lengths: Sequence[int],
    class_names: Sequence[str],
    claim_quality: bool,
    batch_size: int,
    margin: float,
    seed: int,
    gates: Gates,
    baseline: str | None,
) -> None:
    """Write the run's tables, and into ``run.json`` what follows from them.

    Args:
        files: of the run, with its record; a cell without a file counts as failed.
        design: the cells that should be there.
        prepared: artifacts by variant, the baseline first.
        max_lengths: those that were asked for.
        class_names: by class id.
        claim_quality: whether labels mean anything (not with random weights).
        batch_size: documents in a batch.
        margin: share of the baseline's weighted F1 to keep.
        seed: of the resampling.
        gates: thresholds.
        baseline: run to compare with, ``none``, or None for the one that is marked.
    """
    variants = list(prepared)
    aggregate.write_variants(files, dict(prepared))
    facts = aggregate.CellFacts(class_names, batch_size, claim_quality)
    aggregate.write_cell_tables(files, design, facts)
    question = Question(variants, max_lengths, claim_quality, margin, seed, len(design.cores))
    write_comparisons(files, question)
    run = load(files)
    comparisons, failed = run.rows(ComparisonRow), run.failed
    judged = judge_gates(gates, variants, max_lengths, comparisons, run.good, run.rows(VariantRow))
    verdict = decide(
        variants,
        max_lengths,
        comparisons,
        judged,
        claim_quality=claim_quality,
        isolation=design.isolation,
        failures=len(failed),
    )
    record = read_json(files.record)
    record["gates"] = [vars(gate) for gate in judged]
    record["verdict"] = verdict.as_json()
    unstable = nondeterministic(files, variants, max_lengths)
    record["notes"] = list(dict.fromkeys([*record["notes"], *unstable]))
    record["baseline"] = change_since(files, baseline)
    record["failures"] = [
        {
            "variant": cell["variant"],
            "max_length": cell["max_length"],
            "repeat": cell["repeat"],
            "error": cell["error"],
        }
        for cell in failed
    ]
    write_json(files.record, record)
