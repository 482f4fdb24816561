"""The verdict, from rows as the tables have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ptdq.analysis.gates import Tables, judge_gates
from ptdq.analysis.question import Gates, Question
from ptdq.analysis.verdict import Verdict, acceptable, decide


def change(label: int = 0, **changes: Any) -> Any:
    row = {
        "label": label, "support": 100, "baseline": 0.95, "variant": 0.95, "gained": 1, "lost": 1,
        "p_value": 1.0, "p_holm": 1.0, "drop_bound": 0.04,
    }  # fmt: skip
    return row | changes


def comparison(length: int = 128, **changes: Any) -> Any:
    row = {
        "baseline": "fp32", "variant": "int8", "max_length": length, "documents": 500,
        "speedup_total": 2.0, "speedup_total_low": 1.9, "speedup_total_high": 2.1,
        "speedup_total_refused": None,
        "speedup": 2.4, "speedup_low": 2.3, "speedup_high": 2.5,
        "speedup_p95": 1.7, "speedup_p95_low": 1.6, "speedup_p95_high": 1.8,
        "latency_verdict": "faster", "total_verdict": "faster", "p95_verdict": "faster",
        "speedup_total_simultaneous_low": None, "speedup_total_simultaneous_high": None,
        "confounded": None,
        "p95_ms": 100.0, "p95_ms_bound": 108.0, "p95_ms_refused": None,
        "f1_ratio": 1.0, "f1_ratio_low": 0.995, "f1_macro_ratio": 1.0, "f1_macro_ratio_low": 0.992,
        "non_inferiority": "non-inferior", "documents_needed": None,
        "f1_weighted_difference": -0.001, "f1_weighted_difference_low": -0.004, "f1_drop_bound": 0.004,
        "f1_macro_difference": -0.002, "f1_macro_difference_low": -0.006,
        "class_changes": json.dumps([change(0), change(1)]),
        "baseline_accuracy": 0.95, "majority_share": 0.5, "chance_p": 0.0005,
    }  # fmt: skip
    return row | changes


SIMULTANEOUS = ("speedup_total_simultaneous_low", "speedup_total_simultaneous_high")


def bucket(verdict: str, **changes: Any) -> dict[str, Any]:
    row = {
        "baseline": "fp32", "variant": "int8", "max_length": 128, "tokens_from": 3, "tokens_to": 20,
        "documents": 50, "speedup": 0.8, "speedup_low": 0.7, "speedup_high": 0.9,
        "latency_verdict": verdict,
    }  # fmt: skip
    return row | changes


def cell(variant: str, repeat: int = 0, length: int = 128, **changes: Any) -> Any:
    row = {
        "variant": variant, "max_length": length, "repeat": repeat, "kind": "timing", "flags": [],
        "measure_seconds": 10.0, "other_seconds": 0.01, "steal_seconds": 0.0,
        "documents_per_second": 25.0 if variant == "fp32" else 50.0,
    }  # fmt: skip
    return row | changes


CALM = [cell(name, repeat) for name in ("fp32", "int8") for repeat in range(4)]

SIZES = [
    {"variant": "fp32", "artifact_bytes": 400_000_000},
    {"variant": "int8", "artifact_bytes": 150_000_000},
]


def verdict(
    *rows: Any,
    gates: Gates | None = None,
    planned: Any = None,
    claim_quality: bool = True,
    isolation: str = "parallel",
    **tables: Any,
) -> Verdict:
    question = Question(
        list(dict.fromkeys(["fp32", "int8", *(row["variant"] for row in rows)])),
        planned or sorted({row["max_length"] for row in rows}),
        claim_quality=claim_quality,
        isolation=isolation,
        gates=gates or {},
        class_names=("sport", "health"),
    )
    given = Tables(list(rows), **{"cells": CALM, "variants": SIZES, **tables})
    return decide(question, given, judge_gates(question, given))


def test_faster_and_as_good_is_shipped() -> None:
    found = verdict(comparison(128), comparison(256))
    assert (found.decision, found.variant, found.conditions) == ("ship", "int8", "calm")


def test_the_headline_leads_with_the_time_per_document() -> None:
    """Not with the most flattering ratio, which here is that of the median forward pass."""
    said = verdict(comparison(128)).headline
    places = [
        said.index(text)
        for text in (
            "time per document, tokenization included", "40 to 20 ms, 2.00x [1.90, 2.10] at 128",
            "neighbour cores busy", "2.40x in the median", "1.70x in p95",
            "weighted F1 changes by -0.0010", "macro F1 changes by -0.0020", "38% of the size",
            "Conditions: calm (0 of 8 cells flagged)",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert "other cores idle" in verdict(comparison(), isolation="solo").headline


@pytest.mark.parametrize(
    ("changes", "decision", "said"),
    [
        ({"total_verdict": "slower"}, "don't ship", "slower"),
        ({"p95_verdict": "slower"}, "don't ship", "its p95 is slower: 1.70x [1.60, 1.80]"),
        ({"p95_verdict": "can't tell"}, "ship", "not found slower in p95"),
        ({"total_verdict": "the same"}, "ship", "the same at 256"),
        ({"non_inferiority": "inferior"}, "don't ship", "loses quality"),
        ({"non_inferiority": "undecided", "documents_needed": 900}, "can't tell", "about 900 documents"),
        ({"total_verdict": "can't tell"}, "can't tell", "whether the time per document differs"),
        ({"confounded": "a step in one variant"}, "can't tell", "a step in one variant"),
        ({"confounded": "a step in one variant", "total_verdict": "slower", "p95_verdict": "slower"},
         "can't tell", "a step in one variant"),
        ({"confounded": "a step", "non_inferiority": "inferior"}, "don't ship", "loses quality"),
        ({"total_verdict": "can't tell", "speedup_total_low": None, "speedup_total_high": None,
          "speedup_total_refused": "fewer than 4 rounds"}, "can't tell", "fewer than 4 rounds"),
    ],
)  # fmt: skip
def test_one_bad_length_decides(changes: dict[str, Any], decision: str, said: str) -> None:
    found = verdict(comparison(128), comparison(256, **changes))
    assert found.decision == decision
    assert any(said in reason and "256" in reason for reason in found.reasons)


def test_a_slower_bucket_forbids_shipping() -> None:
    found = verdict(comparison(), buckets=[bucket("faster"), bucket("slower", tokens_from=21)])
    assert found.decision == "don't ship"
    assert "slower for documents of 21 to 20 tokens: 0.80x [0.70, 0.90]" in found.reasons[0]
    for harmless in (
        bucket("can't tell"),
        bucket("slower", variant="other"),
        bucket("slower", max_length=9),
    ):
        assert verdict(comparison(), buckets=[harmless]).decision == "ship"


def test_a_lost_class_forbids_shipping_whatever_the_means_say() -> None:
    lost = change(1, support=50, baseline=0.9, variant=0.0, gained=0, lost=45, p_holm=1e-13)
    found = verdict(comparison(class_changes=json.dumps([change(0), lost])))
    assert found.decision == "don't ship"
    assert "loses recall of class health: from 0.900 to 0.000 in 50 documents" in found.reasons[0]
    gained = change(1, gained=45, lost=0, p_holm=1e-13)
    assert verdict(comparison(class_changes=json.dumps([gained]))).decision == "ship"
    chance = change(1, gained=0, lost=4, p_holm=0.125)
    assert verdict(comparison(class_changes=json.dumps([chance]))).decision == "ship"


def test_labels_that_the_model_does_not_predict_decide_nothing() -> None:
    row = comparison(chance_p=0.4, baseline_accuracy=0.203, majority_share=0.21)
    found = verdict(row)
    assert found.decision == "can't tell"
    assert found.headline.startswith("Labels and model do not fit.")
    assert "right for 20.3% of the documents, which is no better than guessing" in found.reasons[0]
    # Quality measured by such labels speaks against nothing; times still do.
    assert verdict(row | {"non_inferiority": "inferior"}).decision == "can't tell"
    assert verdict(row | {"total_verdict": "slower"}).decision == "don't ship"


def test_random_weights_never_ship() -> None:
    row = comparison(
        f1_weighted_difference=None, f1_macro_difference=None, non_inferiority=None, chance_p=None
    )
    found = verdict(row, claim_quality=False)
    assert found.decision == "can't tell"
    assert "F1" not in found.headline
    assert any("random" in reason for reason in found.reasons)


def test_a_variant_with_a_failed_cell_is_not_shipped() -> None:
    failed = [{"variant": "int8", "max_length": 128, "repeat": 2, "error": "killed by SIGKILL"}]
    found = verdict(comparison(), failed=failed)
    assert found.decision == "can't tell"
    assert found.reasons == ["1 of its cells failed: killed by SIGKILL"]


def test_failed_cells_of_others_are_said() -> None:
    failed = [{"variant": "fp32", "max_length": 128, "repeat": 2, "error": "killed"}] * 2
    found = verdict(comparison(), failed=failed)
    assert found.decision == "ship"
    assert any("2 cells of other variants failed" in reason for reason in found.reasons)


def test_a_sound_variant_is_shipped_though_a_faster_one_failed() -> None:
    rows = [comparison(), comparison(variant="best", speedup_total=3.0)]
    failed = [{"variant": "best", "max_length": 128, "repeat": 2, "error": "killed"}]
    assert verdict(*rows, failed=failed).variant == "int8"


def test_the_same_speed_is_shipped_only_for_a_size_that_was_asked_for() -> None:
    row = comparison(total_verdict="the same", p95_verdict="the same", speedup_total=1.0)
    found = verdict(row)
    assert found.decision == "can't tell"
    assert "as fast as the baseline, no faster" in found.reasons[0]
    assert verdict(row, gates={"max_size_ratio": 0.5}).decision == "ship"
    assert verdict(row, gates={"max_size_ratio": 0.1}).decision == "don't ship"


def test_a_disturbed_run_says_so_and_one_on_a_busy_machine_decides_nothing() -> None:
    flagged = [cell("int8", r, flags=["the clock went from 1 to 2 MHz"]) for r in range(53)]
    found = verdict(comparison(), cells=[*flagged, *(cell("fp32", r) for r in range(3))])
    assert (found.decision, found.conditions) == ("ship", "disturbed")
    assert "Conditions: disturbed (53 of 56 cells flagged)" in found.headline
    busy = [cell(name, r, other_seconds=5.0) for name in ("fp32", "int8") for r in range(4)]
    found = verdict(comparison(128), comparison(256), cells=busy)
    assert (found.decision, found.conditions) == ("can't tell", "unusable")
    assert "others used the cores for 50% of the time" in found.headline
    assert len([reason for reason in found.reasons if "too busy" in reason]) == 1
    slower = verdict(comparison(total_verdict="slower"), cells=busy)
    assert slower.decision == "can't tell"
    assert verdict(comparison(non_inferiority="inferior"), cells=busy).decision == "don't ship"


def test_the_fastest_that_may_be_shipped_wins() -> None:
    rows = [
        comparison(),
        comparison(variant="best", speedup_total=3.0),
        comparison(variant="bad", speedup_total=9.0, non_inferiority="inferior"),
    ]
    found = verdict(*rows)
    assert (found.decision, found.variant) == ("ship", "best")


def test_of_those_as_fast_the_smallest_then_the_best_is_recommended() -> None:
    rows = [
        comparison(speedup_total=2.9),
        comparison(variant="big", speedup_total=3.0),
        comparison(variant="good", speedup_total=2.8, f1_ratio=1.002),
        comparison(variant="tiny", speedup_total=1.2),
    ]
    sizes = [*SIZES]
    for name, size in (("big", 300), ("good", 151), ("tiny", 20)):
        sizes.append({"variant": name, "artifact_bytes": size * 10**6})
    # How the others compare with each other, in the order of the variants.
    pairs = [
        comparison(baseline=one, variant=other) | dict(zip(SIMULTANEOUS, ends, strict=True))
        for one, other, ends in (
            ("int8", "big", (0.99, 1.08)), ("big", "good", (0.9, 1.02)), ("big", "tiny", (0.38, 0.42)),
        )
    ]  # fmt: skip
    found = verdict(*rows, *pairs, variants=sizes)
    assert (found.decision, found.variant) == ("ship", "good")
    assert "the best in F1 of the smallest" in found.reasons[-1]
    assert "tiny" not in found.reasons[-1]
    # Only what may be shipped is compared.
    rows[2]["non_inferiority"] = "undecided"
    found = verdict(*rows, *pairs, variants=sizes)
    assert found.variant == "int8"
    assert found.reasons[-1].startswith("the smallest of those")
    # The fastest alone, where it is faster than all.
    pairs[0] = pairs[0] | dict(zip(SIMULTANEOUS, (1.01, 1.08), strict=True))
    assert verdict(*rows, *pairs, variants=sizes).variant == "big"


def test_the_headline_takes_the_luck_of_the_fastest_out() -> None:
    best: Any = {
        "measure": "speedup_total", "max_length": 128, "variant": "int8", "speedup": 1.94,
    }  # fmt: skip
    said = "2.00x [1.90, 2.10] at 128 tokens (nearer 1.94x: the fastest of several was lucky)"
    assert said in verdict(comparison(), best=[best]).headline
    for other in (best | {"speedup": 2.001}, best | {"measure": "speedup"}, best | {"max_length": 9}):
        assert "nearer" not in verdict(comparison(), best=[other]).headline


def test_nothing_to_compare() -> None:
    alone = Question(["fp32"], [128])
    found = decide(alone, Tables([]), [])
    assert (found.decision, found.variant) == ("can't tell", None)
    assert "single variant" in found.headline
    others = [comparison(baseline="int8", variant="best")]
    found = decide(Question(["fp32", "int8", "best"], [128]), Tables(others, cells=CALM), [])
    assert "baseline was not measured" in found.headline


def test_a_failed_gate_is_a_reason_not_to_ship() -> None:
    found = verdict(comparison(), gates={"min_speedup": 3.0})
    assert found.decision == "don't ship"
    assert any("min_speedup" in reason for reason in found.reasons)
    assert "every gate passed" in verdict(comparison(), gates={"min_speedup": 1.5}).reasons


def test_a_length_without_figures_is_an_open_question() -> None:
    assert verdict(comparison(128), planned=[128]).decision == "ship"
    found = verdict(comparison(128), planned=[128, 384])
    assert found.decision == "can't tell"
    assert found.reasons[0] == "at 384 tokens nothing was measured"


@pytest.mark.parametrize(
    ("changes", "picked"),
    [
        ({}, True),
        ({"non_inferiority": "undecided"}, False),
        ({"non_inferiority": "inferior"}, False),
        ({"non_inferiority": None}, False),
        ({"confounded": "a step"}, False),
        ({"latency_verdict": None, "non_inferiority": None}, True),  # the baseline itself
    ],
)
def test_what_may_be_picked(changes: dict[str, Any], picked: bool) -> None:
    assert acceptable(comparison(**changes)) == picked


def test_the_record_keeps_its_shape() -> None:
    found = verdict(comparison()).as_json()
    assert list(found)[:4] == ["decision", "variant", "headline", "reasons"]
    assert json.loads(json.dumps(found)) == found
