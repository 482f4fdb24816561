"""What the answers of a run say of each pair of variants, at tasks other than one class.

The same questions as in :mod:`ptdq.analysis.predictions`, and the same columns where they mean the same:
non-inferiority of all variants as a family, and, of labels, what is lost of each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ptdq.analysis.arrays import Answers, AnswersOfAll, Place
from ptdq.analysis.document_groups import Groups
from ptdq.analysis.paired_measures import Asked, pair
from ptdq.analysis.question import Question
from ptdq.analysis.truth import TRUTH, Truth
from ptdq.problem.answers import answers_of, given_labels
from ptdq.problem.task import MEASURES, main_measure
from ptdq.statistics import multi_label
from ptdq.statistics.confidence import largest_difference
from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.non_inferiority import NonInferiority, combined, decide_family
from ptdq.statistics.recall import correct
from ptdq.statistics.weighted import Change, Kept, Paired, Rows
from ptdq.store.layout import RunFiles
from ptdq.store.rows import MeasureRow, PairQuality
from ptdq.store.schema import merge
from ptdq.store.tables import read_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Compared:
    """A variant against another at a length: how it changed by each measure."""

    paired: Paired
    changes: dict[str, Change]
    columns: PairQuality


class MeasureComparer:
    """Compares the answers of pairs of variants.

    Attributes:
        question: what is asked.
        arrays: of each variant and length that has answers.
    """

    def __init__(self, files: RunFiles, question: Question, groups: Groups) -> None:
        """Read the answers, and decide all variants against the baseline.

        Args:
            files: of the run, with its documents and predictions; quality is taken from the cells that
                are for it, if any.
            question: what is asked.
            groups: of its documents.
        """
        self.question = question
        self.arrays = AnswersOfAll(files, question.measured, question.max_lengths)
        self._truth = Truth(read_table(files.table("documents"), TRUTH))
        self._groups = groups
        self._level = 1 - ALPHA / max(1, len(question.variants) - 1)
        self._compared: dict[tuple[str, str, int], _Compared] = {}
        self._decided: dict[Place, PairQuality] = {}
        self._bounds: dict[tuple[str, int, str], NonInferiority] = {}
        if question.claim_quality:
            self._decide()

    def columns(self, baseline: str, variant: str, length: int) -> PairQuality:
        """Columns of ``comparisons``; scores only where they are claimed."""
        a, b = self.arrays.get((baseline, length)), self.arrays.get((variant, length))
        if a is None or b is None:
            return {}
        row: PairQuality = {"largest_logit_difference": largest_difference(a.logits, b.logits)}
        if not self.question.claim_quality:
            return row
        own = self._decided.get((variant, length), {}) if baseline == self.question.baseline else {}
        return merge(PairQuality, row, self._compare(baseline, variant, length).columns, own)

    def rows(self, run_id: str) -> list[MeasureRow]:
        """Rows of ``measures``: each variant at each length by each measure, the baseline's first."""
        baseline, found = self.question.baseline, []
        lengths = [n for n in self.question.max_lengths if (baseline, n) in self.arrays]
        for length in lengths if self.question.claim_quality else []:
            there = [name for name in self.question.variants if (name, length) in self.arrays]
            for variant in there:
                # The baseline's own value is in every comparison with it.
                other = there[-1] if variant == baseline else variant
                for name, change in self._compare(baseline, other, length).changes.items():
                    row: MeasureRow = {
                        "run_id": run_id,
                        "variant": variant,
                        "max_length": length,
                        "measure": name,
                        "value": change.baseline if variant == baseline else change.variant,
                    }
                    if variant != baseline:
                        row = merge(MeasureRow, row, self._measure(variant, length, change))
                    found.append(row)
        return found

    def _measure(self, variant: str, length: int, change: Change) -> MeasureRow:
        low, high = change.interval()
        kept = self._bounds.get((variant, length, change.name))
        return {
            "difference": change.difference,
            "difference_low": low,
            "difference_high": high,
            "ratio": None if kept is None else kept.ratio,
            "ratio_low": None if kept is None else kept.low,
            "drop_bound": change.drop_bound(self._level),
        }

    def _groups_of(self, measured: Answers) -> Ints:
        return self._groups.of(measured.doc_ids)

    def _compare(self, baseline: str, variant: str, length: int) -> _Compared:
        place = (baseline, variant, length)
        if place not in self._compared:
            a, b = self.arrays[baseline, length], self.arrays[variant, length]
            truth, groups = self._truth.targets(a.doc_ids), self._groups_of(a)
            task = self.question.task
            if task == "rerank":
                groups = self._truth.queries(a.doc_ids)
            old, new = (answers_of(task, each.logits, self.question.cut) for each in (a, b))
            paired = pair(Asked(task, truth, groups, self.question.recall_at), old, new)
            columns: PairQuality = {}
            if task == "multi-label":
                recalls = multi_label.label_recalls(Rows(truth, old, new), groups, level=self._level)
                columns = {
                    "agreement": float((old == new).all(axis=1).mean()),
                    "class_changes": json.dumps([asdict(change) for change in recalls]),
                }
            texts = paired.documents if task == "rerank" else len(np.unique(groups))
            self._compared[place] = self._made(paired, columns, texts)
        return self._compared[place]

    def _made(self, paired: Paired, columns: PairQuality, texts: int) -> _Compared:
        changes = paired.changes()
        main = changes[main_measure(self.question.task)]
        low, high = main.interval()
        own: PairQuality = {
            "texts": texts,
            "main_difference": main.difference,
            "main_difference_low": low,
            "main_difference_high": high,
            "main_drop_bound": main.drop_bound(self._level),
        }
        return _Compared(paired, changes, merge(PairQuality, columns, own))

    def _decide(self) -> None:
        """Non-inferiority of all variants against the baseline, and what is lost of each label."""
        baseline = self.question.baseline
        places = [
            (variant, length)
            for variant in self.question.variants[1:]
            for length in self.question.max_lengths
            if (baseline, length) in self.arrays and (variant, length) in self.arrays
        ]
        kept = {place: found for place in places if (found := self._kept(*place))}
        families: dict[str, list[tuple[Place, Kept]]] = {}
        for place, found in kept.items():
            families.setdefault(place[0], []).extend((place, each) for each in found)
        decided = decide_family([[each for _, each in mine] for mine in families.values()])
        by_place: dict[Place, list[tuple[Kept, NonInferiority]]] = {}
        for mine, outcomes in zip(families.values(), decided, strict=True):
            for (place, each), outcome in zip(mine, outcomes, strict=True):
                by_place.setdefault(place, []).append((each, outcome))
                self._bounds[(*place, each.change.name)] = outcome
        self._decided = {
            place: _margin_columns(pairs, len(self.arrays[place].doc_ids))
            for place, pairs in by_place.items()
        }
        if self.question.task == "multi-label":
            self._correct_recalls(places)

    def _kept(self, variant: str, length: int) -> list[Kept]:
        """By each measure of which a share must be kept; none where the baseline has none of one."""
        compared = self._compare(self.question.baseline, variant, length)
        wanted = [name for name, each in MEASURES[self.question.task].items() if each.kept]
        try:
            return [compared.paired.kept(compared.changes[name], self.question.margin) for name in wanted]
        except ValueError:
            return []

    def _correct_recalls(self, places: Sequence[Place]) -> None:
        """Correct for all variants, lengths and labels at once."""
        baseline = self.question.baseline
        found = []
        for variant, length in places:
            a, b = self.arrays[baseline, length], self.arrays[variant, length]
            answers = (given_labels(each.logits, self.question.cut) for each in (a, b))
            rows = Rows(self._truth.targets(a.doc_ids), *answers)
            groups = self._groups_of(a)
            found.append(multi_label.label_recalls(rows, groups, level=self._level))
        for place, changes in zip(places, correct(found), strict=True):
            text = json.dumps([asdict(change) for change in changes])
            own: PairQuality = {"class_changes": text}
            self._decided[place] = merge(PairQuality, self._decided.get(place, {}), own)


def _margin_columns(pairs: Sequence[tuple[Kept, NonInferiority]], documents: int) -> PairQuality:
    """What was decided; and how many documents would, where what is resampled may be queries of many."""
    main = pairs[0][1]
    outcome = combined([decision.outcome for _, decision in pairs])
    needed = None
    if outcome == "undecided":
        counts = [
            count * documents / each.documents
            for each, decision in pairs
            if (count := each.documents_needed(decision.level)) is not None
        ]
        needed = math.ceil(max(counts)) if counts else None
    return {
        "main_ratio": main.ratio,
        "main_ratio_low": main.low,
        "non_inferiority": outcome,
        "documents_needed": needed,
    }
