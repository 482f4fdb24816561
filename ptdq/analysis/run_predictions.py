"""What two runs predict for the documents that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ptdq.analysis.arrays import Answers, Ints, Place, read_answers
from ptdq.analysis.document_groups import read_groups
from ptdq.problem.task import OF_CLASSES
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.resampling import Sampling
from ptdq.store.cell_rows import CellRows
from ptdq.store.run import Run
from ptdq.variant_names import earlier_name


class Predictions:
    """Compares what two runs predict for the documents that both have with the same label."""

    def __init__(self, old: Run, new: Run, seed: int, again: bool) -> None:
        """Read both.

        Args:
            old: the earlier run.
            new: the later one.
            seed: of the resamples.
            again: whether artifacts of the old run were measured again in the new one.
        """
        self._claimed, self._seed, self._is_again = old.quality and new.quality, seed, again
        self._task = new.task
        self._old, self._new = _rows(old), _rows(new)
        self._groups = read_groups(new.files)

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
        compared = compare_predictions(
            a.labels,
            a.predictions[0],
            b.predictions[0],
            self._groups_of(a),
            sampling=Sampling(seed=self._seed),
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

    def _groups_of(self, answers: Answers) -> Ints | None:
        try:
            return self._groups.of(answers.doc_ids)
        except KeyError:
            return None

    def _pair(self, variant: str, length: int) -> tuple[Answers, Answers] | None:
        """Rows of the common documents; those of the old artifact are of the new run where it has any."""
        if self._new is None:
            return None
        name, before = variant, self._old
        if self._is_again and self._new.of(earlier_name(variant), length):
            name, before = earlier_name(variant), self._new
        if before is None:
            return None
        a, b = (
            read_answers(rows, which, length) for rows, which in ((before, name), (self._new, variant))
        )
        return None if a is None or b is None else _shared(a, b)


def _shared(a: Answers, b: Answers) -> tuple[Answers, Answers] | None:
    """The documents that both have with the same label; None without any."""
    places = pa.compute.index_in(a.doc_ids, value_set=b.doc_ids)
    ours = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
    theirs = places.drop_null().to_numpy().astype(np.intp)
    same = a.labels[ours] == b.labels[theirs]
    return (a.only(ours[same]), b.only(theirs[same])) if same.any() else None


def _rows(run: Run) -> CellRows | None:
    path = run.files.table("predictions")
    return CellRows(path, "quality") if path.is_file() else None
