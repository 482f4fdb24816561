"""The run's tables in the terminal: ``ptdq show RUN``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptdq.analysis import tables
from ptdq.report import columns
from ptdq.report.columns import Column
from ptdq.store.layout import RunFiles
from ptdq.store.run import load, round_name
from ptdq.text import plain

T = TypeVar("T")

WIDTH = 140
"""Columns where the output is no terminal: rich would take 80, and break the cells of the tables."""


_ANY = 10_000
"""Columns that no table needs: what is measured with them is as wide as it would like to be."""


def console() -> Console:
    """A console as wide as the terminal; wide enough for the tables in a pipe or a log."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def show(files: RunFiles, console: Console) -> None:
    """Print verdict, figures and comparisons of a run.

    Raises:
        UserError: see :func:`ptdq.store.run.load`.
    """
    run = load(files)
    variant = plain(run.get("verdict", "variant", default=""))
    headline = plain(run.get("verdict", "headline", default=""))
    style = {"ship": "bold green", "don't ship": "bold red"}.get(run.decision, "bold yellow")
    console.print(Text(f"Verdict: {plain(run.decision)} {variant}".strip(), style=style))
    console.print(Text(headline))
    if run.record.status == "broken off":
        console.print(Text(f"Broken off: {plain(run.record.broken_off or 'no reason is recorded')}"))
    for reason in run.get("verdict", "reasons", default=[]):
        console.print(Text(f"  {plain(reason)}"))
    _print(console, "Figures", columns.figures(run), tables.figures(run))
    compared = tables.against_baseline(run)
    _print(console, f"Speed-up over {plain(run.baseline)}", columns.speedups(), compared)
    for line in columns.fastest_lines(run):
        console.print(Text(plain(line)))
    if run.quality:
        _print(console, f"Quality against {plain(run.baseline)}", columns.differences(run), compared)
    for cell in run.failed:
        name = f"{cell['variant']}, length {cell['max_length']}, {round_name(cell['repeat'])}"
        console.print(Text(plain(f"failed: {name}: {cell['error']}"), style="red"))


def _print(console: Console, title: str, shown: Sequence[Column[T]], rows: Iterable[T]) -> None:
    rows = list(rows)
    if not rows:
        return
    table = _table(title, shown, rows)
    if console.measure(table, options=console.options.update(max_width=_ANY)).maximum > console.width:
        table = _table(title, [_short(column) for column in shown if not column.minor], rows)
    console.print(table)


def _short(column: Column[T]) -> Column[T]:
    """The same without what its words say in addition; the report has it."""
    if not column.words:
        return column
    return replace(column, text=lambda row: re.split(r": | \(", column.text(row))[0])


def _table(title: str, shown: Sequence[Column[T]], rows: Sequence[T]) -> Table:
    # Few lines and no padding at the edges: nine columns fit into eighty characters.
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in shown:
        left = column.data or column.words
        table.add_column(
            column.heading, justify="left" if left else "right", overflow="fold", no_wrap=column.data
        )
    for row in rows:
        # Text, not str: rich would read square brackets in data as markup.
        table.add_row(*(Text(plain(column.text(row))) for column in shown))
    return table
