"""Columns of a file besides one text and one label: second texts, and labels that are several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ptdq.errors import UserError

LABELS = "labels"
"""Name of the column that takes the place of several, one for each label."""


def with_label_lists(
    frame: pd.DataFrame, name: str, columns: str | Sequence[str] | None
) -> tuple[pd.DataFrame, str | None]:
    """The rows with lists of labels as JSON in one column, and the name of that column.

    Args:
        frame: rows of the file.
        name: of the file.
        columns: the column with labels; or several of 0 and 1, one for each label.

    Raises:
        UserError: one of several columns is missing, or has something else in it.
    """
    if columns is None:
        return frame, None
    if isinstance(columns, str):
        if columns in frame.columns and frame[columns].map(_is_list).any():
            frame = frame.assign(**{columns: frame[columns].map(_as_json)})
        return frame, columns
    names: list[list[str]] = [[] for _ in range(len(frame))]
    for column in columns:
        if column not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise UserError(f"{name}: no column '{column}'; there are {known} (--label-columns)")
        for row, value in enumerate(frame[column].tolist()):
            text = str(value).strip().lower()
            if text not in _YES_NO:
                raise UserError(
                    f"{name}: column '{column}' has '{value}' in row {row + 1}; a column for each label "
                    "(--label-columns) takes 0 and 1"
                )
            if _YES_NO[text]:
                names[row].append(column)
    return frame.assign(**{LABELS: [json.dumps(row, ensure_ascii=False) for row in names]}), LABELS


_YES_NO = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _as_json(value: Any) -> Any:
    if not _is_list(value):
        return value
    plain = value.tolist() if isinstance(value, np.ndarray) else list(value)
    return json.dumps(plain, ensure_ascii=False, default=str)


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
