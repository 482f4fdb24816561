"""How often predictions of similar confidence are right."""

from __future__ import annotations

from pathlib import Path

from ptdq.report.plots.style import canvas, label, legend_of, look, plain_numbers
from ptdq.store.rows import CalibrationRow
from ptdq.store.run import Run


def reliability(run: Run, path: Path) -> bool:
    """Share of right predictions against confidence, a panel a length; on the line it is honest."""
    points = run.rows(CalibrationRow) if run.quality else []
    if not points:
        return False
    lengths = sorted({row["max_length"] for row in points})
    names = [name for name in run.variants if any(row["variant"] == name for row in points)]
    most = max(row["documents"] for row in points)
    with canvas(path, 1, len(lengths), 4.0) as (figure, axes):
        for ax, length in zip(axes, lengths, strict=True):
            ax.sharey(axes[0])
            ax.plot([0, 1], [0, 1], color="#999999", linewidth=0.9, linestyle="--", zorder=1)
            for name in names:
                own_points = [r for r in points if (r["variant"], r["max_length"]) == (name, length)]
                color, marker = look(name)
                x, y = [r["confidence"] for r in own_points], [r["accuracy"] for r in own_points]
                ax.plot(x, y, color=color, linewidth=1, alpha=0.7, zorder=2)
                sizes = [12 + 90 * r["documents"] / most for r in own_points]
                ax.scatter(x, y, s=sizes, color=color, marker=marker, alpha=0.75, linewidths=0, zorder=3)
            ax.set_title(f"at most {label(length)} tokens")
            ax.set_xlabel("mean confidence")
            ax.set_xlim(min(r["confidence"] for r in points) - 0.05, 1.03)
            ax.set_ylim(-0.03, 1.03)
            plain_numbers(ax.xaxis)
            plain_numbers(ax.yaxis)
            ax.label_outer(remove_inner_ticks=False)
        axes[0].set_ylabel("share of right predictions (area: documents)")
        figure.legend(handles=legend_of(names), loc="outside lower center", ncols=4)
    return True
