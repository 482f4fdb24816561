"""Why a variant takes the time that it takes, and what can be done about it: rules over its profile.

A rule is data: what its share of the time is, from which share on it is said, when it applies, and the
sentence. A new one is an entry of :data:`RULES`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ptdq.analysis.spent import FAR_BELOW, Spent, limits_of
from ptdq.host.machine import VNNI
from ptdq.numbers import percent, ratio
from ptdq.store.rows import ComparisonRow, VariantRow
from ptdq.store.run import Run
from ptdq.text import plain

BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")
WITH_BFLOAT16 = {
    "openvino": "openvino-int8-static-bf16",
    "onnx": "openvino-int8-static-bf16",
    "int8-best": "openvino-int8-static-bf16",
    "int8-": "int8-mixed-bf16",
    "fp32": "bfloat16",
}
"""Beginning of a variant's name to the variant that computes the rest in bfloat16."""
_WHOLE_GRAPH = ("OpenVINO", "MLAS")
"""Libraries of the runtimes that are given a whole graph."""
_COMPILED = re.compile(r"compiled|pt2e|mixed-bf16")
"""Names of the variants of which torch compiles the whole graph."""
_NO_PRODUCT = re.compile(r"norm|embedding|dropout|activation", re.IGNORECASE)
_MODULES = 4
_PADDED = (
    "inputs are padded to few lengths, which saves making kernels for every length and costs "
    "most where documents are short"
)
_BATCHED = (
    "are padded to their longest; batches of documents of similar length, or of one, save about as much "
    "of the time"
)
_EXACT_INT8 = ("VNNI", "AMX", "I8MM", "NEON", "SVE")


@dataclass(frozen=True)
class Case:
    """All that rules look at.

    Attributes:
        spent: the profile of the variant.
        flags: of the CPU, as the run has them.
        converted: modules that were quantized.
        kept: modules with a matrix that stayed float.
        limits: number format to the core's peak, billions of operations a second.
        speedups: variant to its speed-up over the run's baseline at this length.
        quality: of the variant against the baseline; None where there is none.
        sensitivity: the command that finds what costs quality.
    """

    spent: Spent
    flags: Sequence[str]
    converted: Sequence[str]
    kept: Sequence[str]
    limits: dict[str, float]
    speedups: dict[str, float]
    quality: ComparisonRow | None
    sensitivity: str

    @property
    def variant(self) -> str:
        """Its name."""
        return self.spent.profile["variant"]

    @property
    def int8_instructions(self) -> str:
        """Instruction set of the integer products that take most time; empty without any."""
        parts = (self.spent.profile["instruction_set"] or "").split("; ")
        return next((part.split()[1] for part in parts if part.startswith("int8 ")), "")

    @property
    def bfloat16_flag(self) -> str | None:
        """The flag by which this CPU multiplies bfloat16."""
        return next((flag for flag in BFLOAT16 if flag in self.flags), None)

    @property
    def exact_int8_flag(self) -> str | None:
        """The flag by which it adds products of int8 in 32 bits."""
        return next((flag for flag in VNNI if flag in self.flags), None)

    @property
    def float_parts(self) -> float:
        """Share of products in float."""
        return self.spent.share_of("float products")

    @property
    def whole_graph(self) -> bool:
        """Whether a runtime has the whole graph already, with no Python between the operations."""
        libraries = {one["library"] for one in self.spent.operations}
        return not libraries.isdisjoint(_WHOLE_GRAPH) or _COMPILED.search(self.variant) is not None

    def alternative(self) -> str:
        """What computes the rest in bfloat16, and how it did in this run, if it was measured."""
        known = (name for start, name in WITH_BFLOAT16.items() if self.variant.startswith(start))
        other = next(known, "bfloat16")
        own, its = self.speedups.get(self.variant), self.speedups.get(other)
        if own and its:
            return f"{other} was {ratio(its / own)} as fast in this run"
        return f"measure {other}"


@dataclass(frozen=True)
class Rule:
    """A cause that a profile may show.

    Attributes:
        name: of the cause.
        share: how much of the time it is about.
        least: from which share on it is said.
        applies: what else must hold.
        sentence: what is said; ``{share}`` and the names of :func:`_words` are filled in.
    """

    name: str
    share: Callable[[Case], float]
    least: float
    applies: Callable[[Case], bool]
    sentence: str


RULES: tuple[Rule, ...] = (
    Rule(
        "nothing fused",
        lambda c: c.float_parts + c.spent.share_of("quantize and dequantize"),
        0.05,
        lambda c: bool(c.converted) and c.spent.share_of("int8 products") == 0 and not _bfloat16_alone(c),
        "{converted} modules are quantized and no product is computed in int8: weights are dequantized "
        "before each product, nothing was fused. That saves disk and no time: use a variant whose "
        "runtime has int8 kernels for this model.",
    ),
    Rule(
        "quantize and dequantize",
        lambda c: c.spent.share_of("quantize and dequantize"),
        0.15,
        lambda c: c.spent.share_of("int8 products") > 0,
        "{share} of the time is quantizing and dequantizing between the products: static ranges or a "
        "compiled variant (int8-pt2e-static, openvino-int8-static) fuse them.",
    ),
    Rule(
        "float layer left in",
        lambda c: c.float_parts,
        0.03,
        lambda c: bool(c.converted) and c.spent.share_of("int8 products") > 0,
        "{share} of the time is products in float{kept}. What of it was left out on purpose is a price "
        "of quality (`keep_float`); the rest is to be quantized as well.",
    ),
    Rule(
        "attention in float32",
        lambda c: c.spent.share_of("attention", ("float32", "")),
        0.10,
        lambda c: c.bfloat16_flag is not None,
        "{share} of the time is attention in float32, and this CPU has {bfloat16_flag}: {alternative}.",
    ),
    Rule(
        "attention",
        lambda c: c.spent.share_of("attention"),
        0.30,
        lambda c: c.bfloat16_flag is None,
        "{share} of the time is attention, which no variant quantizes and which grows with the square of "
        "the length: a smaller --max-length saves most of it.",
    ),
    Rule(
        "products in float32",
        lambda c: c.spent.share_of("float products", ("float32",)),
        0.30,
        lambda c: not c.converted and c.bfloat16_flag is not None,
        "{share} of the time is products in float32, and this CPU has {bfloat16_flag}: {alternative}.",
    ),
    Rule(
        "no VNNI",
        lambda c: c.spent.share_of("int8 products"),
        0.10,
        lambda c: (
            bool(c.int8_instructions)
            and not any(sign in c.int8_instructions for sign in _EXACT_INT8)
            and c.exact_int8_flag is None
        ),
        "{share} of the time is int8 products on {int8}: no VNNI on this CPU, so they run as 16-bit, "
        "hardly faster than float32. CPUs with avx512_vnni or AMX take a fraction of it.",
    ),
    Rule(
        "VNNI unused",
        lambda c: c.spent.share_of("int8 products"),
        0.10,
        lambda c: (
            bool(c.int8_instructions)
            and not any(sign in c.int8_instructions for sign in _EXACT_INT8)
            and c.exact_int8_flag is not None
        ),
        "{share} of the time is int8 products on {int8}, and this CPU has {exact_int8_flag}: the runtime "
        "does not use it. Look for ONEDNN_MAX_CPU_ISA in the environment, or use another runtime.",
    ),
    Rule(
        "padding",
        lambda c: c.spent.padding,
        0.10,
        lambda c: True,
        "{share} of the tokens that were computed are padding: {padding}.",
    ),
    Rule(
        "copies and layout",
        lambda c: c.spent.share_of("copies and layout"),
        0.20,
        lambda c: True,
        "{share} of the time is copying and changing the layout, most of it {largest_copy}: a compiled "
        "variant (fp32-compiled, int8-pt2e-static, openvino) fuses most of it.",
    ),
    Rule(
        "framework",
        lambda c: c.spent.share_of("framework"),
        0.20,
        lambda c: not c.whole_graph,
        "{share} of the time is the framework between the operations: these calls are too small for it. "
        "Larger batches, or a runtime without Python between the operations (openvino-int8-static, "
        "onnx-int8-dynamic, fp32-compiled).",
    ),
    Rule(
        "runtime between the operations",
        lambda c: c.spent.share_of("framework"),
        0.20,
        lambda c: c.whole_graph,
        "{share} of the time is the runtime between the operations: these calls are too small for it. "
        "Larger batches, or branches with fixed shapes, in which no shape is worked out at a call "
        "(int8-best has them where they are faster).",
    ),
    Rule(
        "far below the limit",
        lambda c: sum(row["share"] for row in c.spent.shapes(c.limits) if row["of_limit"] < FAR_BELOW),
        0.10,
        lambda c: True,
        "{share} of the time is products that reach less than "
        + f"{FAR_BELOW:.0%}"
        + " of the core's limit, "
        "such as {slow_shape}: too few rows or columns for the kernel. Larger batches help, if latency "
        "allows.",
    ),
    Rule(
        "quality",
        lambda c: 1.0,
        0.0,
        lambda c: (
            c.quality is not None
            and (
                c.quality["non_inferiority"] == "inferior"
                or (c.quality["f1_weighted_difference_high"] or 0) < 0
            )
        ),
        "Weighted F1 fell by {f1_drop} against {baseline}: `{sensitivity}` names the modules that "
        "lose it.",
    ),
)


def causes(case: Case) -> list[str]:
    """What the rules say of a variant, in their order."""
    words = _words(case)
    return [
        rule.sentence.format(share=percent(share, 0), **words)
        for rule in RULES
        if (share := rule.share(case)) >= rule.least and rule.applies(case)
    ]


def names_of(case: Case) -> list[str]:
    """Names of the rules that have something to say."""
    return [rule.name for rule in RULES if rule.share(case) >= rule.least and rule.applies(case)]


def case_of(run: Run, time: Spent) -> Case:
    """What rules look at, of a variant of a run."""
    variant, length = time.profile["variant"], time.profile["max_length"]
    prepared = next((row for row in run.rows(VariantRow) if row["variant"] == variant), None)
    against = [
        row
        for row in run.rows(ComparisonRow)
        if row["baseline"] == run.baseline and row["max_length"] == length
    ]
    speedups = {row["variant"]: row["speedup_total"] or row["speedup"] or 0.0 for row in against}
    kept = (prepared["kept_float"] or []) if prepared else []
    asked = run.record.parameters
    return Case(
        spent=time,
        flags=run.record.machine.flags or [],
        converted=(prepared["converted"] or []) if prepared else [],
        kept=[name for name in kept if not _NO_PRODUCT.search(name)],
        limits=limits_of(run),
        speedups={**speedups, **({run.baseline: 1.0} if run.baseline else {})},
        quality=next((row for row in against if row["variant"] == variant), None),
        sensitivity=shlex.join(
            ["ptdq", "sensitivity", "--model", str(asked.get("model")), "--data", str(asked.get("data"))]
        ),
    )


def _bfloat16_alone(case: Case) -> bool:
    """Whether it is a variant of another float format, and has no integers to multiply."""
    return case.spent.share_of("float products", ("bfloat16", "float16")) > 0


def _words(case: Case) -> dict[str, str]:
    kept = [plain(name, 60) for name in case.kept[:_MODULES]]
    more = len(case.kept) - len(kept)
    modules = (
        f" ({', '.join(kept)}{f' and {more} more' if more > 0 else ''} stayed float)" if kept else ""
    )
    copies = [one for one in case.spent.operations if one["part"] == "copies and layout"]
    slow = next((row for row in case.spent.shapes(case.limits) if row["of_limit"] < FAR_BELOW), None)
    quality, size = case.quality, case.spent.profile["batch_size"]
    return {
        "converted": str(len(case.converted)),
        "kept": modules,
        "bfloat16_flag": case.bfloat16_flag or "",
        "exact_int8_flag": case.exact_int8_flag or "",
        "alternative": case.alternative(),
        "int8": case.int8_instructions,
        "padding": _PADDED if size == 1 else f"batches of {size} {_BATCHED}",
        "largest_copy": max(copies, key=lambda one: one["ms"])["operation"] if copies else "",
        "slow_shape": f"{slow['shape']} in {slow['numbers']} at {percent(slow['of_limit'], 0)}"
        if slow
        else "",
        "f1_drop": f"{-(quality['f1_weighted_difference'] or 0):.4f}" if quality else "",
        "baseline": plain(quality["baseline"], 60) if quality else "",
        "sensitivity": plain(case.sensitivity, 300),
    }
