"""The answer of ``ptdq why``: in the terminal, and as JSON."""

from __future__ import annotations

import json
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptdq import numbers
from ptdq.analysis.spent import Spent
from ptdq.profile.operation import PARTS
from ptdq.text import plain
from ptdq.why.run import Explained

_SHAPES = 5


def show(explained: Explained, console: Console) -> None:
    """Print the classes of each variant side by side, the slow shapes, and what to do."""
    table = _empty("Where the time of a document goes", ["class of operation"])
    for one in explained.spent:
        table.add_column(plain(one.profile["variant"]), justify="right", overflow="fold")
        table.add_column("", justify="right")
    for part in PARTS:
        if any(one.ms_by_part[part] > 0 for one in explained.spent):
            cells = [text for one in explained.spent for text in _cells(one, part)]
            table.add_row(Text(part), *map(Text, cells))
    console.print(table)
    for one, sentences in zip(explained.spent, explained.sentences, strict=True):
        profile = one.profile
        console.print(Text(plain(profile["variant"]), style="bold"))
        console.print(Text(plain(facts(one))))
        _shapes(one, explained.limits, console)
        for sentence in sentences or ["Nothing stands out."]:
            console.print(Text(f"  - {plain(sentence)}"))


def facts(one: Spent) -> str:
    """Times, what is explained, and the instruction sets, in a sentence or two."""
    profile = one.profile
    return (
        f"{numbers.ms(profile['timed_ms'])} ms a document at most {profile['max_length']} tokens, "
        f"{numbers.ms(profile['profiled_ms'])} ms with the profiler, of which it explains "
        f"{numbers.percent(one.explained)} ({numbers.percent(one.named)} by operations). "
        f"Products use {profile['instruction_set'] or 'nothing that the runtime tells'}."
    )


def as_text(explained: Explained) -> str:
    """The same as JSON; times in milliseconds a document, shares of the profiled time."""
    variants: list[dict[str, Any]] = [
        {
            **one.profile,
            "explained": one.explained,
            "parts": {
                part: {"ms": ms, "share": ms / one.profile["profiled_ms"]}
                for part, ms in one.ms_by_part.items()
            },
            "shapes": one.shapes(explained.limits),
            "operations": list(one.operations),
            "sentences": sentences,
        }
        for one, sentences in zip(explained.spent, explained.sentences, strict=True)
    ]
    return json.dumps({"run_id": explained.run_id, "variants": variants}, indent=2)


def _cells(one: Spent, part: str) -> tuple[str, str]:
    ms = one.ms_by_part[part]
    return f"{numbers.ms(ms)} ms", numbers.percent(ms / one.profile["profiled_ms"])


def _shapes(one: Spent, limits: dict[str, float], console: Console) -> None:
    rows = one.shapes(limits)[:_SHAPES]
    if not rows:
        return
    table = _empty("", ["rows × inner × columns", "format", "of the time", "GOP/s", "of the limit"])
    for row in rows:
        table.add_row(
            Text(plain(row["shape"])), Text(plain(row["numbers"])), Text(numbers.percent(row["share"])),
            Text(f"{row['gops']:.0f}"), Text(numbers.percent(row["of_limit"])),
        )  # fmt: skip
    console.print(table)


def _empty(title: str, headings: list[str]) -> Table:
    table = Table(
        title=Text(title, style="bold") if title else None, title_justify="left", header_style="bold",
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place > 1 else "left")
    return table
