"""Gates and verdict, from rows as the tables have them."""

from __future__ import annotations

from typing import Any

import pytest

from ptdq.analysis.outcome import failed_gates
from ptdq.analysis.verdict import Gate, Gates, decide, judge_gates
from ptdq.store.record_model import GateRecord

VARIANTS = ["fp32", "int8"]


def recorded(gates: list[Gate]) -> list[GateRecord]:
    return [GateRecord(**vars(gate)) for gate in gates]


def comparison(length: int = 128, **changes: Any) -> dict[str, Any]:
    row = {
        "baseline": "fp32", "variant": "int8", "max_length": length, "rounds": 4, "documents": 500,
        "speedup": 2.0, "speedup_low": 1.9, "speedup_high": 2.1, "speedup_refused": None,
        "latency_verdict": "faster", "rounds_needed": None, "confounded": None,
        "f1_ratio": 1.0, "f1_ratio_low": 0.995, "non_inferiority": "non-inferior",
        "f1_weighted_difference": -0.001, "f1_weighted_difference_low": -0.004,
        "documents_needed": None,
    }  # fmt: skip
    return row | changes


def cell(length: int, repeat: int, p95: float) -> dict[str, Any]:
    return {"variant": "int8", "max_length": length, "repeat": repeat, "forward_p95_ms": p95}


SIZES = [
    {"variant": "fp32", "artifact_bytes": 400_000_000},
    {"variant": "int8", "artifact_bytes": 150_000_000},
]


def lengths(rows: Any) -> list[int]:
    return sorted({row["max_length"] for row in rows})


def verdict(
    *rows: dict[str, Any],
    gates: Any = (),
    claim_quality: bool = True,
    failures: int = 0,
    planned: Any = None,
) -> Any:
    return decide(
        VARIANTS,
        planned or lengths(rows),
        rows,
        gates,
        claim_quality=claim_quality,
        isolation="parallel",
        failures=failures,
    )


def test_faster_and_as_good_is_shipped() -> None:
    found = verdict(comparison(128), comparison(256))
    assert (found.decision, found.variant) == ("ship", "int8")
    assert "2.00x [1.90, 2.10] at 128" in found.headline


@pytest.mark.parametrize(
    ("changes", "decision", "said"),
    [
        ({"latency_verdict": "slower"}, "don't ship", "slower"),
        ({"non_inferiority": "inferior"}, "don't ship", "loses quality"),
        ({"non_inferiority": "undecided", "documents_needed": 900}, "can't tell", "about 900 documents"),
        ({"latency_verdict": "no detectable difference", "rounds_needed": 10}, "can't tell",
         "6 more repeats"),
        ({"confounded": "a step in one variant"}, "can't tell", "a step in one variant"),
        ({"confounded": "a step in one variant", "latency_verdict": "slower"}, "can't tell",
         "a step in one variant"),
        ({"confounded": "a step", "non_inferiority": "inferior"}, "don't ship", "loses quality"),
        ({"latency_verdict": "no detectable difference", "speedup_low": None, "speedup_high": None,
          "speedup_refused": "fewer than 4 rounds"}, "can't tell", "fewer than 4 rounds"),
    ],
)  # fmt: skip
def test_one_bad_length_decides(changes: dict[str, Any], decision: str, said: str) -> None:
    found = verdict(comparison(128), comparison(256, **changes))
    assert found.decision == decision
    assert any(said in reason and "256" in reason for reason in found.reasons)


def test_random_weights_never_ship() -> None:
    row = comparison(f1_weighted_difference=None, non_inferiority=None)
    found = verdict(row, claim_quality=False)
    assert found.decision == "can't tell"
    assert "F1" not in found.headline
    assert any("random" in reason for reason in found.reasons)


def test_the_fastest_that_may_be_shipped_wins() -> None:
    rows = [comparison(), comparison(variant="best", speedup=3.0), comparison(variant="bad", speedup=9.0)]
    rows[2]["non_inferiority"] = "inferior"
    found = decide(
        [*VARIANTS, "best", "bad"], [128], rows, [], claim_quality=True, isolation="solo", failures=0
    )
    assert (found.decision, found.variant) == ("ship", "best")
    assert "other cores idle" in found.headline


def test_nothing_to_compare() -> None:
    found = decide(["fp32"], [128], [], [], claim_quality=True, isolation="parallel", failures=0)
    assert found.decision == "can't tell"
    assert "single variant" in found.headline


def test_failures_are_said() -> None:
    assert any("2 cells failed" in reason for reason in verdict(comparison(), failures=2).reasons)


def gate(threshold: Gates, *rows: dict[str, Any], cells: Any = (), planned: Any = None) -> Any:
    (found,) = judge_gates(threshold, VARIANTS, planned or lengths(rows), rows, cells, SIZES)
    return found


def test_speedup_is_decided_on_the_worst_lower_bound() -> None:
    rows = (comparison(128), comparison(256, speedup=1.6, speedup_low=1.45))
    assert gate(Gates(min_speedup=1.4), *rows).passed
    found = gate(Gates(min_speedup=1.5), *rows)
    assert not found.passed
    assert found.bound == 1.45
    assert "the interval does not show it" in found.text
    assert "256" in found.text


def test_without_an_interval_no_gate_is_passed() -> None:
    row = comparison(speedup_low=None, speedup_high=None)
    assert not gate(Gates(min_speedup=1.0), row).passed


def test_f1_drop_is_decided_on_the_largest_drop_the_interval_allows() -> None:
    assert gate(Gates(max_f1_drop=0.004), comparison()).passed
    found = gate(Gates(max_f1_drop=0.003), comparison())
    assert not found.passed
    assert found.value == pytest.approx(0.001)
    assert found.bound == pytest.approx(0.004)


def test_f1_gate_fails_where_quality_is_not_known() -> None:
    row = comparison(f1_weighted_difference=None, f1_weighted_difference_low=None)
    assert not gate(Gates(max_f1_drop=0.5), row).passed


def test_size_has_no_interval() -> None:
    assert gate(Gates(max_size_ratio=0.375), comparison()).passed
    assert not gate(Gates(max_size_ratio=0.37), comparison()).passed


def test_p95_needs_rounds_that_agree() -> None:
    steady = [cell(128, r, p95) for r, p95 in enumerate((99.0, 100.0, 101.0, 100.0))]
    assert gate(Gates(max_p95_ms=103), comparison(), cells=steady).passed
    found = gate(Gates(max_p95_ms=100.5), comparison(), cells=steady)
    assert not found.passed
    assert found.bound > 100.5 > found.value
    assert not gate(Gates(max_p95_ms=103), comparison(), cells=steady[:1]).passed


def test_a_failed_gate_is_a_reason_not_to_ship() -> None:
    gates = judge_gates(Gates(min_speedup=3.0), VARIANTS, [128], [comparison()], [], SIZES)
    found = verdict(comparison(), gates=gates)
    assert found.decision == "don't ship"
    assert any("min_speedup" in reason for reason in found.reasons)


STEADY = [cell(128, r, p95) for r, p95 in enumerate((99.0, 100.0, 101.0, 100.0))]
EASY = [Gates(min_speedup=1.4), Gates(max_p95_ms=103), Gates(max_f1_drop=0.01)]


@pytest.mark.parametrize("threshold", EASY)
def test_a_length_without_figures_fails_the_gate(threshold: Gates) -> None:
    assert gate(threshold, comparison(), cells=STEADY).passed
    found = gate(threshold, comparison(), cells=STEADY, planned=[128, 384])
    assert not found.passed
    assert "at 384 tokens nothing was measured" in found.text


@pytest.mark.parametrize("threshold", EASY[:2])
def test_confounded_timings_pass_no_gate_on_timings(threshold: Gates) -> None:
    row = comparison(confounded="a step in one variant")
    found = gate(threshold, row, cells=STEADY)
    assert not found.passed
    assert "at 128 tokens the timings are confounded: a step in one variant" in found.text


def test_confounded_timings_leave_the_other_gates() -> None:
    row = comparison(confounded="a step in one variant")
    assert gate(Gates(max_f1_drop=0.01), row).passed
    assert gate(Gates(max_size_ratio=0.375), row).passed


def test_a_length_without_figures_is_an_open_question() -> None:
    assert verdict(comparison(128), planned=[128]).decision == "ship"
    found = verdict(comparison(128), planned=[128, 384], failures=8)
    assert found.decision == "can't tell"
    assert found.reasons[0] == "at 384 tokens nothing was measured"


@pytest.mark.parametrize(("threshold", "failing"), [(2.5, 0), (3.5, 2)])
def test_the_run_fails_only_where_no_variant_passes_all_of_its_gates(
    threshold: float, failing: int
) -> None:
    rows = [comparison(), comparison(variant="best", speedup=3.2, speedup_low=3.0)]
    found = judge_gates(Gates(min_speedup=threshold), [*VARIANTS, "best"], [128], rows, [], SIZES)
    assert [gate.passed for gate in found] == [False, threshold < 3]
    texts = failed_gates(recorded(found))
    assert len(texts) == failing


def test_a_gate_passed_by_one_variant_and_another_by_the_other_is_a_failure() -> None:
    rows = [comparison(), comparison(variant="best", speedup=3.2, speedup_low=3.0)]
    gates = Gates(min_speedup=2.5, max_size_ratio=0.5)
    sizes = [*SIZES, {"variant": "best", "artifact_bytes": 300_000_000}]
    found = judge_gates(gates, [*VARIANTS, "best"], [128], rows, [], sizes)
    assert [text.split(":")[0] for text in failed_gates(recorded(found))] == [
        "gate min_speedup failed", "gate max_size_ratio failed",
    ]  # fmt: skip
