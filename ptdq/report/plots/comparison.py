"""Plots that compare variants: ratios of rounds with their interval, and the Pareto chart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ptdq.analysis import tables
from ptdq.analysis.tables import FigureRow
from ptdq.numbers import percent, ratio
from ptdq.report.columns import main_words
from ptdq.report.plots.style import canvas, label, legend_of, log_x, look, plain_numbers
from ptdq.store.rows import ComparisonRow
from ptdq.store.run import Run


def ratios(run: Run, path: Path) -> bool:
    """Speed-up of every round, and its interval: of the time per document, which decides.

    Runs of schema version 1 have that of the median alone.
    """
    compared = tables.against_baseline(run)
    old = all(row["speedup_total"] is None for row in compared)
    bars = [bar for row in compared if (bar := _bar(run, row, old)) is not None]
    if not bars:
        return False
    order = {name: place for place, name in enumerate(run.variants)}
    bars.sort(key=lambda bar: (order.get(bar.variant, 0), bar.max_length))
    small = tables.min_effect(run)
    with canvas(path, 1, 1, 1.35 + 0.36 * len(bars)) as (figure, (ax,)):
        if not old:
            ax.axvspan(1 / (1 + small), 1 + small, color="#dddddd", linewidth=0, zorder=1)
        for place, bar in enumerate(bars):
            _draw(ax, place, bar)
        ax.axvline(1, color="#777777", linewidth=1, zorder=2)
        ax.set_yticks(range(len(bars)), [f"{label(bar.variant)}, {bar.max_length}" for bar in bars])
        ax.set_ylim(len(bars) - 0.4, -0.6)
        ax.grid(False, axis="y")
        plain_numbers(ax.xaxis)
        left, right = ax.get_xlim()
        ax.set_xlim(min(left, 0.9), max(right, 1.1))
        what = "median forward latency" if old else "time per document, tokenization included"
        ax.set_xlabel(f"times as fast as {label(run.baseline)} ({what})")
        grey = "#4d4d4d"
        handles: list[Line2D | Patch] = [
            Line2D([], [], marker="o", linestyle="", markersize=4, color=grey),
            Line2D([], [], marker="|", linestyle="-", linewidth=2.6, color=grey),
        ]
        labels = ["a round, first on top", "estimate and 95 % interval"]
        if not old:
            handles += [Line2D([], [], linewidth=0.9, color=grey), Patch(color="#dddddd")]
            labels += ["the interval for all at once", f"the same, within {percent(small)}"]
        figure.legend(handles=handles, labels=labels, loc="outside lower center", ncols=2)
    return True


@dataclass(frozen=True)
class _Bar:
    """What is drawn of one comparison."""

    variant: str
    max_length: int
    rounds: list[float]
    point: float
    interval: tuple[float | None, float | None]
    for_all: tuple[float | None, float | None]


_NOTHING: tuple[float | None, float | None] = (None, None)


def _bar(run: Run, row: ComparisonRow, old: bool) -> _Bar | None:
    point = row["speedup"] if old else row["speedup_total"]
    if point is None:
        return None
    if old:
        rounds = [value for value in row["round_speedups"] or [] if value is not None]
        interval, for_all = (row["speedup_low"], row["speedup_high"]), _NOTHING
    else:
        rounds = _round_speedups(run, row)
        interval = row["speedup_total_low"], row["speedup_total_high"]
        for_all = row["speedup_total_simultaneous_low"], row["speedup_total_simultaneous_high"]
    return _Bar(row["variant"], row["max_length"], rounds, point, interval, for_all)


def _round_speedups(run: Run, row: ComparisonRow) -> list[float]:
    """Ratio of the mean times per document in each round, the cores' own speed still in it."""
    means: dict[str, dict[int, list[float]]] = {row["baseline"]: {}, row["variant"]: {}}
    for cell in run.good:
        if cell["variant"] in means and cell["max_length"] == row["max_length"] and cell["total_mean_ms"]:
            means[cell["variant"]].setdefault(cell["repeat"], []).append(cell["total_mean_ms"])
    before, after = means[row["baseline"]], means[row["variant"]]
    # With isolation "same" a round has a cell on each core.
    return [geometric_mean(before[r]) / geometric_mean(after[r]) for r in sorted(before.keys() & after)]


def _draw(ax: Axes, place: int, bar: _Bar) -> None:
    color, _ = look(bar.variant)
    many = len(bar.rounds)
    spread = np.linspace(-0.3, -0.12, many) if many > 1 else np.full(many, -0.2)
    ax.scatter(bar.rounds, place + spread, s=15, color=color, alpha=0.6, linewidths=0, zorder=3)
    for (low, high), width in ((bar.for_all, 0.9), (bar.interval, 2.6)):
        if low is not None and high is not None:
            line = [low, high], [place + 0.12] * 2
            ax.plot(*line, color=color, linewidth=width, solid_capstyle="butt", zorder=3)
    ax.plot(bar.point, place + 0.12, marker="|", color=color, markersize=11, markeredgewidth=2)
    ax.annotate(
        ratio(bar.point),
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )


def pareto(run: Run, path: Path) -> bool:
    """Latency against weighted F1 with size as area; against size where quality is not claimed."""
    rows = tables.figures(run)
    points = {(r["variant"], r["max_length"]): at for r in rows if (at := _point(run, r)) is not None}
    lengths = sorted({length for _, length in points})
    names = list(dict.fromkeys(variant for variant, _ in points))
    if len(names) < 3:
        return False
    sizes = {r["variant"]: r["artifact_mb"] or 0 for r in rows}
    largest = max(sizes.values()) or 1
    with canvas(path, 1, len(lengths), 4.2) as (figure, axes):
        for ax, length in zip(axes, lengths, strict=True):
            ax.sharey(axes[0])
            at_length = [r for r in rows if r["max_length"] == length]
            front = tables.front(at_length, quality=run.quality)
            line = [points[r["variant"], length] for r in front]
            ax.plot(*zip(*line, strict=True), color="#999999", linewidth=1, linestyle="--", zorder=1)
            for variant in names:
                if (variant, length) in points:
                    color, marker = look(variant)
                    area = 60 if not run.quality else 30 + 420 * sizes[variant] / largest
                    x, y = points[variant, length]
                    ax.scatter(x, y, s=area, color=color, marker=marker, alpha=0.85)
            ax.set_xlabel("time per document in ms, tokenization included")
            ax.margins(0.16, 0.2)
            ax.set_title(f"at most {length} tokens")
            log_x(ax, [x for (_, of), (x, _) in points.items() if of == length])
            plain_numbers(ax.yaxis)
            ax.label_outer(remove_inner_ticks=False)
        axes[0].set_ylabel(
            f"{main_words(run)} (up is better; area: artifact size)"
            if run.quality
            else "artifact in MB (down is better)"
        )
        figure.legend(handles=legend_of(names), loc="outside lower center", ncols=4)
    return True


def _point(run: Run, row: FigureRow) -> tuple[float, float] | None:
    """Where a variant stands in the Pareto chart; None where a figure is missing."""
    x, y = row["total_mean_ms"], tables.score(row) if run.quality else row["artifact_mb"]
    return None if x is None or y is None else (x, y)
