"""Which documents of a run belong together: copies of a text, and those that the data says so of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.inputs.grouping import both_same
from ptdq.statistics.duplicates import text_groups
from ptdq.statistics.groups import joined
from ptdq.store.layout import RunFiles
from ptdq.store.tables import opened, read_pieces, read_table

Ints = NDArray[np.int64]

Column = Callable[[str], Iterable[pa.ChunkedArray]]
"""From the name of a column to its values, piece by piece."""


@dataclass(frozen=True)
class Groups:
    """Which documents belong together.

    Attributes:
        doc_ids: ids [D].
        numbers: group of each [D].
    """

    doc_ids: pa.Array
    numbers: Ints

    def of(self, doc_ids: pa.Array) -> Ints:
        """Group of each of some documents.

        Raises:
            KeyError: one is not known.
        """
        if doc_ids.equals(self.doc_ids):
            return self.numbers
        places = pa.compute.index_in(doc_ids, value_set=self.doc_ids)
        if places.null_count:
            raise KeyError("a document of no group")
        groups: Ints = self.numbers[places.to_numpy()]
        return groups

    @cached_property
    def alone(self) -> bool:
        """Whether each document stands alone."""
        return len(np.unique(self.numbers)) == len(self.numbers)

    def shared_by(self, doc_ids: pa.Array) -> Ints | None:
        """The same; None where each stands alone, or some are not known."""
        if self.alone:
            return None
        try:
            return self.of(doc_ids)
        except KeyError:
            return None


def document_groups(documents: pa.Table) -> Groups:
    """Group of each document: those with the same texts, or the same ``group``, belong together."""
    groups = _numbers(lambda name: [documents[name]], documents.column_names)
    return Groups(documents["doc_id"].combine_chunks(), groups)


def read_groups(files: RunFiles) -> Groups:
    """Groups of the documents of a run; of none where its documents are not there."""
    path = files.table("documents")
    if not path.is_file():
        return Groups(pa.array([], pa.string()), np.empty(0, np.int64))
    return stored_groups(path)


def stored_groups(path: Path) -> Groups:
    """Groups of the documents of a file, whose texts are read piece by piece."""
    with opened(path) as file:
        columns = file.schema_arrow.names
    groups = _numbers(lambda name: (piece[name] for piece in read_pieces(path, [name])), columns)
    return Groups(read_table(path, ["doc_id"])["doc_id"].combine_chunks(), groups)


def _numbers(column: Column, columns: Iterable[str]) -> Ints:
    """Group of each document."""
    groups = text_groups(_values(column("text")))
    if "pair" in columns and len(groups) and not sum(piece.null_count for piece in column("pair")):
        groups = both_same(groups, text_groups(_values(column("pair"))))
    if "group" in columns and any(piece.null_count < len(piece) for piece in column("group")):
        groups = joined(groups, _values(column("group")))
    return groups.astype(np.int64, copy=False)


def _values(pieces: Iterable[pa.ChunkedArray]) -> Iterator[Any]:
    """One value after the other: as a list they would be all in memory once more."""
    return (value.as_py() for piece in pieces for value in piece)


def with_groups(times: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Timed calls with the group of each, where documents belong together.

    Args:
        times: a row for each call, with ``doc_id``, as for :func:`ptdq.analysis.timing.analyse`.
        groups: of the documents; of all of them, or it is left out.
    """
    numbers = groups.shared_by(pa.array(times["doc_id"], pa.string()))
    return times if numbers is None else times.assign(group=numbers)
