"""What is true of the documents of a run, where it is not one class of each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.problem.answers import given_labels
from ptdq.statistics import multi_label
from ptdq.statistics.groups import compact
from ptdq.statistics.quality import ClassMetrics

Floats = NDArray[np.float64]

TRUTH = ["doc_id", "target", "group"]
"""What :class:`Truth` reads of the documents."""


class Truth:
    """Targets and queries of documents, by their ids."""

    def __init__(self, documents: pa.Table) -> None:
        """Args: ``documents``: the run's table."""
        ids = documents["doc_id"].to_pylist()
        self._targets = dict(zip(ids, documents["target"].to_pylist(), strict=True))
        self._queries = dict(zip(ids, documents["group"].to_pylist(), strict=True))

    def targets(self, doc_ids: pa.Array | pa.ChunkedArray) -> Floats:
        """What is true of some documents [N, T]."""
        return np.array([self._targets[name] for name in doc_ids.to_pylist()], np.float64)

    def queries(self, doc_ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
        """Query of each [N], 0 to Q - 1."""
        names = np.array([self._queries[name] for name in doc_ids.to_pylist()])
        return compact(np.unique(names, return_inverse=True)[1].astype(np.int64), len(doc_ids))


def label_scores(truth: Truth, measured: pa.Table, cut: float) -> tuple[ClassMetrics, ...]:
    """Quality of each label, by the answers of a cell without its warm-up."""
    flat = measured["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    given = given_labels(flat.reshape(measured.num_rows, -1), cut)
    return multi_label.by_label(truth.targets(measured["doc_id"]), given)
