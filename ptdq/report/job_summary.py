"""A run in a page of Markdown for a pipeline's own page: the answer, and no more than explains it."""

from __future__ import annotations

from pathlib import Path

from ptdq.analysis import tables
from ptdq.report import columns
from ptdq.report.columns import to_markdown
from ptdq.report.markdown import code, paragraphs
from ptdq.report.sections import baseline, opening
from ptdq.report.sections.page import Page
from ptdq.store.layout import RunFiles
from ptdq.store.run import load


def job_summary(files: RunFiles) -> str:
    """The text, as Markdown; whatever is in names and data is shown as written.

    Raises:
        UserError: see :func:`ptdq.store.run.load`.
    """
    run = load(files)
    page = Page(run, {}, inlined=True)
    compared = tables.against_baseline(run)
    return (
        paragraphs(
            opening.verdict(page),
            opening.gates(page),
            baseline.change(page),
            f"## Against {code(run.baseline)}" if compared else "",
            to_markdown(columns.speedups(), compared) if compared else "",
            to_markdown(columns.differences(run), compared) if compared and run.quality else "",
            f"Report: {code(files.report.absolute())}",
        )
        + "\n"
    )


def add_to_page(page: Path, text: str) -> None:
    """Append to the page of a pipeline's job, which other steps may have begun."""
    with page.open("a", encoding="utf-8") as file:
        file.write(f"\n{text}")
