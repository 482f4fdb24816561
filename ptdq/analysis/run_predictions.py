"""What two runs predict for the documents that both have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ptdq.analysis import paired_measures as measured
from ptdq.analysis.arrays import Answers, Ints, Place, read_answers
from ptdq.analysis.document_groups import read_groups
from ptdq.analysis.paired_measures import Asked
from ptdq.analysis.truth import TRUTH, Truth
from ptdq.problem.answers import answers_of
from ptdq.problem.task import OF_CLASSES, RECALL_AT, logit, main_measure
from ptdq.statistics.paired_quality import compare_predictions
from ptdq.statistics.resampling import Sampling
from ptdq.statistics.weighted import SAMPLING
from ptdq.store.cell_rows import CellRows
from ptdq.store.run import Run
from ptdq.store.tables import read_table
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
        self._task, self._runs = new.task, (old, new)
        self._old, self._new = _rows(old), _rows(new)
        self._groups = read_groups(new.files)
        self._truths: tuple[Truth | None, ...] = (
            () if new.task in OF_CLASSES else tuple(map(_truth, (old, new)))
        )

    def compare(self, place: Place) -> dict[str, Any]:
        """Fields of :class:`ptdq.analysis.changes.Change`; the p-value is not yet corrected."""
        old, new = self._runs
        if old.task != new.task:
            return {"quality_refused": f"different tasks: {old.task} and {new.task}"}
        if not self._claimed:
            return {"quality_refused": "quality is not claimed: the weights are random"}
        pair = self._pair(*place)
        if pair is None:
            text = "no common documents: other data, or the rows of the documents were pruned"
            return {"quality_refused": text}
        a, b = pair
        if self._truths and (truth := self._truths[1]) is not None:
            return self._measured(a, b, truth)
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
            "main_difference": compared.weighted_f1.point,
            "main_difference_low": compared.weighted_f1.low,
            "main_difference_high": compared.weighted_f1.high,
        }

    def _measured(self, a: Answers, b: Answers, truth: Truth) -> dict[str, Any]:
        """By the main measure of a task that gives documents no class."""
        groups = self._groups_of(a)
        if self._task == "rerank":
            groups = truth.queries(a.doc_ids)
        elif groups is None:
            groups = np.arange(len(a.doc_ids))
        recall_at = int(self._runs[1].get("parameters", "recall_at", default=RECALL_AT))
        asked = Asked(
            self._task, truth.targets(a.doc_ids), groups, recall_at, replace(SAMPLING, seed=self._seed)
        )
        old, new = (
            answers_of(self._task, each.logits, logit(run.get("parameters", "threshold", default=0.5)))
            for each, run in zip((a, b), self._runs, strict=True)
        )
        change = measured.pair(asked, old, new).changes()[main_measure(self._task)]
        low, high = change.interval()
        return {
            "documents": len(a.doc_ids),
            "main_difference": change.difference,
            "main_difference_low": low,
            "main_difference_high": high,
            # Answers that do not differ are no test: none of them could have come out significant.
            "main_p": None if np.array_equal(old, new) else change.p_value(),
        }

    def _groups_of(self, answers: Answers) -> Ints | None:
        try:
            return self._groups.of(answers.doc_ids)
        except KeyError:
            return None

    def _pair(self, variant: str, length: int) -> tuple[Answers, Answers] | None:
        """Rows of the common documents; those of the old artifact are of the new run where it has any."""
        if self._new is None or None in self._truths:
            return None
        name, before = variant, self._old
        if self._is_again and self._new.of(earlier_name(variant), length):
            name, before = earlier_name(variant), self._new
        if before is None:
            return None
        a, b = (
            read_answers(rows, which, length, logits=bool(self._truths))
            for rows, which in ((before, name), (self._new, variant))
        )
        return None if a is None or b is None else self._shared(a, b)

    def _shared(self, a: Answers, b: Answers) -> tuple[Answers, Answers] | None:
        """The documents of which both say the same; None without any."""
        both = _common(a, b)
        truths = [truth for truth in self._truths if truth is not None]
        if both is None or not truths:
            return both
        old, new = (truth.targets(each.doc_ids) for truth, each in zip(truths, both, strict=True))
        if old.shape != new.shape:
            return None
        same = np.flatnonzero((old == new).all(axis=1))
        return (both[0].only(same), both[1].only(same)) if len(same) else None


def _common(a: Answers, b: Answers) -> tuple[Answers, Answers] | None:
    """The documents that both have with the same label; None without any."""
    places = pa.compute.index_in(a.doc_ids, value_set=b.doc_ids)
    ours = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
    theirs = places.drop_null().to_numpy().astype(np.intp)
    same = a.labels[ours] == b.labels[theirs]
    return (a.only(ours[same]), b.only(theirs[same])) if same.any() else None


def _truth(run: Run) -> Truth | None:
    path = run.files.table("documents")
    return Truth(read_table(path, TRUTH)) if path.is_file() else None


def _rows(run: Run) -> CellRows | None:
    path = run.files.table("predictions")
    return CellRows(path, "quality") if path.is_file() else None
