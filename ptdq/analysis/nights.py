"""The runs that tell how much runs of the same content differ, and their speed-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptdq.analysis import tables
from ptdq.analysis.arrays import Place
from ptdq.analysis.conditions import too_busy
from ptdq.analysis.likeness import content, refusal
from ptdq.store.run import Run

Floats = NDArray[np.float64]

MEASURES = ("speedup_total", "speedup")
"""The first is new in schema version 2."""


def row_of(rows: Sequence[Any], place: Place) -> Any:
    return next((row for row in rows if (row["variant"], row["max_length"]) == place), {})


@dataclass(frozen=True)
class Speedups:
    """Logs of speed-ups over the own baseline variant.

    Attributes:
        old: in the runs like the old one.
        others: in runs of each other content.
        new: in the new run.
        error: standard error of the latter.
    """

    old: Floats
    others: list[Floats]
    new: float
    error: float


class Nights:
    """The runs of the history that tell how much two runs differ without any change.

    Attributes:
        old: the earlier run.
        new: the later one.
        is_since: whether the new run was asked to be compared with the old one.
    """

    def __init__(self, old: Run, new: Run, history: Sequence[Run]) -> None:
        """Sort the history by content, on this machine."""
        self.old, self.new = old, new
        since = new.record.since
        self.is_since = since is not None and since.rpartition("/")[2] == old.files.run_id
        self._groups: dict[str, list[Run]] = {content(old): [old]}
        taken = {old.files.run_id, new.files.run_id}
        for run in history:
            if run.files.run_id not in taken and run.record.status == "completed":
                if run.baseline == old.baseline and refusal(old, run) is None:
                    self._groups.setdefault(content(run), []).append(run)
                taken.add(run.files.run_id)

    def figures(self, variant: str, max_length: int) -> Speedups | None:
        """Speed-ups of a variant at a length; None where either run has none with an interval."""
        place = (variant, max_length)
        for measure in MEASURES:
            now = log_speedup(self.new, place, measure)
            if now is None or log_speedup(self.old, place, measure) is None:
                continue
            groups = [
                np.array([value[0] for run in runs if (value := log_speedup(run, place, measure))])
                for runs in self._groups.values()
            ]
            return Speedups(groups[0], [group for group in groups[1:] if len(group)], *now)
        return None

    def confounded(self, variant: str, max_length: int) -> str | None:
        """Why the times of a variant decide nothing; None where they do."""
        for run in (self.old, self.new):
            row = row_of(tables.against_baseline(run), (variant, max_length))
            if doubt := too_busy(run.good) or row.get("confounded"):
                return f"in {run.files.run_id}: {doubt}"
        return None


def log_speedup(run: Run, place: Place, measure: str) -> tuple[float, float] | None:
    """Log of a speed-up over the run's baseline variant, and its standard error.

    None without either, and where the run's times decide nothing.
    """
    row = row_of(tables.against_baseline(run), place)
    point, low, high = (row.get(f"{measure}{end}") for end in ("", "_low", "_high"))
    if too_busy(run.good) or row.get("confounded") or not (point and low and high):
        return None
    # By the normal quantile: with few rounds this is more than the standard error, and errs on its side.
    return float(np.log(point)), float(np.log(high / low)) / (2 * 1.96)
