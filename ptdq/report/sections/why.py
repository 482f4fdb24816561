"""Where the time goes: what ``ptdq why`` was asked of the run."""

from __future__ import annotations

from ptdq import numbers
from ptdq.analysis.causes import case_of, causes
from ptdq.analysis.spent import spent
from ptdq.profile.operation import PARTS
from ptdq.report.markdown import bullets, code, paragraphs, prose, table
from ptdq.report.sections.page import Page


def why(page: Page) -> str:
    """The classes of operations of each variant that was profiled, and what to do about them."""
    bars = spent(page.run)
    if not bars:
        return ""
    shown = [part for part in PARTS if any(one.ms_by_part[part] > 0 for one in bars)]
    rows = [
        [
            code(one.profile["variant"]),
            str(one.profile["max_length"]),
            numbers.ms(one.profile["timed_ms"]),
            *(numbers.percent(one.share_of(part)) for part in shown),
            numbers.percent(one.explained),
        ]
        for one in bars
    ]
    return paragraphs(
        "## Where the time goes",
        table(["variant", "max length", "ms", *shown, "in all"], rows),
        "By the profiler of each runtime, in a process of its own, as shares of the time that the "
        "calls took while it ran; ms: without it. Framework: what the runtime does between its "
        "operations.",
        page.plot("why", "Time of a document by class of operation"),
        bullets(
            f"{code(one.profile['variant'])}, length {one.profile['max_length']}: {prose(sentence)}"
            for one in bars
            for sentence in causes(case_of(page.run, one))
        ),
    )
