"""Plots that compare variants: ratios of rounds with their interval, and the Pareto chart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ptdq.analysis import tables
from ptdq.numbers import ratio
from ptdq.report.plots.style import GREY, canvas, label, legend_of, log_x, look, plain_numbers
from ptdq.store.run import Row, Run


def ratios(run: Run, path: Path) -> bool:
    """Speed-up of every round, its interval, and the band that identical code can fill."""
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
                Patch(facecolor=GREY),
            ],
            labels=["a round, first on top", "estimate and 95 % interval", "noise floor (A/A)"],
            loc="outside lower center",
            ncols=3,
        )
    return True


def _ratio(ax: Axes, place: int, row: Row) -> None:
    color, _ = look(row["variant"])
    floor = row["noise_floor"]
    if floor is not None:
        ax.add_patch(Rectangle((1 / floor, place - 0.42), floor - 1 / floor, 0.84, color=GREY, zorder=1))
    rounds = _rounds(row)
    spread = np.linspace(-0.3, -0.12, len(rounds)) if len(rounds) > 1 else np.array([-0.2])
    ax.scatter(rounds, place + spread[: len(rounds)], s=15, color=color, alpha=0.6, linewidths=0)
    if row["speedup_low"] is not None:
        ends = [row["speedup_low"], row["speedup_high"]]
        ax.plot(ends, [place + 0.12] * 2, color=color, linewidth=2.6, solid_capstyle="butt")
    ax.plot(row["speedup"], place + 0.12, marker="|", color=color, markersize=11, markeredgewidth=2)
    ax.annotate(
        ratio(row["speedup"]),
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )


def _rounds(row: Row) -> list[float]:
    return [value for value in row["round_speedups"] or [] if value is not None]


def pareto(run: Run, path: Path) -> bool:
    """Latency against weighted F1 with size as area; against size where quality is not claimed."""
    x, y = "forward_p50_ms", "f1_weighted" if run.quality else "artifact_mb"
    rows = [r for r in tables.figures(run) if r[x] is not None and r[y] is not None]
    lengths = sorted({r["max_length"] for r in rows})
    if not rows or len({r["variant"] for r in rows}) < 3:
        return False
    largest = max((r["artifact_mb"] or 0 for r in rows), default=0) or 1
    with canvas(path, 1, len(lengths), 4.2) as (figure, axes):
        for ax, length in zip(axes, lengths, strict=True):
            ax.sharey(axes[0])
            here = [r for r in rows if r["max_length"] == length]
            front = tables.front(here, x, y, larger_is_better=run.quality)
            points = [[r[x] for r in front], [r[y] for r in front]]
            ax.plot(*points, color="#999999", linewidth=1, linestyle="--", zorder=1)
            for row in here:
                color, marker = look(row["variant"])
                area = 60 if not run.quality else 30 + 420 * (row["artifact_mb"] or 0) / largest
                ax.scatter(row[x], row[y], s=area, color=color, marker=marker, alpha=0.85)
            ax.set_xlabel("median forward latency in ms")
            ax.margins(0.16, 0.2)
            ax.set_title(f"at most {length} tokens")
            log_x(ax, [r[x] for r in here])
            plain_numbers(ax.yaxis)
            ax.label_outer(remove_inner_ticks=False)
        axes[0].set_ylabel(
            "weighted F1 (up is better; area: artifact size)"
            if run.quality
            else "artifact in MB (down is better)"
        )
        names = list(dict.fromkeys(r["variant"] for r in rows))
        figure.legend(handles=legend_of(names), loc="outside lower center", ncols=4)
    return True
