"""The column that says which documents belong together: of one author, one ticket, one conversation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ptdq.errors import UserError
from ptdq.inputs.pairs import Texts
from ptdq.statistics.duplicates import text_groups
from ptdq.statistics.groups import effective, joined


@dataclass(frozen=True)
class Counts:
    """How many documents there are, if those that belong together count as one.

    Attributes:
        texts: different texts, but for case, width and punctuation.
        groups: groups of documents with a text or a name of a group in common; None where the data names
            no groups.
        digest: content hash of the names; None as well.
    """

    texts: int
    groups: int | None = None
    digest: str | None = None


def group_names(frame: pd.DataFrame, file: str, column: str, first: int = 1) -> list[str]:
    """The group of each row, as text.

    Args:
        frame: all rows of a file, or some that follow each other.
        file: its name.
        column: column with the groups.
        first: number of the first row in the file, from 1.

    Raises:
        UserError: there is no such column, or a value is missing.
    """
    if column not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise UserError(f"{file}: no column '{column}'; there are {known}; choose with --group-column")
    names = ["" if missing else _text(value) for value, missing in _values(frame[column])]
    empty = [row for row, name in enumerate(names, first) if not name]
    if empty:
        rows = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
        raise UserError(
            f"{file}: column '{column}' has {len(empty)} empty values, in rows {rows}; give each row its "
            "group (one of its own where it stands alone), or leave out --group-column"
        )
    return names


def same_texts(texts: Texts) -> NDArray[np.int64]:
    """Group of each document [N], 0 to G - 1: one for all with the same text, of pairs with both the same
    (:func:`ptdq.statistics.duplicates.text_groups`)."""
    groups = text_groups(texts.first)
    return groups if texts.second is None else both_same(groups, text_groups(texts.second))


def both_same(groups: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group of each [N]: one for all that are in the same group by both."""
    return np.unique(np.stack([groups, others]), axis=1, return_inverse=True)[1].reshape(-1)


def count_groups(texts: Texts, names: Sequence[str] | None) -> Counts:
    """Count different texts, and groups of documents where they are named."""
    groups = same_texts(texts)
    different = len(np.unique(groups))
    if names is None:
        return Counts(different)
    digest = hashlib.sha256()
    for name in names:
        data = name.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return Counts(different, len(np.unique(joined(groups, names))), digest.hexdigest())


def worth(texts: Texts, names: Sequence[str] | None) -> float:
    """How many documents that stand alone these are worth (:func:`ptdq.statistics.groups.effective`)."""
    groups = same_texts(texts)
    return effective(groups if names is None else joined(groups, names))


def _values(column: pd.Series[Any]) -> list[tuple[Any, bool]]:
    return list(zip(column.tolist(), column.isna().tolist(), strict=True))


def _text(value: Any) -> str:
    """A name as text: ``1`` and ``1.0`` are the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
