"""The change since another run: a section of the report, and what ``ptdq compare`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptdq import numbers
from ptdq.analysis.changes import Change, Comparison
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import bullets, code, paragraphs, prose
from ptdq.report.sections.page import Page


def change(page: Page) -> str:
    """The change since the run that was marked as the baseline; nothing where there is none."""
    noted = page.run.get("baseline")
    if not noted:
        return ""
    heading = f"## Change since run {code(noted.get('old', 'unknown'))}"
    if noted.get("error"):
        return paragraphs(heading, f"Not compared: {prose(noted['error'])}.")
    return paragraphs(heading, changes(Comparison.from_json(noted)))


def document(values: Mapping[str, Any]) -> str:
    """A comparison of two runs, as its ``as_json`` gives it, as a document of its own."""
    comparison = Comparison.from_json(values)
    title = f"# Change from run {code(comparison.old)} to run {code(comparison.new)}"
    return paragraphs(title, changes(comparison)) + "\n"


def changes(comparison: Comparison) -> str:
    """A comparison in Markdown."""
    rows = comparison.changes
    refused = comparison.timings_refused
    if not rows:
        return "The two runs have no variant and maximum length in common."
    worse = comparison.regressions
    tested = any(row.documents is not None for row in rows)
    timed = any(row.how is not None for row in rows)
    decided = tested or any(row.speedup_p is not None for row in rows)
    good = "Nothing is decidedly worse than before." if decided else "Nothing could be compared."
    return paragraphs(
        "**Worse than before:**" if worse else f"**{good}**",
        bullets(prose(line) for line in worse),
        f"**Timings are not compared from run to run**: {prose(refused)}." if refused else "",
        paragraphs(to_markdown(_LATENCY, rows), _LATENCY_NOTE) if timed else "",
        paragraphs(to_markdown(_QUALITY, rows), _QUALITY_NOTE) if tested else "",
        bullets(prose(text) for text in _untested(rows)),
        "Not the same in the two runs:" if comparison.differences else "",
        bullets(prose(text) for text in comparison.differences),
        bullets(prose(text) for text in comparison.notes),
    )


_LATENCY_NOTE = (
    "ms: mean time per document, tokenization included. Measured again: the old artifact ran beside the "
    "new one in this run, and the speed-up is old time over new time, with the interval of a comparison "
    "within a run. Between runs: the speed-up over the run's own baseline variant, now over its mean in "
    "the runs like the old one; the interval is as wide as such runs differ. Above 1 the new one is "
    "faster. Verdicts are corrected (Holm) for all tests of this section."
)
_QUALITY_NOTE = (
    "Quality: on the documents that both evaluated, with the 95 % interval of the difference of the "
    "measure. p: exact McNemar, copies of a text counted once, or where documents have no class the "
    "paired bootstrap of the measure; corrected (Holm) for all tests of this section."
)


def _untested(rows: list[Change]) -> list[str]:
    """Why rows have no speed-up or no test, each reason once."""
    timings = [r.speedup_refused for r in rows if r.speedup is None and r.speedup_refused]
    quality = [r.quality_refused for r in rows if r.quality_refused]
    return [
        *(f"no speed-up: {reason}" for reason in dict.fromkeys(timings)),
        *(f"quality is not compared: {reason}" for reason in dict.fromkeys(quality)),
    ]


def _how(change: Change) -> str:
    if change.how is None:
        return numbers.MISSING
    return change.how if change.runs is None else f"{change.how}, {change.runs} like the old one"


_VARIANT: Column[Change] = Column("variant", lambda r: r.variant, data=True)
_LENGTH: Column[Change] = Column("max length", lambda r: str(r.max_length))

_LATENCY: list[Column[Change]] = [
    _VARIANT,
    _LENGTH,
    Column("compared", _how, words=True),
    Column("old ms", lambda r: numbers.ms(r.old_ms)),
    Column("new ms", lambda r: numbers.ms(r.new_ms)),
    Column("over own baseline, old", lambda r: numbers.ratio(r.own_old)),
    Column("over own baseline, new", lambda r: numbers.ratio(r.own_new)),
    Column("speed-up", lambda r: numbers.ratio(r.speedup)),
    Column("95 % interval", lambda r: numbers.interval(r.speedup_low, r.speedup_high)),
    Column("p", lambda r: numbers.probability(r.speedup_p)),
    Column("verdict", lambda r: r.latency_verdict or numbers.MISSING, words=True),
    Column("old MB", lambda r: numbers.megabytes(r.old_mb)),
    Column("new MB", lambda r: numbers.megabytes(r.new_mb)),
]

_QUALITY: list[Column[Change]] = [
    _VARIANT,
    _LENGTH,
    Column("documents", lambda r: numbers.count(r.documents)),
    Column("measure", lambda r: r.measure, words=True),
    Column("old", lambda r: numbers.score(r.main_old)),
    Column("new", lambda r: numbers.score(r.main_new)),
    Column("difference", lambda r: numbers.change(r.main_difference)),
    Column(
        "95 % interval",
        lambda r: numbers.interval(r.main_difference_low, r.main_difference_high, 4, sign=True),
    ),
    Column("newly right", lambda r: numbers.count(r.better)),
    Column("newly wrong", lambda r: numbers.count(r.worse)),
    Column("p", lambda r: numbers.probability(r.main_p if r.mcnemar_p is None else r.mcnemar_p)),
    Column("verdict", lambda r: r.quality_verdict or numbers.MISSING, words=True),
]
