"""Which documents of a run belong together: copies of a text, and those that the data says so of."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from ptdq.statistics.duplicates import text_groups
from ptdq.statistics.groups import joined
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table


def document_groups(documents: pa.Table) -> dict[str, int]:
    """Group of each document: those with the same text, or the same ``group``, belong together."""
    ids, groups = documents["doc_id"].to_pylist(), text_groups(documents["text"].to_pylist())
    if "group" in documents.column_names:
        groups = joined(groups, documents["group"].to_pylist())
    return dict(zip(ids, groups.tolist(), strict=True))


def read_groups(files: RunFiles) -> dict[str, int]:
    """Group of each document of a run; of none where its documents are not there."""
    path = files.table("documents")
    return document_groups(read_table(path)) if path.is_file() else {}


def with_groups(times: pd.DataFrame, groups: Mapping[str, int]) -> pd.DataFrame:
    """Timed calls with the group of each, where documents belong together; see ``analyse``.

    Args:
        times: a row for each call, with ``doc_id``.
        groups: of the documents; of all of them, or it is left out.
    """
    if len(set(groups.values())) == len(groups) or not set(times["doc_id"].unique()) <= groups.keys():
        return times
    return times.assign(group=times["doc_id"].map(groups))
