"""Runs over time: trend tables in the terminal, and a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.report import numbers, tables
from tasks.report.markdown import plain
from tasks.report.plots.style import canvas, label, legend_of, look, plain_numbers
from tasks.report.run import Row, Run, cell_rows
from tasks.results import started

_LABELS = 12  # runs named below the plot
_HEADINGS = (
    "started", "run", "median ms", "p95 ms", "change", "speed-up", "F1", "flagged", "verdict",
)  # fmt: skip
_LEGEND = (
    "Forward latency; change: of the median since the run above; speed-up: over the run's own baseline "
    "variant, with its 95 % interval; F1: weighted; flagged: cells in which something was out of line."
)


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
        f1_weighted: mean over the rounds; None where quality is not claimed.
        flagged: cells that were flagged, of those with figures.
        cells: cells with figures.
        decision: the run's verdict.
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
    f1_weighted: float | None
    flagged: int
    cells: int
    decision: str


def place(run: Run) -> str:
    """The machine as far as it decides timings: CPU model and number of cores."""
    machine = run.get("machine", default={})
    return f"{machine.get('cpu', 'unknown CPU')}, {len(machine.get('cores_usable') or [])} cores"


def points(runs: Iterable[Run]) -> list[Point]:
    """A point for each variant and maximum length of each run that has figures of it."""
    return [point for run in runs for point in _points(run)]


def _points(run: Run) -> list[Point]:
    compared = {(r["variant"], r["max_length"]): r for r in tables.against_baseline(run)}
    subject = f"{run.get('model', 'digest', default='')} {run.get('data', 'digest', default='')}"
    found = []
    for row in tables.figures(run):
        cells = cell_rows(run.good, row["variant"], row["max_length"])
        medians = [cell["forward_p50_ms"] for cell in cells if cell["forward_p50_ms"] is not None]
        if not medians:
            continue
        ratio: Row = compared.get((row["variant"], row["max_length"]), {})
        found.append(
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
                f1_weighted=row.get("f1_weighted"),
                flagged=sum(bool(cell["flags"]) for cell in cells),
                cells=len(cells),
                decision=str(run.get("verdict", "decision", default="none")),
            )
        )
    return found


def select(found: Iterable[Point], variants: Sequence[str], max_lengths: Sequence[int]) -> list[Point]:
    """Points of some variants and lengths; all where none are named."""
    return [
        p
        for p in found
        if (not variants or p.variant in variants) and (not max_lengths or p.max_length in max_lengths)
    ]


def series(found: Iterable[Point]) -> dict[tuple[str, int], list[Point]]:
    """Points by variant and length, each in the order of time."""
    ordered = sorted(found, key=lambda p: (p.max_length, p.variant != "fp32", p.variant, p.started_at))
    return {key: list(group) for key, group in groupby(ordered, key=lambda p: (p.variant, p.max_length))}


def show(found: Sequence[Point], console: Console) -> None:
    """A table for each variant and length: the runs from the oldest to the newest."""
    for (variant, length), line in series(found).items():
        title = Text(f"{plain(variant)}, at most {length} tokens", style="bold")
        table = Table(title=title, title_justify="left", header_style="bold")
        quality = any(point.f1_weighted is not None for point in line)
        for heading in _HEADINGS:
            if heading != "F1" or quality:
                words = heading in ("started", "run", "verdict")
                table.add_column(
                    heading,
                    justify="left" if words else "right",
                    overflow="fold",
                    no_wrap=heading in ("started", "speed-up"),
                )
        before: Point | None = None
        for point in line:
            ends = numbers.interval(point.speedup_low, point.speedup_high)
            cells = [
                _day(point.started_at),
                plain(point.run_id),
                numbers.ms(point.median_ms),
                numbers.ms(point.p95_ms),
                _change(before, point),
                f"{numbers.ratio(point.speedup)} {'' if ends == numbers.MISSING else ends}".strip(),
                *([numbers.score(point.f1_weighted)] if quality else []),
                f"{point.flagged}/{point.cells}",
                plain(point.decision),
            ]
            table.add_row(*map(Text, cells))
            before = point
        console.print(table)
    if found:
        console.print(Text(_LEGEND, style="italic"))


def _day(moment: str) -> str:
    try:
        return f"{datetime.fromisoformat(moment):%y-%m-%d %H:%M}"
    except ValueError:
        return numbers.MISSING


def _change(before: Point | None, point: Point) -> str:
    """Against the run before, where that was the same measurement, else what is not the same."""
    if before is None:
        return numbers.MISSING
    if before.place != point.place:
        return "other machine"
    if before.subject != point.subject:
        return "other model or data"
    return f"{point.median_ms / before.median_ms - 1:+.1%}"


def plot(found: Sequence[Point], path: Path) -> bool:
    """Median latency (above) and speed-up (below) over the runs, a column for each length.

    Points are joined only where machine, model and data are the same.
    """
    lines = series(found)
    lengths = sorted({length for _, length in lines})
    if not lengths:
        return False
    runs = sorted({(p.started_at, p.run_id) for p in found})
    at = {run_id: number for number, (_, run_id) in enumerate(runs)}
    with canvas(path, 2, len(lengths), 6.4) as (figure, axes):
        for column, length in enumerate(lengths):
            above, below = axes[column], axes[len(lengths) + column]
            for (variant, of_length), line in lines.items():
                if of_length == length:
                    _draw(above, below, at, variant, line)
            above.set_title(f"at most {length} tokens")
            above.set_ylim(bottom=0)
            below.axhline(1, color="#777777", linewidth=1)
            for ax in (above, below):
                plain_numbers(ax.yaxis)
                ax.set_xlim(-0.5, len(runs) - 0.5)
                ax.set_xticks([])
            step = -(-len(runs) // _LABELS)
            shown = list(range(0, len(runs), step))
            below.set_xticks(shown, [_short(*runs[i]) for i in shown], rotation=60, ha="right")
        axes[0].set_ylabel("median forward latency in ms\n(bar: fastest to slowest round)")
        axes[len(lengths)].set_ylabel("speed-up\n(bar: 95 % interval)")
        names = list(dict.fromkeys(variant for variant, _ in lines))
        joined = Line2D([], [], color="#999999", label="same machine, model and data")
        figure.legend(handles=[*legend_of(names), joined], loc="outside lower center", ncols=4)
    return True


def _draw(above: Axes, below: Axes, at: dict[str, int], variant: str, line: Sequence[Point]) -> None:
    color, marker = look(variant)
    for _, alike in groupby(line, key=lambda p: (p.place, p.subject)):
        part = list(alike)
        x = [at[p.run_id] for p in part]
        medians = [p.median_ms for p in part]
        above.plot(x, medians, color=color, marker=marker, markersize=5, linewidth=1)
        above.vlines(x, [p.low_ms for p in part], [p.high_ms for p in part], color=color, alpha=0.5)
        ratios = [(at[p.run_id], p.speedup) for p in part if p.speedup is not None]
        below.plot(*zip(*ratios, strict=True), color=color, marker=marker, markersize=5, linewidth=1)
        for p in part:
            if p.speedup_low is not None and p.speedup_high is not None:
                below.vlines(at[p.run_id], p.speedup_low, p.speedup_high, color=color, alpha=0.5)


def _short(started_at: str, run_id: str) -> str:
    try:
        return f"{datetime.fromisoformat(started_at):%m-%d %H:%M}"
    except ValueError:
        return label(run_id)[:16]
