"""Where the level of a figure changed over the runs, and how much runs differ otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ptdq import numbers
from ptdq.analysis.history import Point
from ptdq.analysis.likeness import differences
from ptdq.errors import UserError
from ptdq.statistics.change_points import LEAST, change_points
from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.variance_parts import between_runs
from ptdq.store.layout import RunFiles
from ptdq.store.results import as_data
from ptdq.store.run import load

TIME = "time per document"
"""Of the other figures the name is that of the task's main measure."""


@dataclass(frozen=True)
class Shift:
    """A change of level of one figure of one variant.

    Attributes:
        measure: ``time per document`` (its speed-up over the run's own baseline variant) or
            the main measure of the task, in words.
        run_id: the first run after it.
        started_at: of that run, ISO 8601.
        last_before: id of the last run before it.
        before: median of the figure in the runs from the change before to this one.
        after: the same in the runs from here to the next change.
        runs_before: number of these runs.
        runs_after: number of those after.
        p_value: of "no further change" in this series, by permutation.
        together: whether every other variant of the length, of two at least, has a change here as well.
        differences: what is not the same in the two runs beside it, in words.
    """

    variant: str
    max_length: int
    measure: str
    run_id: str
    started_at: str
    last_before: str
    before: float
    after: float
    runs_before: int
    runs_after: int
    p_value: float
    together: bool = False
    differences: list[str] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Whether it went down: both figures are the better the higher they are."""
        return self.after < self.before

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and ``run.json``."""
        return {**asdict(self), "worse": self.worse, "text": self.text}

    @property
    def text(self) -> str:
        """In words, without what differs."""
        where = f"{self.variant} at {self.max_length} tokens"
        since = (
            f"since run {self.run_id} ({self.runs_before} runs before, {self.runs_after} from then on)"
        )
        if self.measure != TIME:
            change = f"{self.measure} {numbers.score(self.before)} to {numbers.score(self.after)}"
        else:
            word = "slower" if self.worse else "faster"
            change = (
                f"{word}, {self.before:.3f}x to {self.after:.3f}x as fast as the run's own baseline "
                f"variant ({self.after / self.before - 1:+.1%})"
            )
        return f"{where}: {change} {since}"


@dataclass(frozen=True)
class Spread:
    """How much runs of one content differ, of the speed-up of a variant.

    Attributes:
        runs: number of the runs.
        sd: standard deviation of its log beyond what the runs' own intervals explain.
    """

    variant: str
    max_length: int
    runs: int
    sd: float


@dataclass(frozen=True)
class Trend:
    """What a history of runs says.

    Attributes:
        runs: runs of the longest series.
        series: number of series that were long enough to be looked at.
        shifts: changes of level, oldest first.
        spreads: how much runs of one content differ.
    """

    runs: int
    series: int
    shifts: list[Shift]
    spreads: list[Spread]


class _Key(NamedTuple):
    """Of a series."""

    variant: str
    max_length: int
    measure: str
    series: str


def trend(points: Iterable[Point], seed: int = 0) -> Trend:
    """Find changes of level in all series at once; a false one in any of them comes at 5 % at most.

    A series are the runs of one machine, model, data and design, of one variant at one length. That of
    the speed-up has no point where timings are confounded.

    Args:
        points: of the runs.
        seed: of the permutations.
    """
    lines = _lines(points)
    values = {
        key: np.array([_value(point, key.measure) for point in line]) for key, line in lines.items()
    }
    varied = [key for key in lines if np.ptp(values[key])]  # what never moves gives no false alarm
    shifts: list[Shift] = []
    parts: dict[_Key, list[list[Point]]] = {}
    for key, line in lines.items():
        figures = np.log(values[key]) if key.measure == TIME else values[key]
        found = change_points(figures, ALPHA / len(varied), seed) if key in varied else []
        parts[key] = [line[a:b] for a, b in pairwise([0, *(c.index for c in found), len(line)])]
        for change, (old, new) in zip(found, pairwise(parts[key]), strict=True):
            shifts.append(_shift(key, old, new, change.p_value))
    shifts.sort(key=lambda s: (s.started_at, s.run_id, s.max_length, s.variant, s.measure))
    longest = max(map(len, lines.values()), default=0)
    return Trend(longest, len(lines), _together(shifts, lines), _spreads(parts))


def _lines(points: Iterable[Point]) -> dict[_Key, list[Point]]:
    """The series that are long enough, each in the order of time."""
    found: dict[_Key, list[Point]] = defaultdict(list)
    for point in sorted(points, key=lambda p: (p.started_at, p.run_id)):
        for measure in (TIME, point.measure):
            if _value(point, measure) is not None:
                found[_Key(point.variant, point.max_length, measure, point.series)].append(point)
    return {key: line for key, line in found.items() if len(line) >= 2 * LEAST}


def _shift(key: _Key, old: Sequence[Point], new: Sequence[Point], p_value: float) -> Shift:
    before, after = (
        float(np.median([_value(point, key.measure) for point in part])) for part in (old, new)
    )
    first, last = new[0], old[-1]
    return Shift(
        key.variant,
        key.max_length,
        key.measure,
        first.run_id,
        first.started_at,
        last.run_id,
        before,
        after,
        len(old),
        len(new),
        p_value,
    )


def _value(point: Point, measure: str) -> float | None:
    return point.speedup_total if measure == TIME else point.quality


def _together(shifts: Sequence[Shift], lines: Iterable[_Key]) -> list[Shift]:
    """Mark what all variants of a length share, which is their baseline's or the machine's."""
    marked = []
    for shift in shifts:
        place = (shift.max_length, shift.measure, shift.run_id)
        here = [s for s in shifts if (s.max_length, s.measure, s.run_id) == place]
        everyone = {key.variant for key in lines if (key.max_length, key.measure) == place[:2]}
        shared = len(everyone) > 1 and {s.variant for s in here} == everyone
        alike = len({s.worse for s in here}) == 1
        marked.append(replace(shift, together=shift.measure == TIME and shared and alike))
    return marked


def _spreads(parts: Mapping[_Key, list[list[Point]]]) -> list[Spread]:
    """How much runs of one content differ between two changes of level, in the series of times."""
    groups: dict[tuple[str, int], dict[tuple[str, int, str], list[Point]]] = {}
    for key, segments in parts.items():
        if key.measure == TIME:
            mine = groups.setdefault((key.variant, key.max_length), {})
            for number, segment in enumerate(segments):
                for point in segment:
                    mine.setdefault((key.series, number, point.content), []).append(point)
    found = []
    for (variant, length), by_content in groups.items():
        alike = list(by_content.values())
        logs = [np.log([p.speedup_total or np.nan for p in group]) for group in alike]
        errors = [np.array([p.speedup_total_error or 0.0 for p in group]) for group in alike]
        sd = between_runs(logs, errors)
        if sd is not None:
            found.append(Spread(variant, length, sum(map(len, alike)), sd))
    return found


def explained(shifts: Iterable[Shift], results: Path) -> list[Shift]:
    """The same with what is not the same in the two runs beside each; nothing where one can't be read."""
    found = []
    for shift in shifts:
        pair = [RunFiles(results / name) for name in (shift.last_before, shift.run_id)]
        try:
            with as_data(*pair):
                text = differences(*(load(files) for files in pair))
        except UserError:
            text = []
        found.append(replace(shift, differences=text))
    return found
