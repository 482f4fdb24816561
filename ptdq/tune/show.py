"""What ``ptdq tune`` found: in the terminal, and as JSON."""

from __future__ import annotations

import json

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptdq.report.tuning import HEADINGS, read_tuning
from ptdq.text import plain
from ptdq.variants.artifact import Artifact


def show(artifact: Artifact, console: Console) -> None:
    """Print what was tried, measured and chosen."""
    tuning = read_tuning(artifact.details)
    if tuning is None:
        return
    table = Table(
        title=Text("What was tried for int8-best", style="bold"), title_justify="left",
        header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for place, heading in enumerate(HEADINGS):
        numeric = place in (1, 2)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in tuning.rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console.print(table)
    console.print(Text(plain(tuning.sentence)))


def as_text(artifact: Artifact) -> str:
    """The same as JSON."""
    return json.dumps(artifact.details.get("tuning"), indent=2)
