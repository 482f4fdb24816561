"""Which columns of a file hold the documents and their labels, where nobody says so."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ptdq.errors import UserError

TEXTS = ("text", "document", "content", "sentence", "review", "body", "message", "description", "title")
LABELS = ("label", "labels", "class", "category", "target", "sentiment", "intent", "topic")
"""Names that data sets use, the commonest first."""

ROWS = 1000
"""Rows that are looked at."""
_FEW = 200
"""Most classes that a column of labels is taken to have."""


def guess_columns(
    frame: pd.DataFrame, name: str, text: str | None = None, label: str | None = None
) -> tuple[str, str]:
    """Columns with documents and labels: by their names, else by what is in them.

    Documents are in the column of text that is longest on average; labels in the one with the fewest
    different values, at least two and each of them several times.

    Args:
        frame: rows of the file.
        name: of the file.
        text: column with the documents, where it is known.
        label: column with the labels, where it is known.

    Raises:
        UserError: nothing looks like it; says how to name it.
    """
    some = frame.head(ROWS)
    columns = [str(column) for column in some.columns]
    text = text or _named(columns, TEXTS, [label]) or _longest(some, label)
    label = label or _named(columns, LABELS, [text]) or _fewest(some, text)
    for picked, option, what in (
        (text, "--text-column", "documents"),
        (label, "--label-column", "labels"),
    ):
        if picked is None:
            raise UserError(
                f"{name}: no column looks like {what}; there are {', '.join(columns)}; name it ({option})"
            )
    return str(text), str(label)


def _named(columns: Sequence[str], names: Sequence[str], taken: Sequence[str | None]) -> str | None:
    """The column with the first of these names, whatever its capitals."""
    for name in names:
        for column in columns:
            if column.lower() == name and column not in taken:
                return column
    return None


def _longest(frame: pd.DataFrame, label: str | None) -> str | None:
    lengths = {
        str(column): values.str.len().mean()
        for column in frame.columns
        if column != label and (values := _as_text(frame[column])) is not None
    }
    return max(lengths, key=lambda column: float(lengths[column]), default=None)


def _as_text(values: pd.Series) -> pd.Series | None:
    """The values, if they are all text."""
    return values if all(isinstance(value, str) for value in values) and len(values) else None


def _fewest(frame: pd.DataFrame, text: str | None) -> str | None:
    counts: dict[str, int] = {}
    for column in frame.columns:
        if column == text or not frame[column].map(pd.api.types.is_scalar).all():
            continue  # lists and dictionaries are no labels
        times = frame[column].value_counts()
        if 2 <= len(times) <= min(_FEW, len(frame) // 2):
            counts[str(column)] = len(times)
    return min(counts, key=lambda column: counts[column], default=None)
