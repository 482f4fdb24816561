"""Whether a variant predicts the same in every round."""

from __future__ import annotations

from collections.abc import Sequence

from ptdq.analysis.arrays import read_measured
from ptdq.statistics.quality import nondeterminism
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table


def nondeterministic(files: RunFiles, variants: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """Sentences about variants whose predictions are not the same in every repeat."""
    table = read_table(files.table("predictions"))
    said = []
    for variant in variants:
        for length in lengths:
            measured = read_measured(table, variant, length)
            if measured is None:
                continue
            changed = nondeterminism(measured.predictions)
            if not changed.deterministic:
                said.append(
                    f"{variant} at {length} tokens is not deterministic: {len(changed.changed)} of "
                    f"{changed.documents} documents change class between repeats"
                )
    return said
