"""Text of others, made fit to be shown: in a terminal, a log, a report."""

from __future__ import annotations

import json


def plain(value: object, limit: int | None = None) -> str:
    """One line of printable text: white space collapsed, control characters out.

    Args:
        value: anything; its ``str``.
        limit: longest result; what is cut is marked with an ellipsis.
    """
    text = "".join(char if char.isprintable() else " " for char in str(value))
    text = " ".join(text.split())
    if limit is not None and len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text


def printable(text: str) -> str:
    """JSON, or other text in which such an escape is read, with what is not printable escaped."""
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text
    )
