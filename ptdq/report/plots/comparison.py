"""Plots that compare variants: ratios of rounds with their interval, and the Pareto chart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ptdq.analysis import tables
from ptdq.analysis.tables import FigureRow
from ptdq.numbers import ratio
from ptdq.report.plots.style import canvas, label, legend_of, log_x, look, plain_numbers
from ptdq.store.rows import ComparisonRow
from ptdq.store.run import Run


def ratios(run: Run, path: Path) -> bool:
    """Speed-up of every round, and its interval."""
    rows = [row for row in tables.against_baseline(run) if row["speedup"] is not None]
    if not rows:
        return False
    order = {name: place for place, name in enumerate(run.variants)}
    rows.sort(key=lambda r: (order.get(r["variant"], 0), r["max_length"]))
    with canvas(path, 1, 1, 1.35 + 0.36 * len(rows)) as (figure, (ax,)):
        for place, row in enumerate(rows):
            _ratio(ax, place, row)
        ax.axvline(1, color="#777777", linewidth=1, zorder=2)
        ax.set_yticks(range(len(rows)), [f"{label(r['variant'])}, {r['max_length']}" for r in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.grid(False, axis="y")
        plain_numbers(ax.xaxis)
        left, right = ax.get_xlim()
        ax.set_xlim(min(left, 0.9), max(right, 1.1))
        ax.set_xlabel(f"times as fast as {label(run.baseline)} (median forward latency)")
        figure.legend(
            handles=[
                Line2D([], [], marker="o", linestyle="", color="#4d4d4d", markersize=4),
                Line2D([], [], marker="|", linestyle="-", color="#4d4d4d", linewidth=2.6),
            ],
            labels=["a round, first on top", "estimate and 95 % interval"],
            loc="outside lower center",
            ncols=2,
        )
    return True


def _ratio(ax: Axes, place: int, row: ComparisonRow) -> None:
    color, _ = look(row["variant"])
    rounds = _rounds(row)
    spread = np.linspace(-0.3, -0.12, len(rounds)) if len(rounds) > 1 else np.array([-0.2])
    ax.scatter(rounds, place + spread[: len(rounds)], s=15, color=color, alpha=0.6, linewidths=0)
    if (low := row["speedup_low"]) is not None and (high := row["speedup_high"]) is not None:
        ax.plot([low, high], [place + 0.12] * 2, color=color, linewidth=2.6, solid_capstyle="butt")
    point = row["speedup"] or np.nan
    ax.plot(point, place + 0.12, marker="|", color=color, markersize=11, markeredgewidth=2)
    ax.annotate(
        ratio(point),
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )


def _rounds(row: ComparisonRow) -> list[float]:
    return [value for value in row["round_speedups"] or [] if value is not None]


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
            ax.set_xlabel("median forward latency in ms")
            ax.margins(0.16, 0.2)
            ax.set_title(f"at most {length} tokens")
            log_x(ax, [x for (_, of), (x, _) in points.items() if of == length])
            plain_numbers(ax.yaxis)
            ax.label_outer(remove_inner_ticks=False)
        axes[0].set_ylabel(
            "weighted F1 (up is better; area: artifact size)"
            if run.quality
            else "artifact in MB (down is better)"
        )
        figure.legend(handles=legend_of(names), loc="outside lower center", ncols=4)
    return True


def _point(run: Run, row: FigureRow) -> tuple[float, float] | None:
    """Where a variant stands in the Pareto chart; None where a figure is missing."""
    x, y = row["forward_p50_ms"], row["f1_weighted"] if run.quality else row["artifact_mb"]
    return None if x is None or y is None else (x, y)
