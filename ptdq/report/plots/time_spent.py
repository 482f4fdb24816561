"""Where the time of a document goes: a bar for each variant, stacked by class of operation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.patches import Patch

from ptdq.analysis.spent import Spent, spent
from ptdq.numbers import ms
from ptdq.profile.operation import PARTS
from ptdq.report.plots.style import canvas, label, plain_numbers
from ptdq.store.run import Run

_LOOKS = {
    "int8 products": ("#0072B2", ""),
    "float products": ("#56B4E9", "//"),
    "attention": ("#D55E00", ""),
    "normalization and activation": ("#E69F00", "\\\\"),
    "quantize and dequantize": ("#CC79A7", ".."),
    "copies and layout": ("#009E73", "xx"),
    "other operations": ("#bbbbbb", ""),
    "framework": ("#666666", "--"),
}
"""Class to colour and hatching, so that colour is never the only sign."""


def why(run: Run, path: Path) -> bool:
    """The bars of all that ``ptdq why`` was asked of a run."""
    bars = spent(run)
    if not bars:
        return False
    time_spent(bars, path)
    return True


def time_spent(bars: Sequence[Spent], path: Path) -> None:
    """The bars of some variants, the first on top."""
    with canvas(path, 1, 1, 1.6 + 0.5 * len(bars)) as (figure, (ax,)):
        for place, one in enumerate(bars):
            left = 0.0
            for part in PARTS:
                width = one.ms_by_part[part]
                color, hatch = _LOOKS[part]
                ax.barh(
                    place, width, 0.62, left, color=color, hatch=hatch, edgecolor="white", linewidth=0.5
                )
                left += width
            ax.annotate(
                f"{ms(left)} ms", (left, place), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=9,
            )  # fmt: skip
        names = [f"{label(one.profile['variant'])}, {one.profile['max_length']}" for one in bars]
        ax.set_yticks(range(len(bars)), names)
        ax.set_ylim(len(bars) - 0.4, -0.6)
        ax.grid(False, axis="y")
        ax.margins(x=0.12)
        ax.set_xlim(0)
        plain_numbers(ax.xaxis)
        ax.set_xlabel("milliseconds of a document while its runtime's profiler ran")
        handles = [
            Patch(facecolor=_LOOKS[part][0], hatch=_LOOKS[part][1], edgecolor="white", label=part)
            for part in PARTS
            if any(one.ms_by_part[part] > 0 for one in bars)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
