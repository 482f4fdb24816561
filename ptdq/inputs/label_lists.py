"""Labels that are several: lists in one column, or a column of 0 and 1 for each of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ptdq.errors import UserError

LABELS = "labels"
"""Name of the column that takes the place of several, one for each label."""


class ListColumn(str):
    """Name of a column of labels in which a value may be a list; it becomes JSON."""

    __slots__ = ()


def list_rows(frame: pd.DataFrame, column: str, first: int = 1) -> list[int]:
    """Rows whose label is a list.

    Args:
        frame: all rows of the file, or some that follow each other.
        column: the column with labels.
        first: number of the first row in the file, from 1.
    """
    return [row for row, value in enumerate(frame[column].tolist(), first) if _is_list(value)]


def with_label_lists(
    frame: pd.DataFrame, name: str, columns: str | Sequence[str] | None, first: int = 1
) -> tuple[pd.DataFrame, str | None]:
    """The rows with lists of labels as JSON in one column, and the name of that column.

    Args:
        frame: all rows of the file, or some that follow each other.
        name: of the file.
        columns: the column with labels; or several of 0 and 1, one for each label.
        first: number of the first row in the file, from 1.

    Raises:
        UserError: one of several columns has something else in it.
    """
    if columns is None:
        return frame, None
    if isinstance(columns, str):
        return frame.assign(**{columns: [_as_json(value) for value in frame[columns].tolist()]}), columns
    names: list[list[str]] = [[] for _ in range(len(frame))]
    for column in columns:
        for row, value in enumerate(frame[column].tolist()):
            text = str(value).strip().lower()
            if text not in _YES_NO:
                raise UserError(
                    f"{name}: column '{column}' has '{value}' in row {row + first}; a column for each "
                    "label (--label-columns) takes 0 and 1"
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
