"""Which columns a table shows and how: said once, for Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

from ptdq import numbers
from ptdq.analysis import tables
from ptdq.analysis.tables import FigureRow
from ptdq.problem.task import MEASURES, OF_CLASSES, main_measure
from ptdq.report import markdown
from ptdq.statistics.rounds import MIN_ROUNDS
from ptdq.store.rows import ComparisonRow
from ptdq.store.run import Run

R = TypeVar("R", contravariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column of a table of rows of the type ``R``.

    Attributes:
        heading: its name, with the unit.
        text: what it shows of a row, as plain text.
        data: whether the text comes from the user or the data, and must be shown as such.
        words: whether it is text rather than a number.
        minor: whether a terminal that is too narrow for the table leaves it out.
    """

    heading: str
    text: Callable[[R], str]
    data: bool = False
    words: bool = False
    minor: bool = False


def to_markdown(columns: Sequence[Column[T]], rows: Iterable[T]) -> str:
    """The table in Markdown."""
    return markdown.table(
        [column.heading for column in columns],
        [
            [markdown.code(c.text(row)) if c.data else markdown.prose(c.text(row)) for c in columns]
            for row in rows
        ],
        left=[i for i, column in enumerate(columns) if column.data or column.words],
    )


class _Named(TypedDict, total=False):
    variant: str


class _Long(TypedDict, total=False):
    max_length: int


VARIANT: Column[_Named] = Column("variant", lambda r: r["variant"], data=True)
LENGTH: Column[_Long] = Column("max length", lambda r: str(r["max_length"]))


def figures(run: Run) -> list[Column[FigureRow]]:
    """Columns of :func:`ptdq.analysis.tables.figures`."""
    quality: list[Column[FigureRow]] = [
        Column(main_words(run), lambda r: numbers.score(tables.score(r))),
        Column("accuracy", lambda r: numbers.score(r["accuracy"]), minor=True),
    ]
    if run.task not in OF_CLASSES:
        quality = quality[:1]
    return [
        VARIANT,
        LENGTH,
        Column("mean total ms", lambda r: numbers.ms(r["total_mean_ms"])),
        Column("documents/s", lambda r: numbers.rate(r["documents_per_second"])),
        Column("median ms", lambda r: numbers.ms(r["forward_p50_ms"]), minor=True),
        Column("p95 ms", lambda r: numbers.ms(r["forward_p95_ms"]), minor=True),
        *(quality if run.quality else []),
        Column("artifact MB", lambda r: numbers.megabytes(r["artifact_mb"])),
    ]


def speedups() -> list[Column[ComparisonRow]]:
    """Latency columns of :func:`ptdq.analysis.tables.comparisons`."""
    return [
        VARIANT,
        LENGTH,
        Column("rounds", lambda r: str(r["rounds"]), minor=True),
        Column("speed-up per document", lambda r: numbers.ratio(r["speedup_total"])),
        Column("95 % interval", lambda r: total_interval(r)),
        Column("of the median", lambda r: numbers.ratio(r["speedup"]), minor=True),
        Column("95 % interval", lambda r: speedup_interval(r), minor=True),
        Column("of p95", lambda r: numbers.ratio(r["speedup_p95"]), minor=True),
        Column("95 % interval", lambda r: p95_interval(r), minor=True),
        Column("verdict", speed_verdict, words=True),
    ]


def main_words(run: Run) -> str:
    """The main measure of the run's task."""
    return MEASURES[run.task][main_measure(run.task)].words


def differences(run: Run) -> list[Column[ComparisonRow]]:
    """Quality columns of :func:`ptdq.analysis.tables.comparisons`."""
    if run.task not in OF_CLASSES:
        words = main_words(run)
        return [
            VARIANT,
            LENGTH,
            Column(f"{words} difference", lambda r: numbers.change(r["main_difference"]), minor=True),
            Column("95 % interval", lambda r: main_interval(r), minor=True),
            Column(f"{words} kept", lambda r: numbers.percent(r["main_ratio"], 2)),
            Column("lower bound", lambda r: numbers.percent(r["main_ratio_low"], 2)),
            Column("at the margin", quality_verdict, words=True),
        ]
    return [
        VARIANT,
        LENGTH,
        Column("F1 difference", lambda r: numbers.change(r["f1_weighted_difference"]), minor=True),
        Column("95 % interval", lambda r: f1_interval(r), minor=True),
        Column("F1 kept", lambda r: numbers.percent(r["f1_ratio"], 2)),
        Column("95 % lower bound", lambda r: numbers.percent(r["f1_ratio_low"], 2)),
        Column("McNemar p", lambda r: numbers.probability(r["mcnemar_p"]), minor=True),
        Column("agreement", lambda r: numbers.percent(r["agreement"], 2), minor=True),
        Column("at the margin", quality_verdict, words=True),
    ]


def fastest_lines(run: Run) -> list[str]:
    """Which variant is fastest at each length, and which can't be told from it; of three or more."""
    rows = tables.fastest(run)
    lines = []
    for length in dict.fromkeys(row["max_length"] for row in rows):
        of_length = [row for row in rows if row["max_length"] == length]
        best = [row["variant"] for row in of_length if row["best"]]
        if len(of_length) > 2 and best:
            text = f"fastest at {length} tokens, by time per document: {best[0]}"
            others = f"; can't be told from it: {', '.join(best[1:])}" if best[1:] else ""
            lines.append(text + others)
    return lines


def number(value: float | None) -> str:
    """A number of things that need not be whole."""
    return numbers.MISSING if value is None else f"{value:.0f}"


def total_interval(row: ComparisonRow) -> str:
    """The interval of the speed-up of the time per document, or why there is none."""
    ends = row["speedup_total_low"], row["speedup_total_high"]
    return ratio_interval(row["speedup_total"], ends, row["speedup_total_refused"], row["rounds"])


def speedup_interval(row: ComparisonRow) -> str:
    """The interval of the speed-up of the median, or why there is none."""
    ends = row["speedup_low"], row["speedup_high"]
    return ratio_interval(row["speedup"], ends, row["speedup_refused"], row["rounds"])


def p95_interval(row: ComparisonRow) -> str:
    """The interval of the speed-up at the 95th percentile, or why there is none."""
    ends = row["speedup_p95_low"], row["speedup_p95_high"]
    return ratio_interval(row["speedup_p95"], ends, row["speedup_p95_refused"], row["rounds"])


def ratio_interval(
    ratio: float | None,
    ends: tuple[float | None, float | None],
    refused: str | None,
    rounds: int = MIN_ROUNDS,
) -> str:
    """An interval, or why there is none."""
    if ratio is None:
        return numbers.MISSING
    if ends[0] is not None:
        return numbers.interval(*ends)
    if rounds < MIN_ROUNDS:
        return f"no interval: fewer than {MIN_ROUNDS} rounds"
    return f"no interval: {refused or 'too few data'}"


def speed_verdict(row: ComparisonRow) -> str:
    """The verdict in words; what confounds it is said, not hidden behind it.

    It is of the time per document; in runs of schema version 1 of the median.
    """
    if row["confounded"]:
        return f"confounded: {row['confounded']}"
    return row["total_verdict"] or row["latency_verdict"] or numbers.MISSING


def quality_verdict(row: ComparisonRow) -> str:
    """Non-inferiority in words, and what it would take to decide it."""
    verdict: str = row["non_inferiority"] or numbers.MISSING
    if row["documents_needed"]:
        verdict += f" (about {numbers.count(row['documents_needed'])} documents would decide it)"
    return verdict


def main_interval(row: ComparisonRow) -> str:
    """The interval of the difference of the main measure."""
    low, high = row["main_difference_low"], row["main_difference_high"]
    return numbers.interval(low, high, digits=4, sign=True)


def f1_interval(row: ComparisonRow) -> str:
    """The interval of the difference of weighted F1."""
    low, high = row["f1_weighted_difference_low"], row["f1_weighted_difference_high"]
    return numbers.interval(low, high, digits=4, sign=True)
