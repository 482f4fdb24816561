"""Markdown that GitHub and Prefect's UI render alike, and that no data can break out of.

What both show, found by looking: tables with alignment, fenced blocks, lists, images (Prefect:
data URIs as well). Left out, because one of them garbles it: ``<details>`` (Prefect's first UI
shows the content outside), block quotes and alerts (Prefect's second UI adds quotation marks),
numeric entities (Prefect's first UI prints them as they are).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from ptdq.text import plain

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!]|(?<=\])\()")
# Both renderers turn these into links without being asked, and escapes do not stop Prefect's.
_LINK_LIKE = re.compile(r"[^\s<>`()\[\]]*(?:://|www\.|@)[^\s<>`()\[\]]*", re.IGNORECASE)
# Alone: next to a link, which becomes code as well, the two would be one.
_CODE = re.compile(r"(?<![^\s(])`([^`\s](?:[^`]*[^`\s])?)`(?=[.,;:]?(?:\s|$)|\))")
_BACKTICKS = re.compile(r"`+")


def code(value: object, limit: int | None = None) -> str:
    """Data as a code span: there neither HTML nor links, images or emphasis have a meaning."""
    text = plain(value, limit)
    if not text:
        return ""
    fence = _fence(text, 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def prose(value: object, limit: int | None = None) -> str:
    """A sentence that may quote data: shown as written, whatever is in it."""
    return _prose(plain(value, limit))


def with_code(value: object) -> str:
    """The same for a sentence of ptdq, which has code in backticks."""
    parts = _CODE.split(plain(value))
    return "".join(code(part) if place % 2 else _prose(part) for place, part in enumerate(parts))


def _prose(text: str) -> str:
    parts: list[str] = []
    end = 0
    for link in _LINK_LIKE.finditer(text):
        parts += [_escape(text[end : link.start()]), code(link.group())]
        end = link.end()
    return "".join([*parts, _escape(text[end:])])


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text)


def block(text: str, language: str = "text") -> str:
    """Preformatted text; the fence is longer than any run of backticks inside."""
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    return "`" * (least if longest < least else longest + 1)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: Container[int] = (0,)) -> str:
    """A table; the columns ``left`` hold words and are aligned left, the others numbers.

    Cells are Markdown. A pipe would end a cell even inside a code span, so it is escaped here.
    """
    rule = ["---" if column in left else "---:" for column in range(len(headings))]
    lines = [headings, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    # Renderers disagree on a backslash before the pipe; a space between settles it.
    return re.sub(r"\\(?=\|)", r"\\ ", text.replace(r"\|", "|")).replace("|", r"\|")


def bullets(items: Iterable[str]) -> str:
    """A list, one line an item; items are Markdown."""
    return "\n".join(f"- {item}" for item in items)


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, as a list: in a table, Prefect's first UI cuts long lines off."""
    return bullets(f"**{name}**: {value}" for name, value in rows if value)


def paragraphs(*parts: str) -> str:
    """The parts that are not empty, with an empty line between."""
    return "\n\n".join(part for part in parts if part)
