"""A run in a notebook: verdict, tables and the main plot as HTML that no data can break out of."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TypeVar

import pandas as pd

from ptdq.analysis import tables
from ptdq.report import columns
from ptdq.report.columns import Column
from ptdq.report.sections.opening import RANDOM, SYNTHETIC
from ptdq.store.record_model import VerdictRecord
from ptdq.store.run import Run, round_name
from ptdq.text import plain

PLOTS = ("ratios", "latency")
"""Of these, the first that the run has is shown."""

T = TypeVar("T")


def html(run: Run) -> str:
    """The run, without its documents and without links to files."""
    verdict = run.record.verdict or VerdictRecord(decision=run.decision)
    compared = tables.against_baseline(run)
    return "\n".join(
        [
            f"<h3>{_text(' '.join(['Verdict:', run.decision, verdict.variant or '']))}</h3>",
            f"<p><b>{_text(verdict.headline)}</b></p>",
            "<ul>",
            *(f"<li>{_text(reason)}</li>" for reason in verdict.reasons),
            "</ul>",
            *(f"<p>{_text(caveat)}</p>" for caveat in _caveats(run)),
            _table("Figures", columns.figures(run), tables.figures(run)),
            _table(f"Speed-up over {run.baseline}", columns.speedups(), compared),
            *(f"<p>{_text(line)}</p>" for line in columns.fastest_lines(run)),
            _table(f"Quality against {run.baseline}", columns.differences(run), compared)
            if run.quality
            else "",
            _plot(run),
        ]
    )


def _text(value: object) -> str:
    return escape(plain(value))


def _caveats(run: Run) -> list[str]:
    """What a reader must know before the figures."""
    return [
        *([SYNTHETIC.replace("**", "")] if run.record.data.synthetic else []),
        *([RANDOM.replace("**", "")] if run.random_weights else []),
        *(
            f"Failed: {cell['variant']}, {cell['max_length']} tokens, {round_name(cell['repeat'])}: "
            f"{cell['error']}"
            for cell in run.failed
        ),
    ]


def _table(title: str, shown: Sequence[Column[T]], rows: Sequence[T]) -> str:
    if not rows:
        return ""
    frame = pd.DataFrame(
        [[plain(column.text(row)) for column in shown] for row in rows],
        columns=[column.heading for column in shown],
    )
    return f"<h4>{_text(title)}</h4>\n" + frame.to_html(index=False, escape=True, border=0)


def _plot(run: Run) -> str:
    for name in PLOTS:
        path = run.files.plot(name)
        if path.is_file():
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            return f'<img alt="{name}" src="data:image/png;base64,{encoded}">'
    return ""
