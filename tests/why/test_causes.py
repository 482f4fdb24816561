"""The rules: each says its sentence on a profile that shows its cause, and not on one that does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ptdq.analysis.causes import RULES, Case, causes, names_of
from ptdq.analysis.spent import Spent

PLACE = {"run_id": "run", "variant": "int8-best", "max_length": 128}
GOOD = {"int8 products": 70.0, "attention": 9.0, "normalization and activation": 15.0, "framework": 6.0}


def spent(
    ms: dict[str, float],
    numbers: dict[str, str] | None = None,
    shape: Any = None,
    library: str | None = None,
    **profile: Any,
) -> Spent:
    """A profile of 100 milliseconds."""
    formats = {
        "int8 products": "int8",
        "float products": "float32",
        "attention": "float32",
        **(numbers or {}),
    }
    rows: list[Any] = [
        {
            **PLACE, "part": part, "operation": part.split()[0], "numbers": formats.get(part),
            "shape": shape, "calls": 1, "ms": value, "multiply_adds": 10**6 if shape else None,
            "kernel": None, "library": library,
        }
        for part, value in ms.items()
    ]  # fmt: skip
    one: Any = {
        **PLACE, "core": 0, "batch_size": 1, "documents": 1, "tokens": 100, "computed_tokens": 100,
        "timed_ms": 90.0, "profiled_ms": 100.0, "instruction_set": "int8 AVX512_VNNI (oneDNN)", **profile,
    }  # fmt: skip
    return Spent(one, rows)


CALM = Case(
    spent=spent(GOOD),
    flags=["avx2", "avx512_vnni"],
    converted=["a", "b"],
    kept=[],
    limits={"int8": 500.0},
    speedups={},
    quality=None,
    sensitivity="ptdq sensitivity --model m --data d",
)


def changed(**changes: Any) -> Case:
    """The good case with something else in it."""
    return replace(CALM, **changes)


def moved(share: float, part: str) -> dict[str, float]:
    """The good profile with so much of the int8 products' time given to another class."""
    return {**GOOD, "int8 products": 70 - share, part: GOOD.get(part, 0.0) + share}


QUALITY: Any = {
    "baseline": "fp32", "non_inferiority": "inferior", "f1_weighted_difference": -0.0123,
    "f1_weighted_difference_high": -0.002,
}  # fmt: skip
SHOWN: dict[str, tuple[Case, str]] = {
    "nothing fused": (
        changed(
            spent=spent({"float products": 60, "quantize and dequantize": 30, "framework": 10})
        ),
        "2 modules are quantized and no product is computed in int8",
    ),
    "quantize and dequantize": (
        changed(spent=spent(moved(20, "quantize and dequantize"))), "20 % of the time is quantizing",
    ),
    "float layer left in": (
        changed(spent=spent(moved(8, "float products")), kept=["encoder.layer.1.output.dense"]),
        "8 % of the time is products in float (encoder.layer.1.output.dense stayed float)",
    ),
    "attention in float32": (
        changed(
            spent=spent(moved(33, "attention")), flags=["amx_bf16"],
            speedups={"int8-best": 5.0, "openvino-int8-static-bf16": 6.2},
        ),
        "42 % of the time is attention in float32, and this CPU has amx_bf16: openvino-int8-static-bf16 "
        "was 1.24x as fast in this run",
    ),
    "attention": (changed(spent=spent(moved(33, "attention"))), "42 % of the time is attention"),
    "products in float32": (
        changed(
            spent=spent({"float products": 85, "framework": 15}, variant="fp32"), converted=[],
            flags=["avx512_bf16"],
        ),
        "this CPU has avx512_bf16: measure bfloat16",
    ),
    "no VNNI": (
        changed(spent=spent(GOOD, instruction_set="int8 AVX2 (FBGEMM, by the CPU)"), flags=["avx2"]),
        "int8 products on AVX2: no VNNI on this CPU, so they run as 16-bit",
    ),
    "VNNI unused": (
        changed(spent=spent(GOOD, instruction_set="int8 AVX2 (oneDNN); float32 AVX2 (MKL)")),
        "this CPU has avx512_vnni: the runtime does not use it",
    ),
    "padding": (
        changed(spent=spent(GOOD, batch_size=8, computed_tokens=250)),
        "60 % of the tokens that were computed are padding: batches of 8",
    ),
    "copies and layout": (
        changed(spent=spent(moved(25, "copies and layout"))), "most of it copies",
    ),
    "framework": (
        changed(spent=spent(moved(30, "framework"), variant="int8-dynamic")),
        "36 % of the time is the framework between the operations",
    ),
    "runtime between the operations": (
        changed(spent=spent(moved(30, "framework"), library="OpenVINO")),
        "36 % of the time is the runtime between the operations",
    ),
    "far below the limit": (
        changed(spent=spent(GOOD, shape="10x100x1000")), "such as 10x100x1000 in int8 at 0 %",
    ),
    "quality": (
        changed(quality=QUALITY),
        "Weighted F1 fell by 0.0123 against fp32: `ptdq sensitivity --model m --data d`",
    ),
}  # fmt: skip


def test_every_rule_is_planted() -> None:
    assert list(SHOWN) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", SHOWN)
def test_a_planted_cause_is_said(name: str) -> None:
    case, sentence = SHOWN[name]
    assert names_of(case) == [name]
    (said,) = causes(case)
    assert sentence in said
    assert "{" not in said


def test_nothing_is_said_of_what_is_well() -> None:
    assert names_of(CALM) == []


def test_shapes_against_the_limit() -> None:
    (row,) = spent({"int8 products": 50.0}, shape="10x100x1000").shapes({"int8": 400.0})
    assert row["gops"] == pytest.approx(2e6 / 50e-3 / 1e9)
    assert row["of_limit"] == pytest.approx(row["gops"] / 400)
    assert row["share"] == pytest.approx(0.5)
    assert spent({"int8 products": 50.0}, shape="10x100x1000").shapes({"float32": 400.0}) == []


def test_classes_and_shares() -> None:
    one = spent({"int8 products": 60.0, "a class of a later version": 20.0, "framework": 10.0})
    assert one.explained == pytest.approx(0.9)
    assert one.named == pytest.approx(0.8)
    assert one.ms_by_part["other operations"] == 20.0
    assert next(iter(one.ms_by_part)) == "int8 products"
