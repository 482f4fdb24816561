"""How a variant that was searched on this machine was chosen."""

from __future__ import annotations

from ptdq.report.markdown import code, paragraphs, prose, table
from ptdq.report.sections.page import Page
from ptdq.report.tuning import HEADINGS, read_tuning
from ptdq.store.rows import VariantRow
from ptdq.store.run import parsed


def tuning(page: Page) -> str:
    """What was tried, measured and chosen for each such variant."""
    parts = []
    for row in page.run.rows(VariantRow):
        found = read_tuning(parsed(row["details"]))
        if found is None:
            continue
        rows = [[prose(cell, 200) for cell in cells] for cells in found.rows]
        parts += [
            f"## How {code(row['variant'])} was chosen",
            table(list(HEADINGS), rows, left=(0, 3)),
            prose(found.sentence),
        ]
    return paragraphs(*parts) if parts else ""
