"""The report's plots: PNG files beside it, drawn from the tables alone.

A new plot is one function from run and path to whether there was something to draw, and one line
below. No text of the data is drawn: no font for it can be assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ptdq.report.plots.comparison import pareto, ratios
from ptdq.report.plots.latency import course, distribution, tokens
from ptdq.report.plots.reliability import reliability
from ptdq.report.plots.time_spent import why
from ptdq.store.run import Run

PLOTS: dict[str, Callable[[Run, Path], bool]] = {
    "latency": distribution,
    "tokens": tokens,
    "ratios": ratios,
    "pareto": pareto,
    "reliability": reliability,
    "course": course,
    "why": why,
}


def draw(run: Run) -> dict[str, Path]:
    """Draw every plot that the run has data for; name to path."""
    paths: dict[str, Path] = {}
    for name, plot in PLOTS.items():
        path = run.files.plot(name)
        if plot(run, path):
            paths[name] = path
        elif run.get("pruned") and path.is_file():
            paths[name] = path  # of before, when the rows of documents were there
        else:
            path.unlink(missing_ok=True)  # of an earlier report, of other data
    return paths
