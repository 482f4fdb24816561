"""What two runs predict for the documents that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ptdq.analysis.arrays import Measured, of_kind, read_measured
from ptdq.analysis.nights import Place
from ptdq.analysis.predictions import document_groups
from ptdq.problem.task import OF_CLASSES
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.resampling import Sampling
from ptdq.store.run import Run
from ptdq.store.tables import read_table
from ptdq.variant_names import earlier_name


class Predictions:
    """Compares what two runs predict for the documents that both have with the same label."""

    def __init__(self, old: Run, new: Run, seed: int) -> None:
        self._claimed, self._seed = old.quality and new.quality, seed
        self._task = new.task
        self._old, self._new = _predictions(old), _predictions(new)
        documents = new.files.table("documents")
        self._groups = document_groups(read_table(documents)) if documents.is_file() else {}

    def compare(self, place: Place) -> dict[str, Any]:
        """Fields of :class:`ptdq.analysis.changes.Change`; the p-value is not yet corrected."""
        if self._task not in OF_CLASSES:
            return {"quality_refused": f"between runs the task {self._task} is not compared"}
        if not self._claimed:
            return {"quality_refused": "quality is not claimed: the weights are random"}
        pair = self._pair(*place)
        if pair is None:
            text = "no common documents: other data, or the rows of the documents were pruned"
            return {"quality_refused": text}
        a, b = pair
        known = set(a.doc_ids) <= self._groups.keys()
        groups = np.array([self._groups[name] for name in a.doc_ids], np.int64) if known else None
        compared = compare_predictions(
            a.labels, a.predictions[0], b.predictions[0], groups, sampling=Sampling(seed=self._seed)
        )
        return {
            "documents": compared.documents,
            "better": compared.gained,
            "worse": compared.lost,
            "mcnemar_p": compared.p_value,
            "f1_difference": compared.weighted_f1.point,
            "f1_difference_low": compared.weighted_f1.low,
            "f1_difference_high": compared.weighted_f1.high,
        }

    def _pair(self, variant: str, length: int) -> tuple[Measured, Measured] | None:
        """Rows of the common documents; those of the old artifact are of the new run where it has any."""
        if self._new is None:
            return None
        again = _of(self._new, earlier_name(variant), length)
        name, before = (earlier_name(variant), again) if again.num_rows else (variant, self._old)
        if before is None:
            return None
        both = [_of(before, name, length), _of(self._new, variant, length)]
        labels = [dict(zip(t["doc_id"].to_pylist(), t["label"].to_pylist(), strict=True)) for t in both]
        shared = [doc_id for doc_id, label in labels[0].items() if labels[1].get(doc_id) == label]
        if not shared:
            return None
        wanted = pa.array(shared, pa.string())
        a, b = (
            read_measured(table.filter(pa.compute.is_in(table["doc_id"], wanted)), which, length)
            for table, which in zip(both, (name, variant), strict=True)
        )
        return None if a is None or b is None else (a, b)


def _predictions(run: Run) -> pa.Table | None:
    path = run.files.table("predictions")
    return of_kind(read_table(path), "quality") if path.is_file() else None


def _of(table: pa.Table, variant: str, length: int) -> pa.Table:
    equal = pa.compute.equal
    return table.filter(
        pa.compute.and_(equal(table["variant"], variant), equal(table["max_length"], length))
    )
