"""How every plot looks: one palette, fixed for each variant, and one way to save.

Colours are those of Okabe and Ito and of Tol's muted scheme, told apart with every common colour
blindness; a marker goes with each, so that colour is never the only sign.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from PIL import Image

from ptdq.store.disk import replacing

DPI = 120
WIDTH = 8.4
INK = "#333333"

_VARIANTS = {
    "fp32": ("#4d4d4d", "o"),
    "int8-dynamic": ("#0072B2", "s"),
    "int8-dynamic-embeddings": ("#56B4E9", "D"),
    "float16-dynamic": ("#CC79A7", "^"),
    "bfloat16": ("#AA4499", "v"),
    "fp32-compiled": ("#999999", "P"),
    "bfloat16-compiled": ("#CC6677", "P"),
    "int8-torchao": ("#009E73", "X"),
    "int8-pt2e-dynamic": ("#E69F00", "<"),
    "int8-pt2e-static": ("#D55E00", ">"),
    "int8-mixed-bf16": ("#44AA99", ">"),
    "onnx-fp32": ("#999933", "p"),
    "onnx-int8-dynamic": ("#117733", "h"),
    "onnx-int8-static": ("#DDCC77", "h"),
    "openvino-fp32": ("#88CCEE", "d"),
    "openvino-bfloat16": ("#6699CC", "d"),
    "openvino-int8-static": ("#332288", "H"),
    "openvino-int8-static-bf16": ("#AA3377", "H"),
    "int8-best": ("#882255", "*"),
}
_OTHERS = [
    (color, marker)
    for marker in ("8", "d", "p", "h")
    for color in ("#CC6677", "#44AA99", "#AA4499", "#999933", "#882255", "#332288")
]

_LOG_TICKS = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,))

_RC: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "figure.facecolor": "white",
    "font.size": 9.5,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "text.color": INK,
}


def look(variant: str) -> tuple[str, str]:
    """Colour and marker of a variant: the same in every plot of every run."""
    if variant in _VARIANTS:
        return _VARIANTS[variant]
    return _OTHERS[zlib.crc32(variant.encode()) % len(_OTHERS)]


def label(text: object) -> str:
    """A name in a plot. No font for it can be assumed, and ``$`` would start a formula."""
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in str(text))
    return shown.replace("$", r"\$")[:32]


@contextmanager
def canvas(path: Path, rows: int, columns: int, height: float) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with its axes row by row, saved to ``path`` when the block ends well.

    Made without pyplot, which would keep every figure alive and may want a display.
    """
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        yield figure, list(grid.flat)
        with replacing(path) as temporary:
            # A palette makes a third of the size. The octree keeps the colours of thin lines, which
            # the default (median cut) merges.
            buffer = BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI)
            image = Image.open(buffer).convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE)
            image.save(temporary, format="PNG", optimize=True)


def plain_numbers(axis: Axis) -> None:
    """Few ticks, written as numbers and never as powers or offsets."""
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log_x(ax: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis with plain numbers; linear where values span less than threefold."""
    known = [value for value in values if value > 0]
    span = max(known) / min(known) if known else 1
    if span > 3:
        ax.set_xscale("log")
    plain_numbers(ax.xaxis)
    if span > 3:
        ax.xaxis.set_major_locator(LogLocator(subs=_LOG_TICKS[(span > 8) + (span > 400)]))
        ax.xaxis.set_minor_formatter(NullFormatter())


def legend_of(variants: Iterable[str]) -> list[Line2D]:
    """Legend handles of variants."""
    return [
        Line2D([], [], color=look(v)[0], marker=look(v)[1], linestyle="", label=label(v))
        for v in variants
    ]
