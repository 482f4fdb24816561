"""Which variant is fastest, how sure that is and why, and what a first call costs."""

from __future__ import annotations

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.analysis.tables import FastestRow
from ptdq.report import columns
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import bullets, code, paragraphs
from ptdq.report.sections.page import Page
from ptdq.store.rows import ComparisonRow, FirstCallRow

_FASTEST: list[Column[FastestRow]] = [
    Column("variant", lambda r: r["variant"], data=True),
    Column("max length", lambda r: str(r["max_length"])),
    Column("speed-up per document", lambda r: numbers.ratio(r["speedup"])),
    Column("interval that holds for all at once", lambda r: numbers.interval(r["low"], r["high"])),
    Column("against the fastest", lambda r: _standing(r), words=True),
]


def _standing(row: FastestRow) -> str:
    if row["shrunk"] is not None:
        return "the fastest"
    return "can't be told from it" if row["best"] else "slower"


def fastest(page: Page) -> str:
    """The variants by time per document, and which of them can't be told from the best."""
    rows = tables.fastest(page.run)
    if len(page.run.measured_variants) < 3 or not rows:
        return ""
    return paragraphs(
        "## Which is fastest",
        to_markdown(_FASTEST, rows),
        "By the time per document. All intervals of a length hold at once with 95 %. Slower: the one "
        "that came out first is shown to be faster, corrected for the number of variants (Hsu 1984). "
        "Among the others size and quality decide.",
        bullets(text for row in rows if (text := _lucky(rows, row))),
    )


def _lucky(rows: list[FastestRow], row: FastestRow) -> str:
    """What the one that came out first is worth, where luck may have helped."""
    shrunk = numbers.ratio(row["shrunk"])
    if row["shrunk"] is None or shrunk == numbers.ratio(row["speedup"]):
        return ""
    others = sum(r["best"] for r in rows if r["max_length"] == row["max_length"]) - 1
    return (
        f"At {row['max_length']} tokens {code(row['variant'])} came out first of {others + 1} that can't "
        f"be told apart, which takes luck. {numbers.ratio(row['speedup'])} is as measured; expect "
        f"{shrunk}."
    )


_UNCERTAINTY: list[Column[ComparisonRow]] = [
    columns.VARIANT,
    columns.LENGTH,
    Column("documents", lambda r: numbers.percent(r["documents_se"], 2)),
    Column("rounds", lambda r: numbers.percent(r["rounds_se"], 2)),
    Column("one cell", lambda r: numbers.percent(r["cell_sd"], 2)),
    Column("between cores", lambda r: numbers.percent(r["cores_sd"], 2)),
    Column("degrees of freedom", lambda r: columns.number(r["speedup_total_df"])),
    Column("variance", lambda r: "its own" if r["noisier"] else "pooled", words=True),
]


def uncertainty(page: Page) -> str:
    """Where the width of the intervals comes from, so that a reader knows what would narrow them."""
    rows = [row for row in tables.against_baseline(page.run) if row["rounds_se"] is not None]
    if not rows:
        return ""
    return paragraphs(
        "## Where the uncertainty comes from",
        to_markdown(_UNCERTAINTY, rows),
        "Of the speed-up of the time per document, in per cent of it. Documents, rounds: standard "
        "errors; more documents narrow the first, more rounds the second. One cell, between cores: "
        "standard deviations of a cell's time, and of the cores' own speed, which is taken out. A "
        "variant that is noisier than the others has a variance of its own, with fewer degrees of "
        "freedom.",
    )


_FIRST: list[Column[FirstCallRow]] = [
    columns.VARIANT,
    columns.LENGTH,
    Column("first call ms", lambda r: numbers.ms(r["first_ms"])),
    Column("later ms", lambda r: numbers.ms(r["later_ms"])),
    Column("a first call costs ms", lambda r: numbers.ms(r["extra_ms"])),
    Column("a process pays ms", lambda r: numbers.ms(r["process_ms"])),
]


def first_calls(page: Page) -> str:
    """What the first call of an input length costs, which no other figure holds."""
    order = {name: place for place, name in enumerate(page.run.variants)}
    rows = sorted(
        page.run.rows(FirstCallRow), key=lambda r: (r["max_length"], order.get(r["variant"], 0))
    )
    if not rows:
        return ""
    return paragraphs(
        "## First calls",
        to_markdown(_FIRST, rows),
        "Some runtimes make kernels for each input length at its first call. A process that serves for "
        "long pays that once, so it is in no other figure. Medians over the lengths, of the same "
        "documents called first and later; a process pays the sum over all lengths of these documents.",
    )
