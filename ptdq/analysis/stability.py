"""Whether a variant predicts the same in every round."""

from __future__ import annotations

from collections.abc import Sequence

from ptdq.analysis.arrays import read_answers
from ptdq.statistics.quality import nondeterminism
from ptdq.store.cell_rows import CellRows
from ptdq.store.layout import RunFiles


def nondeterministic(files: RunFiles, variants: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """Sentences about variants whose predictions are not the same in every repeat."""
    rows = CellRows(files.table("predictions"))
    said = []
    for variant in variants:
        for length in lengths:
            answers = None
            if len(rows.rounds(variant, length)) > 1:
                answers = read_answers(rows, variant, length, rounds=None)
            if answers is None:
                continue
            changed = nondeterminism(answers.predictions)
            if not changed.deterministic:
                said.append(
                    f"{variant} at {length} tokens is not deterministic: {len(changed.changed)} of "
                    f"{changed.documents} documents change class between repeats"
                )
    return said
