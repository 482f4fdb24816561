"""Which documents of a run belong together: copies of a text, and those that the data says so of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.inputs.grouping import both_same
from ptdq.inputs.pairs import COLUMNS
from ptdq.statistics.duplicates import text_groups
from ptdq.statistics.groups import joined
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table

Ints = NDArray[np.int64]


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

    def shared_by(self, doc_ids: pa.Array) -> Ints | None:
        """The same; None where each stands alone, or some are not known."""
        if len(np.unique(self.numbers)) == len(self.numbers):
            return None
        try:
            return self.of(doc_ids)
        except KeyError:
            return None


def document_groups(documents: pa.Table) -> Groups:
    """Group of each document: those with the same texts, or the same ``group``, belong together."""
    # One text after the other: as a list they would be all in memory once more.
    groups = text_groups(text.as_py() for text in documents["text"])
    if "pair" in documents.column_names and documents.num_rows and not documents["pair"].null_count:
        groups = both_same(groups, text_groups(text.as_py() for text in documents["pair"]))
    if "group" in documents.column_names:
        groups = joined(groups, documents["group"].to_pylist())
    return Groups(documents["doc_id"].combine_chunks(), groups.astype(np.int64))


def read_groups(files: RunFiles) -> Groups:
    """Groups of the documents of a run; of none where its documents are not there."""
    path = files.table("documents")
    if not path.is_file():
        return Groups(pa.array([], pa.string()), np.empty(0, np.int64))
    return document_groups(read_table(path, ["doc_id", *COLUMNS, "group"]))


def with_groups(times: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Timed calls with the group of each, where documents belong together.

    Args:
        times: a row for each call, with ``doc_id``, as for :func:`ptdq.analysis.timing.analyse`.
        groups: of the documents; of all of them, or it is left out.
    """
    numbers = groups.shared_by(pa.array(times["doc_id"], pa.string()))
    return times if numbers is None else times.assign(group=numbers)
