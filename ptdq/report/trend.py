"""Runs over time as a document: Markdown, one HTML file, JSON."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ptdq import numbers
from ptdq.analysis.history import Point, series
from ptdq.analysis.shifts import Trend
from ptdq.errors import UserError
from ptdq.report.columns import Column, to_markdown
from ptdq.report.history import plot, quality_heading
from ptdq.report.html import page
from ptdq.report.markdown import code, paragraphs
from ptdq.report.sections.history import changes
from ptdq.store.disk import write_text
from ptdq.store.schema import SCHEMA_VERSION

TITLE = "Runs over time"
KINDS = (".md", ".html")


def as_json(found: Sequence[Point], seen: Trend, left_out: Sequence[str]) -> dict[str, Any]:
    """Points, changes of level and what was left out, for ``--json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "series": seen.series,
        "changes": [shift.as_json() for shift in seen.shifts],
        "spreads": [asdict(spread) for spread in seen.spreads],
        "points": [{k: v for k, v in asdict(p).items() if k not in ("series", "content")} for p in found],
        "left_out": list(left_out),
    }


def check(path: Path) -> None:
    """Raises UserError where a document of that name can't be written."""
    if path.suffix not in KINDS:
        raise UserError(f"report {path}: give it a name that ends in {' or '.join(KINDS)}")


def write(found: Sequence[Point], seen: Trend, path: Path) -> None:
    """Write the document: one HTML file with the plot inside, or Markdown with the plot inside."""
    with tempfile.TemporaryDirectory(prefix="ptdq-history-") as scratch:
        drawn = Path(scratch) / "history.png"
        data = base64.b64encode(drawn.read_bytes()).decode() if plot(found, drawn, seen.shifts) else ""
    text = document(found, seen, data)
    write_text(path, page(TITLE, text) if path.suffix == ".html" else text)


def document(found: Sequence[Point], seen: Trend, image: str = "") -> str:
    """The same as ``ptdq history`` prints, as Markdown.

    Args:
        found: the points.
        seen: what they say together.
        image: the plot, PNG in base64.
    """
    enough = "Six runs of a variant, all of one design, are needed to look for changes of level."
    return (
        paragraphs(
            f"# {TITLE}",
            "## Changes of level",
            changes([shift.as_json() for shift in seen.shifts], seen.series) if seen.series else enough,
            f"![Latency and speed-up over the runs](data:image/png;base64,{image})" if image else "",
            _spreads(seen),
            *(
                paragraphs(
                    f"## {code(variant)}, at most {length} tokens", to_markdown(_columns(line), line)
                )
                for (variant, length), line in series(found).items()
            ),
        )
        + "\n"
    )


def _spreads(seen: Trend) -> str:
    if not seen.spreads:
        return ""
    return paragraphs(
        "## How much runs differ",
        to_markdown(
            [
                Column("variant", lambda s: s.variant, data=True),
                Column("max length", lambda s: str(s.max_length)),
                Column("runs", lambda s: str(s.runs)),
                Column("standard deviation", lambda s: numbers.percent(s.sd, 2)),
            ],
            seen.spreads,
        ),
        "Of the speed-up over the own baseline variant, between runs of one content and beyond what "
        "their own intervals explain.",
    )


def _columns(line: Sequence[Point]) -> list[Column[Point]]:
    quality = Column[Point](quality_heading(line), lambda p: numbers.score(p.quality))
    return [*_TIMES, quality, *_ENDS]


_TIMES: list[Column[Point]] = [
    Column("started", lambda p: p.started_at[:16].replace("T", " "), words=True),
    Column("run", lambda p: p.run_id, data=True),
    Column("median ms", lambda p: numbers.ms(p.median_ms)),
    Column("p95 ms", lambda p: numbers.ms(p.p95_ms)),
    Column("speed-up", lambda p: numbers.ratio(p.speedup)),
    Column("95 % interval", lambda p: numbers.interval(p.speedup_low, p.speedup_high)),
    Column("per document", lambda p: numbers.ratio(p.speedup_total)),
]
_ENDS: list[Column[Point]] = [
    Column("flagged", lambda p: f"{p.flagged}/{p.cells}"),
    Column("verdict", lambda p: p.decision, words=True),
]
