"""Pairs of texts: a second column of the file, and a second text wherever documents are tokenized."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ptdq.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["text", "pair"]
"""What :func:`texts_of` reads of a file of the schema ``documents``."""


class Texts(NamedTuple):
    """Documents as a tokenizer takes them.

    Attributes:
        first: texts, or first texts of pairs.
        second: second texts of pairs; None where documents are single texts.
    """

    first: list[str]
    second: list[str] | None

    def at(self, places: Sequence[int]) -> Texts:
        """Some of them."""
        second = None if self.second is None else [self.second[place] for place in places]
        return Texts([self.first[place] for place in places], second)

    def between(self, start: int, stop: int) -> Texts:
        """Those from one place to before another."""
        return Texts(self.first[start:stop], None if self.second is None else self.second[start:stop])

    @property
    def contents(self) -> list[str] | list[tuple[str, str]]:
        """What makes each the document that it is: two pairs differ where any of their texts do."""
        return self.first if self.second is None else list(zip(self.first, self.second, strict=True))


def texts_of(columns: Any) -> Texts:
    """The texts of a table of the schema ``documents``, or of some rows of it.

    Args:
        columns: a table or record batch of pyarrow, or columns by name. Files of earlier versions have
            no column ``pair``.
    """
    values = columns if isinstance(columns, dict) else columns.to_pydict()
    pairs = values.get("pair")
    return Texts(values["text"], None if pairs is None or None in pairs else pairs)


def second_texts(frame: pd.DataFrame, name: str, column: str, first: int = 1) -> list[str]:
    """The second text of each row of a file.

    Args:
        frame: all rows of the file, or some that follow each other.
        name: of the file.
        column: with the second texts.
        first: number of the first row in the file, from 1.

    Raises:
        UserError: the column is missing, or a value of it is missing or no text.
    """
    if column not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise UserError(
            f"{name}: no column '{column}'; there are {known}; choose with --text-pair-column"
        )
    texts = frame[column].tolist()
    bad = [row for row, text in enumerate(texts, first) if not isinstance(text, str) or not text.strip()]
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
