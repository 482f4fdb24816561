"""Runs over time: trend tables in the terminal, and a plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ptdq.analysis import likeness, tables
from ptdq.analysis.nights import log_speedup
from ptdq.errors import UserError
from ptdq.problem.task import OF_CLASSES, SINGLE, Task, main_measure, words_of
from ptdq.store.results import all_runs, as_data, started
from ptdq.store.rows import ComparisonRow
from ptdq.store.run import Run, cell_rows
from ptdq.variant_names import is_earlier


@dataclass(frozen=True)
class Point:
    """What one run says of one variant at one maximum length.

    Attributes:
        run_id: the run.
        started_at: when, ISO 8601.
        place: the machine: timings of different ones are no trend.
        subject: hashes of model and data: figures of different ones are no trend.
        median_ms: median forward latency, the median over the rounds.
        low_ms: that of its fastest round.
        high_ms: that of its slowest round.
        p95_ms: 95th percentile of forward latency, the median over the rounds.
        speedup: over the run's baseline; None for the baseline itself.
        speedup_low: lower end of its 95 % interval.
        speedup_high: upper end of its 95 % interval.
        speedup_total: of the time per document; None also where timings are confounded.
        speedup_total_error: standard error of its log within the run.
        f1_weighted: mean over the rounds; None where quality is not claimed.
        flagged: cells that were flagged, of those with figures.
        cells: cells with figures.
        decision: the run's verdict.
        series: what must be the same for figures to be points of one series.
        content: what must be the same for them to differ by chance alone.
        task: what the model answers.
        main: the main measure of a task other than one class; None also where quality is not claimed.
    """

    run_id: str
    started_at: str
    variant: str
    max_length: int
    place: str
    subject: str
    median_ms: float
    low_ms: float
    high_ms: float
    p95_ms: float | None
    speedup: float | None
    speedup_low: float | None
    speedup_high: float | None
    speedup_total: float | None
    speedup_total_error: float | None
    f1_weighted: float | None
    flagged: int
    cells: int
    decision: str
    series: str
    content: str
    task: Task = SINGLE
    main: float | None = None

    @property
    def quality(self) -> float | None:
        """The main measure of the task, of which more is better."""
        return self.f1_weighted if self.task in OF_CLASSES else self.main

    @property
    def measure(self) -> str:
        """Its name, in words."""
        return words_of(self.task, main_measure(self.task))


def place(run: Run) -> str:
    """The machine as far as it decides timings: CPU model and number of cores."""
    machine = run.get("machine", default={})
    return f"{machine.get('cpu', 'unknown CPU')}, {len(machine.get('cores_usable') or [])} cores"


def points(runs: Iterable[Run]) -> list[Point]:
    """A point for each variant and maximum length of each run that has figures of it."""
    return [point for run in runs for point in _points(run)]


def all_points(results: Path) -> tuple[list[Point], list[str]]:
    """Points of the runs of a results directory, and why others were left out."""
    runs, left_out = all_runs(results)
    points = []
    for run in runs:
        try:
            with as_data(run.files):
                points += _points(run)
        except UserError as error:
            left_out.append(str(error))
    return points, left_out


def _points(run: Run) -> list[Point]:
    compared = {(r["variant"], r["max_length"]): r for r in tables.against_baseline(run)}
    subject = f"{run.get('model', 'digest', default='')} {run.get('data', 'digest', default='')}"
    alike, same = likeness.series(run), likeness.content(run)
    points = []
    for row in tables.figures(run):
        if is_earlier(row["variant"]):
            continue  # that is the earlier run's own point
        cells = cell_rows(run.good, row["variant"], row["max_length"])
        medians = [ms for cell in cells if (ms := cell["forward_p50_ms"]) is not None]
        if not medians or row["forward_p50_ms"] is None:
            continue
        if min(medians) <= 0:
            raise UserError(f"run '{run.files.run_id}': damaged: a latency of {min(medians)} ms")
        ratio: ComparisonRow = compared.get((row["variant"], row["max_length"]), {})
        log = log_speedup(run, (row["variant"], row["max_length"]), "speedup_total")
        points.append(
            Point(
                run_id=run.files.run_id,
                started_at=started(run),
                variant=row["variant"],
                max_length=row["max_length"],
                place=place(run),
                subject=subject,
                median_ms=row["forward_p50_ms"],
                low_ms=min(medians),
                high_ms=max(medians),
                p95_ms=row["forward_p95_ms"],
                speedup=ratio.get("speedup"),
                speedup_low=ratio.get("speedup_low"),
                speedup_high=ratio.get("speedup_high"),
                speedup_total=None if log is None else math.exp(log[0]),
                speedup_total_error=None if log is None else log[1],
                f1_weighted=row.get("f1_weighted"),
                flagged=sum(bool(cell["flags"]) for cell in cells),
                cells=len(cells),
                decision=str(run.get("verdict", "decision", default="none")),
                series=alike,
                content=same,
                task=run.task,
                main=row.get("main"),
            )
        )
    return points


def select(points: Iterable[Point], variants: Sequence[str], max_lengths: Sequence[int]) -> list[Point]:
    """Points of some variants and lengths; all where none are named."""
    return [
        p
        for p in points
        if (not variants or p.variant in variants) and (not max_lengths or p.max_length in max_lengths)
    ]


def series(points: Iterable[Point]) -> dict[tuple[str, int], list[Point]]:
    """Points by variant and length, each in the order of time."""
    ordered = sorted(points, key=lambda p: (p.max_length, p.variant != "fp32", p.variant, p.started_at))
    return {key: list(group) for key, group in groupby(ordered, key=lambda p: (p.variant, p.max_length))}
