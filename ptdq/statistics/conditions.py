"""How calm a machine was while it was measured: a grade for the headline.

Intervals have what happened during a run in them, so a disturbed run is wide, not wrong: it may say
"ship", and must say that it was disturbed. But times measured while others have much of the cores are
those of a machine shared with whatever that was: they speak of no other, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Grade = Literal["calm", "disturbed", "unusable"]

FLAGGED = 0.1
"""Share of cells out of line from which a run is disturbed."""

TAKEN = 0.05
"""Share of the cores' time taken by others from which a run is disturbed."""

UNUSABLE = 0.25
"""The same, from which it is unusable: a quarter of a core is more than most effects looked for."""


@dataclass(frozen=True)
class Conditions:
    """Under which conditions a run was measured.

    Attributes:
        grade: "calm", "disturbed" or "unusable".
        sentence: why, without a full stop.
    """

    grade: Grade
    sentence: str


def grade(flagged: Sequence[bool], taken: Sequence[float | None], seconds: Sequence[float]) -> Conditions:
    """Grade a run by its cells [C].

    Args:
        flagged: whether something was out of line while the cell ran.
        taken: seconds of the cell's core that others or the hypervisor had meanwhile; None if unknown.
        seconds: seconds the cell was measured for.
    """
    known = [(lost, time) for lost, time in zip(taken, seconds, strict=True) if lost is not None]
    total = sum(time for _, time in known)
    share = sum(lost for lost, _ in known) / total if total else None
    said = f"{sum(flagged)} of {len(flagged)} cells flagged"
    if share is None:
        said += ", and how much others used the cores is not known"
    elif share >= 0.005:
        said += f", and others used the cores for {share:.0%} of the time"
    worst: Grade = "calm"
    if sum(flagged) > FLAGGED * len(flagged) or (share is not None and share > TAKEN):
        worst = "disturbed"
    if share is not None and share >= UNUSABLE:
        worst = "unusable"
    return Conditions(worst, said)
