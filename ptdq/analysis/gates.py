"""Thresholds that a variant must be shown to meet: each gate is a rule, a line of a table.

A new gate is a parameter that is marked ``GATE`` and a rule of the same name in ``RULES``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ptdq.analysis.conditions import conditions, too_busy
from ptdq.analysis.question import Question
from ptdq.problem.task import OF_CLASSES
from ptdq.statistics.conditions import Conditions
from ptdq.store.rows import BestRow, BucketRow, CellRow, ComparisonRow, VariantRow


@dataclass(frozen=True)
class Tables:
    """Rows of a run's tables.

    Attributes:
        comparisons: of every pair of variants at every length.
        buckets: of the same by tokens.
        cells: that finished.
        failed: cells that did not.
        variants: of the artifacts.
        best: which can't be told from the best.
    """

    comparisons: Sequence[ComparisonRow]
    buckets: Sequence[BucketRow] = ()
    cells: Sequence[CellRow] = ()
    failed: Sequence[CellRow] = ()
    variants: Sequence[VariantRow] = ()
    best: Sequence[BestRow] = ()

    def against_baseline(self, question: Question, variant: str) -> list[ComparisonRow]:
        """Comparisons of a variant with the baseline, one for each length measured."""
        pair = (question.baseline, variant)
        return [row for row in self.comparisons if (row["baseline"], row["variant"]) == pair]

    @property
    def conditions(self) -> Conditions:
        """How calm the machine was."""
        return conditions(self.cells)

    def timing_doubt(self, row: ComparisonRow) -> str | None:
        """Why the timings of a comparison decide nothing, in words; None where they do."""
        if (busy := too_busy(self.cells)) is not None:
            return busy
        if row["confounded"]:
            return f"at {row['max_length']} tokens the timings are confounded: {row['confounded']}"
        return None

    def shrunk(self, row: ComparisonRow) -> float | None:
        """Speed-up of the time per document of the fastest, the luck of having been picked taken out."""
        for best in self.best:
            place = best["measure"], best["variant"], best["max_length"]
            if place == ("speedup_total", row["variant"], row["max_length"]):
                return best["speedup"]
        return None

    def faster(self, one: str, other: str) -> bool:
        """Whether a variant is faster than another at some length, by the time per document.

        Decided on the intervals that hold for all variants of a length at once.
        """
        for row in self.comparisons:
            low, high = row["speedup_total_simultaneous_low"], row["speedup_total_simultaneous_high"]
            if (row["baseline"], row["variant"]) == (other, one) and low is not None and low > 1:
                return True
            if (row["baseline"], row["variant"]) == (one, other) and high is not None and high < 1:
                return True
        return False

    def size_ratio(self, question: Question, variant: str) -> float | None:
        """The variant's size as a share of the baseline's; None where one is not known."""
        sizes = {row["variant"]: row["artifact_bytes"] for row in self.variants}
        size, base = sizes.get(variant), sizes.get(question.baseline)
        return size / base if size is not None and base else None


@dataclass(frozen=True)
class Gate:
    """One threshold, for one variant.

    Attributes:
        name: the parameter.
        value: what was measured, the worst over the lengths; None where nothing was.
        bound: the end of its interval that has to meet the threshold; the value itself for sizes,
            which have no noise.
        passed: whether the bound meets it. A gate that the data cannot show to be met has failed.
        text: the finding in words.
    """

    name: str
    variant: str
    threshold: float
    value: float | None
    bound: float | None
    passed: bool
    text: str


@dataclass(frozen=True)
class Figure:
    """What a gate is decided on.

    Attributes:
        value: what was measured.
        bound: the end of its interval that has to meet the threshold.
        about: what the value is of, in words; empty where the gate's name says it.
        refused: why there is no bound.
    """

    value: float | None
    bound: float | None
    about: str = ""
    refused: str | None = None


Figures = Sequence[tuple[int | None, Figure]]
"""A figure at each length; of a size, a single one at no length."""


@dataclass(frozen=True)
class Rule:
    """How a gate is decided.

    Attributes:
        name: the parameter.
        least: whether the threshold is the smallest value allowed, not the largest.
        figure: of a comparison with the baseline; None where it is of no length.
        timing: whether it rests on times, so that confounded ones decide nothing.
    """

    name: str
    least: bool
    figure: Callable[[Question, ComparisonRow], Figure] | None
    timing: bool = False


def _speedup(question: Question, row: ComparisonRow) -> Figure:
    return Figure(row["speedup_total"], row["speedup_total_low"], "", row["speedup_total_refused"])


def _p95(question: Question, row: ComparisonRow) -> Figure:
    return Figure(row["p95_ms"], row["p95_ms_bound"], "", row["p95_ms_refused"])


def _f1(question: Question, row: ComparisonRow) -> Figure:
    difference = row["f1_weighted_difference"]
    return Figure(None if difference is None else -difference, row["f1_drop_bound"])


def _quality(question: Question, row: ComparisonRow) -> Figure:
    """Of the task's main measure; that of one class of several is the weighted F1."""
    if question.task in OF_CLASSES:
        return _f1(question, row)
    difference = row["main_difference"]
    return Figure(None if difference is None else -difference, row["main_drop_bound"])


def _recall(question: Question, row: ComparisonRow) -> Figure:
    changes = class_changes(row)
    if not changes:
        return Figure(None, None)
    worst = max(changes, key=lambda change: float(change["drop_bound"]))
    about = f" of class {class_name(question, worst['label'])}"
    return Figure(worst["baseline"] - worst["variant"], worst["drop_bound"], about)


RULES = (
    Rule("min_speedup", True, _speedup, timing=True),
    Rule("max_f1_drop", False, _f1),
    Rule("max_quality_drop", False, _quality),
    Rule("max_recall_drop", False, _recall),
    Rule("max_size_ratio", False, None),
    Rule("max_p95_ms", False, _p95, timing=True),
)


def judge_gates(question: Question, tables: Tables) -> list[Gate]:
    """Decide every gate for every variant but the baseline.

    A gate holds at every length of the run, so one at which nothing was measured fails it; timings in
    doubt fail a gate on timings.
    """
    asked = [rule for rule in RULES if rule.name in question.gates]
    decided = []
    for variant in question.variants[1:]:
        rows = tables.against_baseline(question, variant)
        missing = not_measured(question.max_lengths, rows)
        # Once each: that of a whole run is the same at every length.
        in_doubt = list(dict.fromkeys(why for row in rows if (why := tables.timing_doubt(row))))
        for rule in asked:
            figures: Figures
            if rule.figure is None:
                ratio = tables.size_ratio(question, variant)
                figures, doubts = [(None, Figure(ratio, ratio))], []
            else:
                figures = [(row["max_length"], rule.figure(question, row)) for row in rows]
                doubts = [*missing, *(in_doubt if rule.timing else ())]
            decided.append(_decide(question, rule, variant, figures, doubts))
    return decided


def class_changes(row: ComparisonRow) -> list[dict[str, Any]]:
    """Changes of recall by class of a comparison; empty where quality was not compared."""
    text = row["class_changes"]
    changes: list[dict[str, Any]] = json.loads(text) if text else []
    return changes


def class_name(question: Question, label: int) -> str:
    """Name of a class, or its id."""
    known = 0 <= label < len(question.class_names)
    return str(question.class_names[label]) if known else str(label)


def not_measured(max_lengths: Sequence[int], rows: Sequence[ComparisonRow]) -> list[str]:
    """Which lengths of the run have no row, in words."""
    measured = {row["max_length"] for row in rows}
    return [
        f"at {length} tokens nothing was measured" for length in max_lengths if length not in measured
    ]


def _decide(
    question: Question, rule: Rule, variant: str, figures: Figures, doubts: Sequence[str]
) -> Gate:
    """Decide on the figure with the worst bound; one without a bound is worse than any."""
    threshold, sign = question.gates[rule.name], 1 if rule.least else -1

    def slack(figure: Figure) -> float:
        return float("-inf") if figure.bound is None else sign * (figure.bound - threshold)

    nothing = (None, Figure(None, None))
    length, worst = min(figures, key=lambda pair: slack(pair[1]), default=nothing)
    if worst.value is None:
        return Gate(rule.name, variant, threshold, None, None, False, f"{variant}: nothing measured")
    text = f"{variant}: {worst.value:.4g}{worst.about}"
    if length is not None:
        text += f" at {length} tokens"
    if worst.bound is None:
        text += f", without an interval ({worst.refused or 'too few rounds or documents'})"
        return Gate(rule.name, variant, threshold, worst.value, None, False, text)
    if worst.value != worst.bound:
        text += f", bound of its 95 % interval {worst.bound:.4g}"
    text += f"; must be {'at least' if rule.least else 'at most'} {threshold:.4g}"
    passed = slack(worst) >= 0
    if not passed and sign * (worst.value - threshold) >= 0:
        text += ": the estimate meets it, the interval does not show it"
    if doubts:
        text += f"; not passed: {'; '.join(doubts)}"
    return Gate(rule.name, variant, threshold, worst.value, worst.bound, passed and not doubts, text)
