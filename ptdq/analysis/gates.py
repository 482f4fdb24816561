"""Thresholds that a variant must be shown to meet: each gate is a rule, a line of a table.

A new gate is a field of ``Gates`` and a rule of the same name in ``RULES``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ptdq.statistics.conditions import Conditions, grade

Row = dict[str, Any]


@dataclass(frozen=True)
class Gates:
    """Thresholds; None where there is none.

    Attributes:
        min_speedup: smallest speed-up of the time per document, end to end.
        max_f1_drop: largest drop in weighted F1.
        max_recall_drop: largest drop in recall of any class.
        max_size_ratio: largest size as a share of the baseline's.
        max_p95_ms: largest 95th percentile of forward latency, in ms.
    """

    min_speedup: float | None = None
    max_f1_drop: float | None = None
    max_recall_drop: float | None = None
    max_size_ratio: float | None = None
    max_p95_ms: float | None = None


@dataclass(frozen=True)
class Question:
    """What was asked of a run.

    Attributes:
        variants: the first is the baseline.
        max_lengths: those of the run, measured or not.
        margin: share of the baseline's F1 to keep.
        claim_quality: whether labels mean anything (not with random weights).
        isolation: ``parallel``, ``same`` or ``solo``.
        gates: thresholds.
        class_names: by class id; empty where classes have none.
    """

    variants: Sequence[str]
    max_lengths: Sequence[int]
    margin: float = 0.99
    claim_quality: bool = True
    isolation: str = "parallel"
    gates: Gates = Gates()
    class_names: Sequence[str] = ()

    @property
    def baseline(self) -> str:
        """The first variant."""
        return self.variants[0]


@dataclass(frozen=True)
class Tables:
    """Rows of a run's tables.

    Attributes:
        comparisons: of every pair of variants at every length.
        buckets: of the same by tokens.
        cells: that finished.
        failed: cells that did not.
        variants: of the artifacts.
    """

    comparisons: Sequence[Row]
    buckets: Sequence[Row] = ()
    cells: Sequence[Row] = ()
    failed: Sequence[Row] = ()
    variants: Sequence[Row] = ()

    def against_baseline(self, question: Question, variant: str) -> list[Row]:
        """Comparisons of a variant with the baseline, one for each length measured."""
        pair = (question.baseline, variant)
        return [row for row in self.comparisons if (row["baseline"], row["variant"]) == pair]

    @property
    def conditions(self) -> Conditions:
        """How calm the machine was."""
        taken = [
            None
            if cell["other_seconds"] is None
            else cell["other_seconds"] + (cell["steal_seconds"] or 0)
            for cell in self.cells
        ]
        flagged = [bool(cell["flags"]) for cell in self.cells]
        return grade(flagged, taken, [cell["measure_seconds"] for cell in self.cells])

    def timing_doubt(self, row: Row) -> str | None:
        """Why the timings of a comparison decide nothing, in words; None where they do."""
        if self.conditions.grade == "unusable":
            return f"the machine was too busy to time anything on: {self.conditions.sentence}"
        if row["confounded"]:
            return f"at {row['max_length']} tokens the timings are confounded: {row['confounded']}"
        return None

    def size_ratio(self, question: Question, variant: str) -> list[Row]:
        """The variant's row of ``variants`` with its size as a share of the baseline's, where known."""
        sizes = {row["variant"]: row["artifact_bytes"] for row in self.variants}
        if variant not in sizes or question.baseline not in sizes:
            return []
        return [{"variant": variant, "size_ratio": sizes[variant] / sizes[question.baseline]}]


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


@dataclass(frozen=True)
class Rule:
    """How a gate is decided.

    Attributes:
        name: the parameter, a field of ``Gates``.
        least: whether the threshold is the smallest value allowed, not the largest.
        figure: of a comparison with the baseline; of a row of ``variants`` where it is of no length.
        timing: whether it rests on times, so that confounded ones decide nothing.
        at_lengths: whether there is a figure at each length.
    """

    name: str
    least: bool
    figure: Callable[[Question, Row], Figure]
    timing: bool = False
    at_lengths: bool = True


def _speedup(question: Question, row: Row) -> Figure:
    return Figure(row["speedup_total"], row["speedup_total_low"], "", row.get("speedup_total_refused"))


def _p95(question: Question, row: Row) -> Figure:
    return Figure(row["p95_ms"], row["p95_ms_bound"], "", row.get("p95_refused"))


def _f1(question: Question, row: Row) -> Figure:
    difference = row["f1_weighted_difference"]
    return Figure(None if difference is None else -difference, row["f1_drop_bound"])


def _recall(question: Question, row: Row) -> Figure:
    changes = class_changes(row)
    if not changes:
        return Figure(None, None)
    worst = max(changes, key=lambda change: float(change["drop_bound"]))
    about = f" of class {class_name(question, worst['label'])}"
    return Figure(worst["baseline"] - worst["variant"], worst["drop_bound"], about)


def _size(question: Question, row: Row) -> Figure:
    return Figure(row["size_ratio"], row["size_ratio"])


RULES = (
    Rule("min_speedup", True, _speedup, timing=True),
    Rule("max_f1_drop", False, _f1),
    Rule("max_recall_drop", False, _recall),
    Rule("max_size_ratio", False, _size, at_lengths=False),
    Rule("max_p95_ms", False, _p95, timing=True),
)


def judge_gates(question: Question, tables: Tables) -> list[Gate]:
    """Decide every gate for every variant but the baseline.

    A gate holds at every length of the run, so one at which nothing was measured fails it; timings in
    doubt fail a gate on timings.
    """
    asked = [rule for rule in RULES if getattr(question.gates, rule.name) is not None]
    decided = []
    for variant in question.variants[1:]:
        rows = tables.against_baseline(question, variant)
        missing = not_measured(question.max_lengths, rows)
        # Once each: that of a whole run is the same at every length.
        in_doubt = list(dict.fromkeys(why for row in rows if (why := tables.timing_doubt(row))))
        for rule in asked:
            mine = rows if rule.at_lengths else tables.size_ratio(question, variant)
            doubts = [*(missing if rule.at_lengths else ()), *(in_doubt if rule.timing else ())]
            decided.append(_decide(question, rule, variant, mine, doubts))
    return decided


def failed_gates(gates: Sequence[Row]) -> list[str]:
    """Texts of the gates that fail the run: none where some variant passes all of its own.

    Args:
        gates: as ``run.json`` has them.
    """
    by_variant: dict[str, list[Row]] = {}
    for gate in gates:
        by_variant.setdefault(gate["variant"], []).append(gate)
    if any(all(gate["passed"] for gate in mine) for mine in by_variant.values()):
        return []
    return [f"gate {gate['name']} failed: {gate['text']}" for gate in gates if not gate["passed"]]


def class_changes(row: Row) -> list[Row]:
    """Changes of recall by class of a comparison; empty where quality was not compared."""
    found = row.get("class_changes")
    changes: list[Row] = json.loads(found) if found else []
    return changes


def class_name(question: Question, label: int) -> str:
    """Name of a class, or its id."""
    known = 0 <= label < len(question.class_names)
    return str(question.class_names[label]) if known else str(label)


def not_measured(max_lengths: Sequence[int], rows: Sequence[Row]) -> list[str]:
    """Which lengths of the run have no row, in words."""
    there = {row["max_length"] for row in rows}
    return [f"at {length} tokens nothing was measured" for length in max_lengths if length not in there]


def _decide(
    question: Question, rule: Rule, variant: str, rows: Sequence[Row], doubts: Sequence[str]
) -> Gate:
    """Decide on the row with the worst bound; one without a bound is worse than any."""
    threshold, sign = getattr(question.gates, rule.name), 1 if rule.least else -1

    def slack(pair: tuple[Row, Figure]) -> float:
        bound = pair[1].bound
        return float("-inf") if bound is None else sign * (bound - threshold)

    figures = [(row, rule.figure(question, row)) for row in rows]
    row, worst = min(figures, key=slack, default=({}, Figure(None, None)))
    if worst.value is None:
        return Gate(rule.name, variant, threshold, None, None, False, f"{variant}: nothing measured")
    text = f"{variant}: {worst.value:.4g}{worst.about}"
    if rule.at_lengths:
        text += f" at {row['max_length']} tokens"
    if worst.bound is None:
        text += f", without an interval ({worst.refused or 'too few rounds or documents'})"
        return Gate(rule.name, variant, threshold, worst.value, None, False, text)
    if worst.value != worst.bound:
        text += f", bound of its 95 % interval {worst.bound:.4g}"
    text += f"; must be {'at least' if rule.least else 'at most'} {threshold:.4g}"
    passed = slack((row, worst)) >= 0
    if not passed and sign * (worst.value - threshold) >= 0:
        text += ": the estimate meets it, the interval does not show it"
    if doubts:
        text += f"; not passed: {'; '.join(doubts)}"
    return Gate(rule.name, variant, threshold, worst.value, worst.bound, passed and not doubts, text)
