"""From a run's tables to ``report.md`` and its plots, and ``report.html``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ptdq.report.html import page
from ptdq.report.markdown import paragraphs
from ptdq.report.plots import draw
from ptdq.report.sections import SECTIONS
from ptdq.report.sections.page import Page
from ptdq.store.disk import write_text
from ptdq.store.layout import RunFiles
from ptdq.store.run import load


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        path: ``report.md``.
        plots: the plots beside it.
        markdown: its text; plots and files are relative links.
        markdown_inlined: the same with plots embedded and no relative link, for Prefect.
    """

    path: Path
    plots: tuple[Path, ...]
    markdown: str
    markdown_inlined: str


def build_report(files: RunFiles) -> Report:
    """Draw the plots, write the report, as Markdown and as a page.

    Needs nothing but what the run left on disk.

    Raises:
        UserError: there is no ``run.json``, or a file is of a newer schema version.
    """
    run = load(files)
    plots = draw(run)
    texts = []
    for inlined in (False, True):
        shown = Page(run, plots, inlined)
        texts.append(paragraphs(*(section(shown) for section in SECTIONS)) + "\n")
    markdown, markdown_inlined = texts
    write_text(files.report, markdown)
    write_text(files.page, page(f"Quantization benchmark {files.run_id}", markdown_inlined))
    return Report(files.report, tuple(plots.values()), markdown, markdown_inlined)
