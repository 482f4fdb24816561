"""Ship, don't ship, or can't tell: a pure function of the tables and of what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

Row = Mapping[str, Any]
Decision = Literal["ship", "don't ship", "can't tell"]


@dataclass(frozen=True)
class Gates:
    """Thresholds that a variant must be shown to meet; None where there is none."""

    min_speedup: float | None = None
    max_f1_drop: float | None = None
    max_size_ratio: float | None = None
    max_p95_ms: float | None = None


@dataclass(frozen=True)
class Gate:
    """One threshold, for one variant.

    Attributes:
        name: the parameter.
        value: what was measured, the worst over the lengths; None where nothing was.
        bound: the end of the 95 % interval that has to meet the threshold (for the largest
            latency: of a one-sided one); the value itself for sizes, which have no noise.
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
class Verdict:
    """The answer.

    Attributes:
        decision: ship, don't ship, or can't tell.
        variant: which one the decision is about; None where there is nothing to compare.
        headline: one sentence with the figures.
        reasons: why, one sentence each.
    """

    decision: Decision
    variant: str | None
    headline: str
    reasons: list[str]

    def as_json(self) -> dict[str, Any]:
        """For ``run.json``."""
        return asdict(self)


def judge_gates(
    gates: Gates,
    variants: Sequence[str],
    max_lengths: Sequence[int],
    comparisons: Sequence[Row],
    cells: Sequence[Row],
    sizes: Sequence[Row],
) -> list[Gate]:
    """Decide every gate for every variant but the baseline.

    A gate holds at every length of the run, so one at which nothing was measured fails it; confounded
    timings fail a gate on timings.

    Args:
        gates: thresholds.
        variants: the first is the baseline.
        max_lengths: those of the run, measured or not.
        comparisons: rows of the table.
        cells: rows of the table.
        sizes: rows of the table ``variants``.
    """
    decided = []
    for variant in variants[1:]:
        mine = [r for r in comparisons if (r["baseline"], r["variant"]) == (variants[0], variant)]
        missing = _not_measured(max_lengths, mine)
        confounded = [_confounded(r) for r in mine if r["confounded"]]
        if gates.min_speedup is not None:
            worst = min(mine, key=lambda r: _or(r["speedup_low"], -1.0), default=None)
            keys = ("speedup", "speedup_low")
            doubts = [*missing, *confounded]
            decided.append(_gate("min_speedup", variant, gates.min_speedup, worst, *keys, 1, doubts))
        if gates.max_f1_drop is not None:
            dropped = [
                {
                    "max_length": r["max_length"],
                    "drop": _negative(r["f1_weighted_difference"]),
                    "drop_high": _negative(r["f1_weighted_difference_low"]),
                }
                for r in mine
            ]
            worst = max(dropped, key=lambda r: _or(r["drop_high"], 2.0), default=None)
            keys = ("drop", "drop_high")
            decided.append(_gate("max_f1_drop", variant, gates.max_f1_drop, worst, *keys, -1, missing))
        if gates.max_size_ratio is not None:
            by_name = {r["variant"]: r["artifact_bytes"] for r in sizes}
            ratio = by_name[variant] / by_name[variants[0]] if variant in by_name else None
            row = {"ratio": ratio}
            decided.append(
                _gate("max_size_ratio", variant, gates.max_size_ratio, row, "ratio", "ratio", -1)
            )
        if gates.max_p95_ms is not None:
            bounds = _p95_bounds([c for c in cells if c["variant"] == variant])
            worst = max(bounds, key=lambda r: _or(r["high"], np.inf), default=None)
            keys = ("p95", "high")
            doubts = [*_not_measured(max_lengths, bounds), *confounded]
            decided.append(_gate("max_p95_ms", variant, gates.max_p95_ms, worst, *keys, -1, doubts))
    return decided


def _not_measured(max_lengths: Sequence[int], rows: Sequence[Row]) -> list[str]:
    """Which lengths of the run have no row, in words."""
    there = {row["max_length"] for row in rows}
    return [f"at {length} tokens nothing was measured" for length in max_lengths if length not in there]


def _confounded(row: Row) -> str:
    return f"at {row['max_length']} tokens the timings are confounded: {row['confounded']}"


def _p95_bounds(cells: Sequence[Row]) -> list[Row]:
    """95th percentile of each length over its rounds, with a one-sided upper bound (Student's t)."""
    found: list[Row] = []
    for length in sorted({c["max_length"] for c in cells}):
        values = [c["forward_p95_ms"] for c in cells if c["max_length"] == length]
        values = [value for value in values if value is not None]
        if not values:
            continue
        logs = np.log(values)
        high = None
        if len(logs) > 1:
            error = float(logs.std(ddof=1)) / np.sqrt(len(logs))
            high = float(np.exp(logs.mean() + stats.t.ppf(0.95, len(logs) - 1) * error))
        found.append({"max_length": length, "p95": float(np.exp(logs.mean())), "high": high})
    return found


def _gate(
    name: str,
    variant: str,
    threshold: float,
    row: Row | None,
    value_key: str,
    bound_key: str,
    sign: int,
    doubts: Sequence[str] = (),
) -> Gate:
    """``sign`` 1: the bound must be at least the threshold; -1: at most; with doubts it fails."""
    value = row[value_key] if row else None
    bound = row[bound_key] if row else None
    at = f" at {row['max_length']} tokens" if row and "max_length" in row else ""
    word = "at least" if sign > 0 else "at most"
    if value is None:
        return Gate(name, variant, threshold, None, None, False, f"{variant}: nothing measured")
    if bound is None:
        text = f"{variant}: {value:.4g}{at}, without an interval (too few rounds or documents)"
        return Gate(name, variant, threshold, value, None, False, text)
    passed = sign * (bound - threshold) >= 0
    text = f"{variant}: {value:.4g}{at}"
    if value_key != bound_key:
        text += f", bound of its 95 % interval {bound:.4g}"
    text += f"; must be {word} {threshold:.4g}"
    if not passed and sign * (value - threshold) >= 0:
        text += ": the estimate meets it, the interval does not show it"
    if doubts:
        text += f"; not passed: {'; '.join(doubts)}"
    return Gate(name, variant, threshold, value, bound, bool(passed) and not doubts, text)


def decide(
    variants: Sequence[str],
    max_lengths: Sequence[int],
    comparisons: Sequence[Row],
    gates: Sequence[Gate],
    *,
    claim_quality: bool,
    isolation: str,
    failures: int,
) -> Verdict:
    """The verdict over all variants: the fastest one that may be shipped, else why there is none.

    A variant may be shipped that is faster at every length of the run, keeps its quality at every
    length, passes its gates, and whose timings are not confounded. Confounded timings speak neither
    for a variant nor against it, and neither does a length at which nothing was measured.
    """
    if len(variants) < 2 or not comparisons:
        why = "a single variant was measured" if len(variants) < 2 else "no pair of variants finished"
        return Verdict("can't tell", None, f"Nothing to compare: {why}.", [])
    states = []
    for variant in variants[1:]:
        mine = [r for r in comparisons if (r["baseline"], r["variant"]) == (variants[0], variant)]
        if mine:
            states.append(_state(variant, max_lengths, mine, gates, claim_quality))
    if not states:
        return Verdict("can't tell", None, "The baseline was not measured; see the failures.", [])
    order: dict[Decision, int] = {"ship": 0, "can't tell": 1, "don't ship": 2}
    best = min(states, key=lambda s: (order[s.decision], -s.speedup))
    reasons = list(best.reasons)
    if failures:
        reasons.append(f"{failures} cells failed and are missing from every figure")
    return Verdict(best.decision, best.variant, _headline(best, variants[0], isolation), reasons)


@dataclass(frozen=True)
class _State:
    variant: str
    decision: Decision
    speedup: float
    rows: Sequence[Row]
    reasons: list[str]


def _state(
    variant: str,
    max_lengths: Sequence[int],
    rows: Sequence[Row],
    gates: Sequence[Gate],
    claim_quality: bool,
) -> _State:
    against: list[str] = []
    open_questions = _not_measured(max_lengths, rows)
    for row in rows:
        at = f"at {row['max_length']} tokens"
        verdict = row["latency_verdict"]
        if row["confounded"]:
            open_questions.append(_confounded(row))
        elif verdict == "slower":
            against.append(f"{at} it is slower: {speedup_text(row)}")
        elif verdict == "no detectable difference":
            open_questions.append(_open_latency(row, at))
        if claim_quality:
            outcome = row["non_inferiority"]
            if outcome == "inferior":
                against.append(f"{at} it loses quality: {_kept_text(row)}")
            elif outcome != "non-inferior":
                open_questions.append(_open_quality(row, at))
    if not claim_quality:
        open_questions.append("quality is not known: the weights are random")
    for gate in gates:
        if gate.variant == variant and not gate.passed:
            against.append(f"gate {gate.name} failed: {gate.text}")
    speedup = float(np.exp(np.mean([np.log(row["speedup"]) for row in rows])))
    if against:
        return _State(variant, "don't ship", speedup, rows, against + open_questions)
    if open_questions:
        return _State(variant, "can't tell", speedup, rows, open_questions)
    reasons = [
        "faster at every length, beyond the noise floor",
        "keeps its weighted F1 within the margin at every length: "
        + "; ".join(f"{_kept_text(row)} at {row['max_length']}" for row in rows),
    ]
    if any(gate.variant == variant for gate in gates):
        reasons.append("every gate passed")
    return _State(variant, "ship", speedup, rows, reasons)


def speedup_text(row: Row) -> str:
    """``2.41x [2.30, 2.52]``, or why there is no interval."""
    if row["speedup_low"] is None:
        return f"{row['speedup']:.2f}x (no interval)"
    return f"{row['speedup']:.2f}x [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]"


def _kept_text(row: Row) -> str:
    if row["f1_ratio"] is None:
        return "not decidable"
    return f"{row['f1_ratio']:.4f} of the baseline's weighted F1, lower bound {row['f1_ratio_low']:.4f}"


def _open_latency(row: Row, at: str) -> str:
    text = f"{at} no difference in latency can be told: {speedup_text(row)}"
    if row["speedup_low"] is None:
        return f"{text}; {row['speedup_refused']}"
    if row["rounds_needed"]:
        return f"{text}; about {row['rounds_needed'] - row['rounds']} more repeats would settle it"
    return f"{text}; more repeats would hardly settle it"


def _open_quality(row: Row, at: str) -> str:
    text = f"{at} {row['documents']} documents do not decide the quality: {_kept_text(row)}"
    if row.get("documents_needed"):
        return f"{text}; about {row['documents_needed']} documents would"
    return text


def _headline(state: _State, baseline: str, isolation: str) -> str:
    parts = [f"{speedup_text(row)} at {row['max_length']}" for row in state.rows]
    how = "neighbour cores busy" if isolation == "parallel" else "other cores idle"
    text = (
        f"{state.variant} against {baseline}: speed-up of the median forward latency "
        f"{', '.join(parts)} tokens (95 % intervals; {how})"
    )
    kept = [row["f1_weighted_difference"] for row in state.rows]
    if all(value is not None for value in kept):
        lows = [row["f1_weighted_difference_low"] for row in state.rows]
        text += f"; weighted F1 changes by {min(kept):+.4f} at worst (interval from {min(lows):+.4f})"
    return text + "."


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
