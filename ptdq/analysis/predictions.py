"""What the predictions of a run say of each pair of variants: columns of ``comparisons``.

Against the run's baseline, variants are decided as a family: the chance of any wrong "non-inferior", and
of any class wrongly found to have lost recall, is 5 % for the whole run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from ptdq.analysis.arrays import Answers, AnswersOfAll, Place
from ptdq.analysis.document_groups import Groups
from ptdq.analysis.question import Question
from ptdq.statistics.chance import Chance, above_chance
from ptdq.statistics.confidence import calibration, compare_confidence, largest_difference
from ptdq.statistics.multiplicity import ALPHA
from ptdq.statistics.non_inferiority import (
    METRICS,
    Evidence,
    NonInferiority,
    combined,
    decide_family,
    evidence,
)
from ptdq.statistics.paired_quality import PairedQuality, compare_predictions
from ptdq.statistics.recall import RecallChange, correct
from ptdq.statistics.resampling import Sampling
from ptdq.store.layout import RunFiles
from ptdq.store.rows import CalibrationRow, PairQuality
from ptdq.store.schema import merge

Ints = NDArray[np.int64]


class Comparer:
    """Compares the predictions of pairs of variants.

    Attributes:
        question: what is asked.
        arrays: of each variant and length that has predictions.
    """

    def __init__(self, files: RunFiles, question: Question, groups: Groups) -> None:
        """Read the predictions, and decide all variants against the baseline.

        Args:
            files: of the run, with its documents and predictions; quality is taken from the cells that
                are for it, if any.
            question: what is asked.
            groups: of its documents.
        """
        self.question = question
        self.arrays = AnswersOfAll(files, question.measured, question.max_lengths)
        self._groups = groups
        self._sampling = Sampling(seed=question.seed)
        self._decided: dict[Place, PairQuality] = {}
        self._compared: dict[tuple[str, str, int], PairedQuality] = {}
        if question.claim_quality:
            self._decide()

    def columns(self, baseline: str, variant: str, length: int) -> PairQuality:
        """Columns of ``comparisons``; scores only where they are claimed."""
        a, b = self.arrays.get((baseline, length)), self.arrays.get((variant, length))
        if a is None or b is None:
            return {}
        row: PairQuality = {
            "agreement": float((a.predictions[0] == b.predictions[0]).mean()),
            "largest_logit_difference": largest_difference(a.logits, b.logits),
        }
        if not self.question.claim_quality:
            return row
        compared = self._compare(baseline, variant, length)
        parts = [
            row,
            _score_columns(compared, self._groups_of(a)),
            _confidence_columns(a, b, self._groups_of(a)),
        ]
        if baseline == self.question.baseline:
            parts.append(self._decided.get((variant, length), {}))
        return merge(PairQuality, *parts)

    def _compare(self, baseline: str, variant: str, length: int) -> PairedQuality:
        place = (baseline, variant, length)
        if place not in self._compared:
            a, b = self.arrays[baseline, length], self.arrays[variant, length]
            self._compared[place] = compare_predictions(
                a.labels,
                a.predictions[0],
                b.predictions[0],
                self._groups_of(a),
                gate_level=1 - ALPHA / max(1, len(self.question.variants) - 1),
                sampling=self._sampling,
            )
        return self._compared[place]

    def _groups_of(self, measured: Answers) -> Ints | None:
        """Group of each document; None where each stands alone."""
        found = self._groups.of(measured.doc_ids)
        return None if self._groups.alone else found

    def _decide(self) -> None:
        """Non-inferiority, recall and chance of all variants against the baseline."""
        baseline = self.question.baseline
        lengths = [n for n in self.question.max_lengths if (baseline, n) in self.arrays]
        chances = {length: self._chance(self.arrays[baseline, length]) for length in lengths}
        places = [
            (variant, length)
            for variant in self.question.variants[1:]
            for length in lengths
            if (variant, length) in self.arrays
        ]
        decisions = self._decide_margins(places)
        recalls = correct([self._compare(baseline, *place).recalls for place in places])
        for place, changes in zip(places, recalls, strict=True):
            self._decided[place] = merge(
                PairQuality,
                decisions.get(place, {}),
                _class_columns(changes),
                _chance_columns(chances[place[1]]),
            )

    def _chance(self, measured: Answers) -> Chance:
        predictions = measured.predictions[0]
        groups = self._groups_of(measured)
        return above_chance(measured.labels, predictions, groups, seed=self.question.seed)

    def _decide_margins(self, places: Sequence[Place]) -> dict[Place, PairQuality]:
        """Whether each variant keeps the margin, corrected (Holm) for the number of variants."""
        collected: dict[str, dict[Place, list[Evidence]]] = {}
        for place in places:
            if (pair := self._evidence(*place)) is not None:
                collected.setdefault(place[0], {})[place] = pair
        families = [
            [each for pair in by_place.values() for each in pair] for by_place in collected.values()
        ]
        decided = decide_family(families)
        columns: dict[Place, PairQuality] = {}
        for by_place, outcomes in zip(collected.values(), decided, strict=True):
            for index, (place, pair) in enumerate(by_place.items()):
                own = outcomes[index * len(METRICS) : (index + 1) * len(METRICS)]
                columns[place] = _margin_columns(pair, own)
        return columns

    def _evidence(self, variant: str, length: int) -> list[Evidence] | None:
        """By weighted and by macro F1; None where the baseline has no F1 to keep a share of."""
        a, b = self.arrays[self.question.baseline, length], self.arrays[variant, length]
        try:
            return [
                evidence(
                    a.labels,
                    a.predictions[0],
                    b.predictions[0],
                    self._groups_of(a),
                    margin=self.question.margin,
                    metric=metric,
                    sampling=self._sampling,
                )
                for metric in METRICS
            ]
        except ValueError:
            return None


def calibration_rows(run_id: str, comparer: Comparer) -> list[CalibrationRow]:
    """Rows of ``calibration``: points of the reliability plot of each variant at each length."""
    rows: list[CalibrationRow] = []
    for (variant, length), measured in comparer.arrays.items():
        if not _finite(measured):
            continue
        points = calibration(measured.labels, measured.logits)
        for confidence, accuracy, documents in zip(
            points.confidence, points.accuracy, points.documents, strict=True
        ):
            rows.append(
                {
                    "run_id": run_id,
                    "variant": variant,
                    "max_length": length,
                    "confidence": confidence,
                    "accuracy": accuracy,
                    "documents": documents,
                }
            )
    return rows


def _finite(measured: Answers) -> bool:
    return bool(np.isfinite(measured.logits).all())


def _score_columns(compared: PairedQuality, groups: Ints | None) -> PairQuality:
    return {
        "texts": compared.documents if groups is None else len(np.unique(groups)),
        "kappa": compared.kappa,
        "discordant_better": compared.gained,
        "discordant_worse": compared.lost,
        "mcnemar_p": compared.p_value,
        "class_changes": json.dumps([asdict(change) for change in compared.recalls]),
        "accuracy_difference": compared.accuracy.point,
        "accuracy_difference_low": compared.accuracy.low,
        "accuracy_difference_high": compared.accuracy.high,
        "f1_macro_difference": compared.macro_f1.point,
        "f1_macro_difference_low": compared.macro_f1.low,
        "f1_macro_difference_high": compared.macro_f1.high,
        "f1_weighted_difference": compared.weighted_f1.point,
        "f1_weighted_difference_low": compared.weighted_f1.low,
        "f1_weighted_difference_high": compared.weighted_f1.high,
        "f1_drop_bound": compared.weighted_f1_drop_bound,
    }


def _confidence_columns(a: Answers, b: Answers, groups: Ints | None) -> PairQuality:
    if not (_finite(a) and _finite(b)):
        return {}
    changes = compare_confidence(a.labels, a.logits, b.logits, groups)
    return {
        "log_loss_baseline": changes.log_loss.baseline,
        "log_loss_difference": changes.log_loss.difference,
        "log_loss_difference_low": changes.log_loss.low,
        "log_loss_difference_high": changes.log_loss.high,
        "brier_baseline": changes.brier.baseline,
        "brier_difference": changes.brier.difference,
        "brier_difference_low": changes.brier.low,
        "brier_difference_high": changes.brier.high,
        "calibration_error_baseline": changes.baseline.error,
        "calibration_error": changes.variant.error,
    }


def _margin_columns(pair: Sequence[Evidence], decisions: Sequence[NonInferiority]) -> PairQuality:
    weighted, macro = decisions
    outcome = combined([each.outcome for each in decisions])
    needed = [each.documents_needed(made.level) for each, made in zip(pair, decisions, strict=True)]
    known = [count for count in needed if count is not None]
    return {
        "f1_ratio": weighted.ratio,
        "f1_ratio_low": weighted.low,
        "f1_macro_ratio": macro.ratio,
        "f1_macro_ratio_low": macro.low,
        "non_inferiority": outcome,
        # Of those that are undecided all must be decided.
        "documents_needed": max(known, default=None) if outcome == "undecided" else None,
    }


def _class_columns(changes: Sequence[RecallChange]) -> PairQuality:
    return {"class_changes": json.dumps([asdict(change) for change in changes])}


def _chance_columns(chance: Chance) -> PairQuality:
    return {
        "baseline_accuracy": chance.accuracy,
        "majority_share": chance.majority,
        "chance_p": chance.p_value,
    }
