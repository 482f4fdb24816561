"""Which columns a table shows and how: said once, for Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ptdq import numbers
from ptdq.report import markdown
from ptdq.statistics.ratios import MIN_ROUNDS
from ptdq.store.run import Row, Run


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        heading: its name, with the unit.
        text: what it shows of a row, as plain text.
        data: whether the text comes from the user or the data, and must be shown as such.
        words: whether it is text rather than a number.
    """

    heading: str
    text: Callable[[Row], str]
    data: bool = False
    words: bool = False


def to_markdown(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    """The table in Markdown."""
    return markdown.table(
        [column.heading for column in columns],
        [
            [markdown.code(c.text(row)) if c.data else markdown.prose(c.text(row)) for c in columns]
            for row in rows
        ],
        left=[i for i, column in enumerate(columns) if column.data or column.words],
    )


VARIANT = Column("variant", lambda r: r["variant"], data=True)
LENGTH = Column("max length", lambda r: str(r["max_length"]))
DOCUMENTS = Column("documents", lambda r: numbers.count(r["documents"]))


def figures(run: Run) -> list[Column]:
    """Columns of :func:`ptdq.analysis.tables.figures`."""
    quality = [
        Column("weighted F1", lambda r: numbers.score(r["f1_weighted"])),
        Column("accuracy", lambda r: numbers.score(r["accuracy"])),
    ]
    return [
        VARIANT,
        LENGTH,
        Column("median ms", lambda r: numbers.ms(r["forward_p50_ms"])),
        Column("p95 ms", lambda r: numbers.ms(r["forward_p95_ms"])),
        Column("mean total ms", lambda r: numbers.ms(r["total_mean_ms"])),
        Column("documents/s", lambda r: numbers.rate(r["documents_per_second"])),
        *(quality if run.quality else []),
        Column("artifact MB", lambda r: numbers.megabytes(r["artifact_mb"])),
    ]


def speedups() -> list[Column]:
    """Latency columns of :func:`ptdq.analysis.tables.comparisons`."""
    return [
        VARIANT,
        LENGTH,
        Column("rounds", lambda r: str(r["rounds"])),
        Column("speed-up of median", lambda r: numbers.ratio(r["speedup"])),
        Column("95 % interval", lambda r: ratio_interval(r, "speedup")),
        Column("speed-up of p95", lambda r: numbers.ratio(r["speedup_p95"])),
        Column("95 % interval", lambda r: ratio_interval(r, "speedup_p95")),
        Column("noise floor", lambda r: numbers.ratio(r["noise_floor"])),
        Column("verdict", latency_verdict, words=True),
    ]


def differences() -> list[Column]:
    """Quality columns of :func:`ptdq.analysis.tables.comparisons`."""
    return [
        VARIANT,
        LENGTH,
        Column("F1 difference", lambda r: numbers.change(r["f1_weighted_difference"])),
        Column("95 % interval", lambda r: _difference_interval(r, "f1_weighted_difference")),
        Column("F1 kept", lambda r: numbers.percent(r["f1_ratio"], 2)),
        Column("95 % lower bound", lambda r: numbers.percent(r["f1_ratio_low"], 2)),
        Column("McNemar p", lambda r: numbers.probability(r["mcnemar_p"])),
        Column("agreement", lambda r: numbers.percent(r["agreement"], 2)),
        Column("at the margin", quality_verdict, words=True),
    ]


def ratio_interval(row: Row, name: str) -> str:
    """The interval of a speed-up, or why there is none."""
    if row[name] is None:
        return numbers.MISSING
    if row[f"{name}_low"] is not None:
        return numbers.interval(row[f"{name}_low"], row[f"{name}_high"])
    if row.get("rounds", MIN_ROUNDS) < MIN_ROUNDS:
        return f"no interval: fewer than {MIN_ROUNDS} rounds"
    return f"no interval: {row[f'{name}_refused'] or 'too few data'}"


def latency_verdict(row: Row) -> str:
    """The verdict in words; what confounds it is said, not hidden behind it."""
    if row["confounded"]:
        return f"confounded: {row['confounded']}"
    verdict = row["latency_verdict"] or numbers.MISSING
    if row["rounds_needed"] is not None and row["rounds_needed"] > row["rounds"]:
        verdict += f" (about {row['rounds_needed']} rounds would settle it)"
    return str(verdict)


def quality_verdict(row: Row) -> str:
    """Non-inferiority in words, and what it would take to decide it."""
    verdict = row["non_inferiority"] or numbers.MISSING
    if row.get("documents_needed"):
        verdict += f" (about {numbers.count(row['documents_needed'])} documents would decide it)"
    return str(verdict)


def _difference_interval(row: Row, name: str) -> str:
    return numbers.interval(row[f"{name}_low"], row[f"{name}_high"], digits=4, sign=True)
