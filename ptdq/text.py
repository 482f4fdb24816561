"""Text of others, made fit to be shown: in a terminal, a log, a report."""

from __future__ import annotations


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
