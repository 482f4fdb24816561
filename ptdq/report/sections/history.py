"""What the runs like this one say together: changes of level, in the report and for ``ptdq history``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ptdq import numbers
from ptdq.analysis.shifts import TIME
from ptdq.report.columns import Column, to_markdown
from ptdq.report.markdown import bullets, code, paragraphs, prose
from ptdq.report.sections.page import Page

Row = Mapping[str, Any]


def history(page: Page) -> str:
    """Changes of level up to this run; nothing where too few runs are like it."""
    noted = page.run.record.history
    if noted is None:
        return ""
    return paragraphs(
        f"## Over {noted.runs} runs like this one",
        changes(noted.shifts, noted.series),
        "Nothing here fails the run." if noted.shifts else "",
    )


def changes(shifts: Sequence[Row], series: int) -> str:
    """Where figures changed their level, in Markdown.

    Args:
        shifts: each as :meth:`ptdq.analysis.shifts.Shift.as_json` gives it.
        series: how many series were looked at.
    """
    looked = f"in {series} series" if series != 1 else "in one series"
    if not shifts:
        return (
            f"No figure changed its level: {looked}, one change is said falsely in 5 % of looks at most."
        )
    return paragraphs(
        to_markdown(_SHIFTS, shifts),
        bullets(prose(line) for line in together(shifts)),
        bullets(_differences(shifts)),
        f"Changes of level {looked}, by E-divisive (Matteson and James 2014). Time is the speed-up of "
        "the time per document over the run's own baseline variant; before and after are medians. A "
        "false change anywhere in the table comes in 5 % of looks at most.",
    )


def together(shifts: Sequence[Row]) -> list[str]:
    """Sentences about what all variants of a length share."""
    seen = dict.fromkeys(
        (s["run_id"], s["max_length"], bool(s["worse"])) for s in shifts if s.get("together")
    )
    return [
        f"since run {run_id} every variant at {length} tokens is {'slower' if worse else 'faster'} "
        "relative to the baseline variant: what all share, or that variant itself"
        for run_id, length, worse in seen
    ]


def _differences(shifts: Sequence[Row]) -> list[str]:
    """What is not the same in the two runs beside each change."""
    pairs = {(s["last_before"], s["run_id"]): s.get("differences") or [] for s in shifts}
    return [
        f"from {code(old)} to {code(new)}: "
        + ("; ".join(map(prose, texts)) if texts else "nothing that is recorded is different")
        for (old, new), texts in pairs.items()
    ]


def _figure(row: Row, end: str) -> str:
    value = float(row[end])
    return f"{value:.3f}x" if row["measure"] == TIME else numbers.score(value)


def _size(row: Row) -> str:
    if row["measure"] != TIME:
        return numbers.change(row["after"] - row["before"])
    return f"{row['after'] / row['before'] - 1:+.1%}" if row["before"] else numbers.MISSING


_SHIFTS: list[Column[Row]] = [
    Column("variant", lambda r: str(r["variant"]), data=True),
    Column("max length", lambda r: str(r["max_length"])),
    Column("figure", lambda r: str(r["measure"]), words=True),
    Column("since run", lambda r: str(r["run_id"]), data=True),
    Column("started", lambda r: str(r["started_at"])[:16].replace("T", " "), words=True),
    Column("before", lambda r: _figure(r, "before")),
    Column("after", lambda r: _figure(r, "after")),
    Column("change", _size),
    Column("runs before, after", lambda r: f"{r['runs_before']}, {r['runs_after']}"),
    Column("p", lambda r: numbers.probability(r["p_value"])),
]
