"""Gates, from rows as the tables have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ptdq.analysis.gates import RULES, Gate, Tables, judge_gates
from ptdq.analysis.question import Gates, Question
from ptdq.parameters import Purpose, names
from ptdq.store.record import failed_gates
from ptdq.store.record_model import GateRecord
from tests.analysis.test_verdict import CALM, SIZES, cell, change, comparison


def judged(gates: Gates, *rows: Any, planned: Any = None, **tables: Any) -> list[Gate]:
    variants = list(dict.fromkeys(["fp32", "int8", *(row["variant"] for row in rows)]))
    lengths = planned or sorted({row["max_length"] for row in rows})
    question = Question(variants, lengths, gates=gates, class_names=("sport", "health"))
    return judge_gates(question, Tables(list(rows), **{"cells": CALM, "variants": SIZES, **tables}))


def gate(threshold: Gates, *rows: Any, **tables: Any) -> Gate:
    (found,) = judged(threshold, *rows, **tables)
    return found


def test_each_threshold_has_its_rule() -> None:
    assert [rule.name for rule in RULES] == list(names(Purpose.GATE))


def test_speedup_is_that_of_the_time_per_document_decided_on_the_worst_lower_bound() -> None:
    rows = (comparison(128), comparison(256, speedup_total=1.6, speedup_total_low=1.45))
    assert gate({"min_speedup": 1.4}, *rows).passed
    found = gate({"min_speedup": 1.5}, *rows)
    assert not found.passed
    assert found.bound == 1.45
    assert "the interval does not show it" in found.text
    assert "256" in found.text


def test_without_an_interval_no_gate_is_passed() -> None:
    row = comparison(speedup_total_low=None, speedup_total_refused="fewer than 4 rounds")
    found = gate({"min_speedup": 1.0}, comparison(256), row)
    assert not found.passed
    assert "at 128 tokens, without an interval (fewer than 4 rounds)" in found.text


def test_f1_drop_is_decided_on_the_largest_drop_the_interval_allows() -> None:
    assert gate({"max_f1_drop": 0.004}, comparison()).passed
    found = gate({"max_f1_drop": 0.003}, comparison())
    assert not found.passed
    assert found.value == pytest.approx(0.001)
    assert found.bound == pytest.approx(0.004)


def test_quality_gates_fail_where_quality_is_not_known() -> None:
    row = comparison(f1_weighted_difference=None, f1_drop_bound=None, class_changes=None)
    assert not gate({"max_f1_drop": 0.5}, row).passed
    assert not gate({"max_recall_drop": 0.5}, row).passed


def test_recall_is_decided_on_the_class_that_may_have_lost_most() -> None:
    """Not on the one with the largest drop: of few documents little is known."""
    changes = [
        change(0, baseline=0.95, variant=0.93, drop_bound=0.03, support=900),
        change(1, baseline=0.95, variant=0.94, drop_bound=0.11, support=30),
    ]
    row = comparison(class_changes=json.dumps(changes))
    assert gate({"max_recall_drop": 0.11}, row).passed
    found = gate({"max_recall_drop": 0.1}, row)
    assert not found.passed
    assert found.value == pytest.approx(0.01)
    assert found.bound == 0.11
    assert "of class health at 128 tokens" in found.text


def test_size_has_no_interval() -> None:
    assert gate({"max_size_ratio": 0.375}, comparison()).passed
    assert not gate({"max_size_ratio": 0.37}, comparison()).passed
    assert not gate({"max_size_ratio": 1.0}, comparison(), variants=SIZES[:1]).passed


def test_p95_is_decided_on_its_bound() -> None:
    assert gate({"max_p95_ms": 110}, comparison()).passed
    found = gate({"max_p95_ms": 105}, comparison())
    assert not found.passed
    assert (found.bound or 0) > 105 > (found.value or 106)
    few = comparison(p95_ms_bound=None, p95_ms_refused="59 documents are needed, there are 40")
    found = gate({"max_p95_ms": 200}, comparison(256), few)
    assert not found.passed
    assert "59 documents are needed" in found.text


EASY = [
    {"min_speedup": 1.4}, {"max_p95_ms": 110}, {"max_f1_drop": 0.01}, {"max_recall_drop": 0.5},
]  # fmt: skip


@pytest.mark.parametrize("threshold", EASY)
def test_a_length_without_figures_fails_the_gate(threshold: Gates) -> None:
    assert gate(threshold, comparison()).passed
    found = gate(threshold, comparison(), planned=[128, 384])
    assert not found.passed
    assert "at 384 tokens nothing was measured" in found.text


@pytest.mark.parametrize("threshold", EASY)
def test_timings_in_doubt_pass_no_gate_on_timings_and_leave_the_others(threshold: Gates) -> None:
    timing = threshold in EASY[:2]
    found = gate(threshold, comparison(confounded="a step in one variant"))
    assert found.passed != timing
    said = "at 128 tokens the timings are confounded: a step in one variant"
    assert (said in found.text) == timing
    busy = [cell(name, r, other_seconds=5.0) for name in ("fp32", "int8") for r in range(4)]
    found = gate(threshold, comparison(128), comparison(256), cells=busy)
    assert found.passed != timing
    assert found.text.count("too busy") == timing


@pytest.mark.parametrize(("threshold", "failing"), [(2.5, 0), (3.5, 2)])
def test_the_run_fails_only_where_no_variant_passes_all_of_its_gates(
    threshold: float, failing: int
) -> None:
    rows = [comparison(), comparison(variant="best", speedup_total=3.2, speedup_total_low=3.0)]
    found = judged({"min_speedup": threshold}, *rows)
    assert [gate.passed for gate in found] == [False, threshold < 3]
    texts = failed_gates([GateRecord(**vars(gate)) for gate in found])
    assert len(texts) == failing


def test_a_gate_passed_by_one_variant_and_another_by_the_other_is_a_failure() -> None:
    rows = [comparison(), comparison(variant="best", speedup_total=3.2, speedup_total_low=3.0)]
    sizes = [*SIZES, {"variant": "best", "artifact_bytes": 300_000_000}]
    found = judged({"min_speedup": 2.5, "max_size_ratio": 0.5}, *rows, variants=sizes)
    texts = failed_gates([GateRecord(**vars(gate)) for gate in found])
    assert [text.split(":")[0] for text in texts] == [
        "gate min_speedup failed", "gate max_size_ratio failed",
    ]  # fmt: skip
