"""How calm the machine of a run was, by its cells."""

from __future__ import annotations

from collections.abc import Sequence

from ptdq.statistics.conditions import Conditions, grade
from ptdq.store.rows import CellRow


def conditions(cells: Sequence[CellRow]) -> Conditions:
    """The grade of a run by its cells that finished."""
    taken = [
        None if (other := cell["other_seconds"]) is None else other + (cell["steal_seconds"] or 0)
        for cell in cells
    ]
    flagged = [bool(cell["flags"]) for cell in cells]
    return grade(flagged, taken, [cell["measure_seconds"] or 0.0 for cell in cells])


def too_busy(cells: Sequence[CellRow]) -> str | None:
    """Why no time of a run decides anything, not even beside another of the run; None where they may."""
    known = conditions(cells)
    if known.grade != "unusable":
        return None
    return f"the machine was too busy to time anything on: {known.sentence}"
