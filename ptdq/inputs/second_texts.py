"""Which values are texts, and the second text of each row of a file, for models of pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ptdq.errors import UserError


def is_text(value: Any) -> bool:
    """Whether a value can be a document: it is text, and not blank."""
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:  # half a character, which JSON can write
        return False


def second_texts(frame: pd.DataFrame, name: str, column: str, first: int = 1) -> list[str]:
    """The second text of each row of a file.

    Args:
        frame: all rows of the file, or some that follow each other.
        name: of the file.
        column: with the second texts.
        first: number of the first row in the file, from 1.

    Raises:
        UserError: a value is missing or no text.
    """
    texts = frame[column].tolist()
    bad = [row for row, text in enumerate(texts, first) if not is_text(text)]
    if bad:
        rows = ", ".join(map(str, bad[:5])) + (", …" if len(bad) > 5 else "")
        raise UserError(
            f"{name}: column '{column}' has {len(bad)} missing or non-text values, in rows {rows}; "
            "remove them or name another --text-pair-column"
        )
    return texts


def pair_ids(texts: Sequence[str], pairs: Sequence[str], first: int = 1) -> list[str]:
    """Stable ids of pairs: row number, and hash of both texts."""
    return [
        f"{row:07d}-{hashlib.sha256(_bytes(text) + _bytes(pair)).hexdigest()[:8]}"
        for row, (text, pair) in enumerate(zip(texts, pairs, strict=True), first)
    ]


def _bytes(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "little") + data
