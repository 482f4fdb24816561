"""Where the width of the intervals comes from, and what would narrow them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.report import columns
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import paragraphs
from ptdq.report.sections.page import Page
from ptdq.statistics.variance_parts import Parts
from ptdq.store.rows import ComparisonRow

Spreads = Mapping[tuple[str, int], float]


def uncertainty(page: Page) -> str:
    """The parts of the variance, so that a reader knows what more time is best spent on."""
    rows = [row for row in tables.against_baseline(page.run) if row["rounds_se"] is not None]
    if not rows:
        return ""
    noted = page.run.record.history
    spreads = {(s["variant"], s["max_length"]): float(s["sd"]) for s in (noted.spreads if noted else [])}
    known = [row for row in rows if row["calls_se"] is not None]
    return paragraphs(
        "## Where the uncertainty comes from",
        paragraphs(to_markdown(_shares(spreads), known), _SHARES_NOTE) if known else "",
        to_markdown(_SIZES, rows),
        "Of the speed-up of the time per document, in per cent of it. Documents, rounds: standard "
        "errors. One cell, between cores: standard deviations of a cell's time, and of the cores' own "
        "speed, which is taken out. A variant that is noisier than the others has a variance of its own, "
        "with fewer degrees of freedom.",
    )


_SHARES_NOTE = (
    "Shares of the variance of the speed-up of the time per document (components of variance by "
    "moments: Searle, Casella and McCulloch 1992). What rounds and cores have in common is out of it "
    "already. Documents: that these were chosen. Calls: single calls differ, and both more documents and "
    "more rounds help. Processes: fresh processes differ, and more rounds alone help. Cores: what it "
    "costs to take their speed out. The interval is given by half its width, now and as it would be "
    "about with twice the documents or twice the rounds, which both take about twice the time. Between "
    "runs: standard deviation by which runs of the same content differ beyond their own intervals, of "
    "the runs like this one; it is not in the interval, and no longer run would show it. It has no "
    "figure where there are too few of them."
)


def _shares(spreads: Spreads) -> list[Column[ComparisonRow]]:
    return [
        columns.VARIANT,
        columns.LENGTH,
        *map(_share, range(4), ("documents", "calls", "processes", "cores")),
        Column("interval", lambda r: _half(r, 1.0)),
        Column("twice the documents", lambda r: _half(r, _parts(r).narrower(documents=2))),
        Column("twice the rounds", lambda r: _half(r, _parts(r).narrower(rounds=2))),
        Column("narrows most", lambda r: _best(_parts(r)), words=True),
        Column("between runs", lambda r: _between(spreads, r)),
    ]


def _share(place: int, name: str) -> Column[ComparisonRow]:
    return Column(name, lambda r: numbers.percent(_parts(r).shares[place], 0))


def _parts(row: ComparisonRow) -> Parts:
    errors = (row["documents_se"], row["rounds_se"], row["calls_se"], row["cores_se"])
    return Parts.of(*(error or 0.0 for error in errors))


def _half(row: ComparisonRow, times: float) -> str:
    low, high = row["speedup_total_low"], row["speedup_total_high"]
    if not low or not high:
        return numbers.MISSING
    return f"± {numbers.percent(float(np.expm1(np.log(high / low) / 2 * times)))}"


def _best(parts: Parts) -> str:
    by_documents, by_rounds = parts.narrower(documents=2), parts.narrower(rounds=2)
    if abs(by_documents - by_rounds) < 0.02:
        return "either"
    return "documents" if by_documents < by_rounds else "rounds"


def _between(spreads: Spreads, row: ComparisonRow) -> str:
    sd = spreads.get((row["variant"], row["max_length"]))
    return "none" if sd is None else numbers.percent(sd, 2)


_SIZES: list[Column[ComparisonRow]] = [
    columns.VARIANT,
    columns.LENGTH,
    Column("documents", lambda r: numbers.percent(r["documents_se"], 2)),
    Column("rounds", lambda r: numbers.percent(r["rounds_se"], 2)),
    Column("one cell", lambda r: numbers.percent(r["cell_sd"], 2)),
    Column("between cores", lambda r: numbers.percent(r["cores_sd"], 2)),
    Column("degrees of freedom", lambda r: columns.number(r["speedup_total_df"])),
    Column("variance", lambda r: "its own" if r["noisier"] else "pooled", words=True),
]
