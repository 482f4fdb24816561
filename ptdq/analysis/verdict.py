"""Ship, don't ship, or can't tell: a pure function of the tables and of what was asked for.

A variant is shipped that

- is faster end to end at some length and slower at none, neither in p95 nor for documents of any bucket
  of lengths ("the same" at every length brings no speed: it is shipped only where a gate on size was set
  and passed, and else is for the reader to weigh);
- keeps its weighted and its macro F1 within the margin at every length, and has lost recall of no class
  beyond chance;
- passes its gates, and has no failed cell.

Of several such, those that can't be told from the fastest of them are as good in speed: the smallest is
recommended, then the best in quality. Nothing is shipped on labels that the baseline does not predict
better than guessing, or on timings of a machine that was mostly busy with something else. A machine that
was only disturbed made the intervals wider, which is said in the headline and forbids nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, geometric_mean
from typing import Any, Literal

from ptdq import numbers
from ptdq.analysis.findings import kept_text, misfit, quality, timing, total_text
from ptdq.analysis.gates import Gate, Tables, not_measured
from ptdq.analysis.question import Question
from ptdq.problem.task import MEASURES, OF_CLASSES, main_measure
from ptdq.statistics.conditions import Grade
from ptdq.store.rows import ComparisonRow
from ptdq.store.rows_beyond import MatrixRow

Decision = Literal["ship", "don't ship", "can't tell"]

ALIKE = 0.01
"""Sizes that differ by no more than this share count as the same."""

HOW = {
    "parallel": "neighbour cores busy",
    "same": "all cores busy with the same variant",
    "solo": "other cores idle",
}


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Attributes:
        decision: ship, don't ship, or can't tell.
        variant: which one the decision is about; None where there is nothing to compare.
        headline: one sentence with the figures.
        reasons: why, one sentence each.
        conditions: how calm the machine was.
    """

    decision: Decision
    variant: str | None
    headline: str
    reasons: list[str]
    conditions: Grade

    def as_json(self) -> dict[str, Any]:
        """For ``run.json``."""
        return asdict(self)


@dataclass(frozen=True)
class _State:
    """What is to be said of one variant."""

    variant: str
    decision: Decision
    rows: Sequence[ComparisonRow]
    reasons: list[str]

    @property
    def speedup(self) -> float:
        known = [ratio for row in self.rows if (ratio := row["speedup_total"])]
        return geometric_mean(known) if known else 0.0


def decide(question: Question, tables: Tables, gates: Sequence[Gate]) -> Verdict:
    """The verdict over all variants: the one to ship, else the fastest of those nearest to it.

    Timings in doubt speak neither for a variant nor against it, and neither does a length at which
    nothing was measured.

    Args:
        question: what was asked.
        tables: of the run.
        gates: all of them, decided.
    """
    conditions = tables.conditions.grade

    def nothing(why: str) -> Verdict:
        return Verdict("can't tell", None, why, [], conditions)

    if len(question.variants) < 2 or not tables.comparisons:
        single = len(question.variants) < 2
        said = "a single variant was measured" if single else "no pair of variants finished"
        return nothing(f"Nothing to compare: {said}.")
    states = [
        _state(question, tables, gates, variant, rows)
        for variant in question.variants[1:]
        if (rows := tables.against_baseline(question, variant))
    ]
    if not states:
        return nothing("The baseline was not measured; see the failures.")
    shipped = [state for state in states if state.decision == "ship"]
    if shipped:
        best, why = _recommend(question, shipped, tables)
        reasons = [*best.reasons, *why]
    else:
        unsure = [state for state in states if state.decision == "can't tell"]
        best = max(unsure or states, key=lambda state: state.speedup)
        reasons = best.reasons
    others = [cell for cell in tables.failed if cell["variant"] != best.variant]
    if others:
        reasons = [*reasons, f"{len(others)} cells of other variants failed and are in no figure"]
    return Verdict(best.decision, best.variant, _headline(question, tables, best), reasons, conditions)


def acceptable(row: ComparisonRow | MatrixRow) -> bool:
    """Whether a variant may be picked by a row of ``comparisons`` or ``matrix``.

    Only what is decided will do: neither undecided quality nor confounded timings. The baseline, which
    is compared with nothing, may always be picked.
    """
    if row["confounded"]:
        return False
    return row["latency_verdict"] is None or row["non_inferiority"] == "non-inferior"


def _recommend(question: Question, shipped: Sequence[_State], tables: Tables) -> tuple[_State, list[str]]:
    """The smallest of those as fast as the fastest, then the best in quality, then the fastest."""
    fastest = max(shipped, key=lambda state: state.speedup)
    as_fast = [state for state in shipped if not tables.faster(fastest.variant, state.variant)]
    sizes = {
        state.variant: size
        for state in as_fast
        if (size := tables.size_ratio(question, state.variant)) is not None
    }
    as_small = as_fast
    if len(sizes) == len(as_fast):
        smallest = min(sizes.values())
        as_small = [s for s in as_fast if sizes[s.variant] <= (1 + ALIKE) * smallest]
    best = max(as_small, key=lambda s: (min(_share_kept(question, r) for r in s.rows), s.speedup))
    rest = [state.variant for state in as_fast if state is not best]
    if not rest:
        return best, []
    by = "the smallest" if len(as_small) == 1 else f"the best in {_what(question)} of the smallest"
    return best, [f"{by} of those that can't be told from the fastest; the others: {', '.join(rest)}"]


def _state(
    question: Question,
    tables: Tables,
    gates: Sequence[Gate],
    variant: str,
    rows: Sequence[ComparisonRow],
) -> _State:
    own_gates = [gate for gate in gates if gate.variant == variant]
    findings = [timing(tables, row) for row in rows]
    findings += [quality(question, row) for row in rows]
    against = list(dict.fromkeys(text for each in findings for text in each.against))
    against += [f"gate {gate.name} failed: {gate.text}" for gate in own_gates if not gate.passed]
    still_open = not_measured(question.max_lengths, rows)
    failed = [cell for cell in tables.failed if cell["variant"] == variant]
    if failed:
        still_open.append(f"{len(failed)} of its cells failed: {failed[0]['error'] or 'see failures'}")
    # Once each: some findings are those of the whole run.
    still_open += dict.fromkeys(text for each in findings for text in each.open)
    if not question.claim_quality:
        still_open.append("quality is not known: the weights are random")
    asked_for_size = any(gate.name == "max_size_ratio" and gate.passed for gate in own_gates)
    if all(row["total_verdict"] == "the same" for row in rows) and not asked_for_size:
        still_open.append(
            "it is as fast as the baseline, no faster; whether a smaller size is worth it is yours to "
            "say (--max-size-ratio)"
        )
    if against:
        return _State(variant, "don't ship", rows, against + still_open)
    if still_open:
        return _State(variant, "can't tell", rows, still_open)
    speeds = [f"{row['total_verdict']} at {row['max_length']}" for row in rows]
    reasons = [
        f"time per document: {', '.join(speeds)} tokens; "
        "not found slower in p95 or for any bucket of lengths",
        f"keeps its {_what(question)} within the margin of {question.margin:g} at every length: "
        + "; ".join(f"{kept_text(question, row)} at {row['max_length']}" for row in rows),
    ]
    if own_gates:
        reasons.append("every gate passed")
    return _State(variant, "ship", rows, reasons)


def _headline(question: Question, tables: Tables, state: _State) -> str:
    """What a user gets first: time per document, then the rest, then under which conditions."""
    conditions, rows = tables.conditions, state.rows
    times = ", ".join(_time_text(question, tables, row) for row in rows)
    medians = ", ".join(numbers.ratio(row["speedup"]) for row in rows)
    tails = ", ".join(numbers.ratio(row["speedup_p95"]) for row in rows)
    text = (
        f"{state.variant} against {question.baseline}: time per document, tokenization included, {times} "
        f"(95 % intervals; {HOW[question.isolation]}); forward pass {medians} in the median, {tails} in "
        "p95"
    )
    for said, changes in _changes(question, rows):
        points = [point for point, _ in changes if point is not None]
        lows = [low for _, low in changes if low is not None]
        if len(points) == len(lows) == len(rows):
            text += f"; {said} changes by {min(points):+z.4f} at worst (interval from {min(lows):+z.4f})"
    size = tables.size_ratio(question, state.variant)
    if size is not None:
        text += f"; {size:.0%} of the size"
    if question.isa is not None:
        text += f". All of it on a CPU that was capped at {question.isa}, by which no real one is timed"
    text += f". Conditions: {conditions.grade} ({conditions.sentence})."
    if question.claim_quality and any(misfit(row) for row in rows):
        return f"Labels and model do not fit. {text}"
    return text


def _time_text(question: Question, tables: Tables, row: ComparisonRow) -> str:
    length = row["max_length"]
    text = f"{total_text(row)} at {length} tokens"
    shrunk = tables.shrunk(row)
    if shrunk is not None and numbers.ratio(shrunk) != numbers.ratio(row["speedup_total"]):
        text += f" (nearer {numbers.ratio(shrunk)}: the fastest of several was lucky)"
    before = _time_per_document(tables, question.baseline, length)
    after = _time_per_document(tables, row["variant"], length)
    return text if before is None or after is None else f"{before:.4g} to {after:.4g} ms, {text}"


def _time_per_document(tables: Tables, variant: str, length: int) -> float | None:
    """Mean over the rounds, in ms."""
    times = [
        1e3 / rate
        for cell in tables.cells
        if (cell["variant"], cell["max_length"]) == (variant, length)
        and cell["kind"] != "quality"
        and (rate := cell["documents_per_second"])
    ]
    return fmean(times) if times else None


def _changes(
    question: Question, rows: Sequence[ComparisonRow]
) -> list[tuple[str, list[tuple[float | None, float | None]]]]:
    """Of each measure that the headline names: its change at every length, and the lower end."""
    if question.task not in OF_CLASSES:
        words = MEASURES[question.task][main_measure(question.task)].words
        return [(words, [(row["main_difference"], row["main_difference_low"]) for row in rows])]
    weighted = [(row["f1_weighted_difference"], row["f1_weighted_difference_low"]) for row in rows]
    macro = [(row["f1_macro_difference"], row["f1_macro_difference_low"]) for row in rows]
    return [("weighted F1", weighted), ("macro F1", macro)]


def _share_kept(question: Question, row: ComparisonRow) -> float:
    """Of the baseline's quality; 0 where it is not known."""
    return (row["f1_ratio"] if question.task in OF_CLASSES else row["main_ratio"]) or 0.0


def _what(question: Question) -> str:
    return "F1" if question.task in OF_CLASSES else "quality"
