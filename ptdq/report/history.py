"""Runs over time: trend tables in the terminal, and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptdq import numbers
from ptdq.analysis.history import Point, series
from ptdq.analysis.shifts import TIME, Shift, Trend
from ptdq.problem.task import MEASURES, SINGLE, main_measure
from ptdq.report.plots.style import INK, canvas, label, legend_of, look, plain_numbers
from ptdq.report.sections.history import together
from ptdq.text import plain

WEIGHTED_F1 = MEASURES[SINGLE][main_measure(SINGLE)].words

_LABELS = 12  # runs named below the plot


QUALITY = "quality"
"""Heading of the main measures of runs whose tasks are not the same."""

_HEADINGS = (
    "started", "run", "median ms", "p95 ms", "change", "speed-up", QUALITY, "flagged", "verdict",
)  # fmt: skip


_LEGEND = (
    "Forward latency; change: of the median since the run above; speed-up: over the run's own baseline "
    "variant, with its 95 % interval; F1: weighted, at other tasks their main measure; flagged: cells in "
    "which something was out of line."
)


_CHANGES = (
    "E-divisive on the speed-up of the time per document and on F1, at other tasks their main measure; a "
    "false change anywhere comes in 5 % of looks at most."
)


def show(points: Sequence[Point], console: Console) -> None:
    """A table for each variant and length: the runs from the oldest to the newest."""
    for (variant, length), line in series(points).items():
        title = Text(f"{plain(variant)}, at most {length} tokens", style="bold")
        table = Table(title=title, title_justify="left", header_style="bold")
        quality = any(point.quality is not None for point in line)
        for heading in _HEADINGS:
            if heading != QUALITY or quality:
                words = heading in ("started", "run", "verdict")
                table.add_column(
                    quality_heading(line) if heading == QUALITY else heading,
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
                *([numbers.score(point.quality)] if quality else []),
                f"{point.flagged}/{point.cells}",
                plain(point.decision),
            ]
            table.add_row(*map(Text, cells))
            before = point
        console.print(table)
    if points:
        console.print(Text(_LEGEND, style="italic"))


def quality_heading(line: Sequence[Point]) -> str:
    """What the main measures of some points are called together."""
    names = {point.measure for point in line}
    (name,) = names if len(names) == 1 else (QUALITY,)
    return "F1" if name == WEIGHTED_F1 else name


def say(seen: Trend, console: Console) -> None:
    """Where figures changed their level, a line each."""
    if not seen.series:
        console.print("Changes of level: six runs of a variant, all of one design, are needed.")
        return
    if not seen.shifts:
        console.print(f"Changes of level: none in {seen.series} series.")
        return
    console.print(Text(f"Changes of level, in {seen.series} series", style="bold"))
    for shift in seen.shifts:
        p_value = numbers.probability(shift.p_value)
        line = Text(f"{_day(shift.started_at)}  {plain(shift.text)} (p {p_value})")
        console.print(line, style="red" if shift.worse else None, soft_wrap=True)
        for text in shift.differences:
            console.print(Text(f"    {plain(text)}"), soft_wrap=True)
    for text in together([shift.as_json() for shift in seen.shifts]):
        console.print(Text(plain(text)), soft_wrap=True)
    console.print(Text(_CHANGES, style="italic"))


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


def plot(points: Sequence[Point], path: Path, shifts: Sequence[Shift] = ()) -> bool:
    """Median latency (above) and speed-up (below) over the runs, a column for each length.

    Points are joined only where machine, model and data are the same. A dashed line stands before the
    first run after a change of level, in the colour of its variant.
    """
    lines = series(points)
    lengths = sorted({length for _, length in lines})
    if not lengths:
        return False
    runs = sorted({(p.started_at, p.run_id) for p in points})
    at = {run_id: number for number, (_, run_id) in enumerate(runs)}
    with canvas(path, 2, len(lengths), 6.4) as (figure, axes):
        for column, length in enumerate(lengths):
            above, below = axes[column], axes[len(lengths) + column]
            for (variant, of_length), line in lines.items():
                if of_length == length:
                    _draw(above, below, at, variant, line)
            for shift in shifts:
                if shift.max_length == length and shift.run_id in at:
                    _mark(above, below, at[shift.run_id], shift)
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
        changed = [Line2D([], [], color=INK, linestyle="--", label="change of level")] if shifts else []
        figure.legend(handles=[*legend_of(names), joined, *changed], loc="outside lower center", ncols=4)
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


def _mark(above: Axes, below: Axes, place: int, shift: Shift) -> None:
    """A change of speed below, one of quality (which has no plot of its own) above."""
    color, _ = look(shift.variant)
    ax = below if shift.measure == TIME else above
    ax.axvline(place - 0.5, color=color, linestyle="--", linewidth=1.2)
    text = f"{shift.after / shift.before - 1:+.1%}" if shift.measure == TIME else _short_name(shift)
    ax.text(
        place - 0.5, 0.98, text, transform=ax.get_xaxis_transform(), color=color, fontsize=7, va="top"
    )


def _short_name(shift: Shift) -> str:
    return "F1" if shift.measure == WEIGHTED_F1 else shift.measure


def _short(started_at: str, run_id: str) -> str:
    try:
        return f"{datetime.fromisoformat(started_at):%m-%d %H:%M}"
    except ValueError:
        return label(run_id)[:16]
