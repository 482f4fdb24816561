"""Which instruction set the products of a model use, as its runtime says and not the CPU's flags.

A CPU that has AMX tells nothing of the library that is called: that may be older, capped, or have no
kernel for a shape. What is read, while documents are called:

* oneDNN in torch, eager or compiled: its verbose lines name the kernel (``brg_matmul:avx512_core_vnni``),
  https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html;
* MKL in torch, for float32: its verbose lines name what it was started for;
* OpenVINO: the type of each node that was run (``brgemm_avx512_amx_I8``), which leaves VNNI out.

FBGEMM in torch and MLAS in ONNX Runtime say nothing of it. For them it is what they choose by the CPU,
marked as such.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ptdq.host.machine import FBGEMM_CAP, cpu_flags
from ptdq.profile.operation import PRODUCTS, Operation

BY_CPU = "by the CPU"
"""What is said where no runtime told."""
NONE = "none (reference kernel)"

# The first whose sign is in a kernel's name says what it uses: the more special ones come first.
_KERNELS = (
    ("amx", "AMX"),
    ("avx10_2", "AVX10.2"),
    ("avx10_1", "AVX512_FP16"),
    ("avx512_core_fp16", "AVX512_FP16"),
    ("avx512_core_bf16", "AVX512_BF16"),
    ("avx512_core_vnni", "AVX512_VNNI"),
    ("avx512_vnni", "AVX512_VNNI"),
    ("avx512", "AVX512"),
    ("avx-512", "AVX512"),
    ("avx2_vnni", "AVX_VNNI"),
    ("avx2", "AVX2"),
    ("avx", "AVX"),
    ("sse4", "SSE4"),
    ("sve", "SVE"),
    ("asimd", "NEON"),
    ("acl", "NEON"),
)
# oneDNN names a kernel after the newest extension of the CPU, which holds the older ones too.
# A product uses those of its own numbers:
# https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
_OF_NUMBERS = {
    ("AVX512_FP16", "int8"): "AVX512_VNNI",
    ("AVX512_FP16", "bfloat16"): "AVX512_BF16",
    ("AVX512_FP16", "float32"): "AVX512",
    ("AVX512_BF16", "int8"): "AVX512_VNNI",
    ("AVX512_BF16", "float32"): "AVX512",
}
# OpenVINO's types of nodes name the width alone: ``brgemm_avx512`` with VNNI and without. Within it there
# is the first whose flag the CPU has.
_OF_WIDTH = {
    ("int8", "AVX512"): (("avx512_vnni", "AVX512_VNNI"), ("avx512bw", "AVX512")),
    ("int8", "AVX2"): (("avx_vnni", "AVX_VNNI"), ("avx2", "AVX2")),
    ("bfloat16", "AVX512"): (("avx512_bf16", "AVX512_BF16"), ("avx512f", "AVX512")),
}
_WORD_OF_NONE = re.compile(r"(?:^|[:_])ref(?:[:_]|$)")

# What libraries that say nothing choose: the first whose flag the CPU has.
_BY_FLAG = {
    "int8": (
        ("avx512_vnni", "AVX512_VNNI"), ("avx512bw", "AVX512"), ("avx_vnni", "AVX_VNNI"),
        ("avx2", "AVX2"), ("i8mm", "I8MM"), ("asimddp", "NEON"),
    ),
    "float32": (("avx512f", "AVX512"), ("avx2", "AVX2"), ("asimd", "NEON")),
}  # fmt: skip
_AMX_IN_MLAS = ("amx_int8", "AMX")


@dataclass(frozen=True)
class Used:
    """What the products of one number format use.

    Attributes:
        numbers: ``int8``, ``float32``, ``bfloat16`` or ``float16``.
        instructions: name of the instruction set.
        library: whose kernels they are.
        told: whether the runtime said so; else it is the library's choice by the CPU.
    """

    numbers: str
    instructions: str
    library: str
    told: bool

    @property
    def text(self) -> str:
        """``int8 AVX2 (FBGEMM, by the CPU)``."""
        return f"{self.numbers} {self.instructions} ({self.library}{'' if self.told else f', {BY_CPU}'})"


def of_kernel(kernel: str) -> str | None:
    """The instruction set in the name of a kernel; None where it names none."""
    lower = kernel.lower()
    for sign, instructions in _KERNELS:
        if sign in lower:
            return instructions
    return NONE if _WORD_OF_NONE.search(lower) else None


def of_operation(one: Operation, flags: Collection[str] | None = None) -> Used | None:
    """What a product uses; None of anything else, and of a product of an unknown kind.

    Args:
        one: what was run.
        flags: of the CPU; by default this one's.
    """
    if one.part not in PRODUCTS or not one.numbers:
        return None
    told = of_kernel(one.kernel)
    within = _OF_WIDTH.get((one.numbers, told or "")) if one.library == "OpenVINO" else None
    if told is not None and within is None:
        return Used(one.numbers, _OF_NUMBERS.get((told, one.numbers), told), one.library, told=True)
    choices = within or _BY_FLAG.get(one.numbers, _BY_FLAG["float32"])
    if one.library == "MLAS" and one.numbers == "int8":
        choices = (_AMX_IN_MLAS, *choices)
    # Each has a variable of its own, and MLAS none.
    capped = one.library in ("oneDNN", "OpenVINO") or (
        one.library == "FBGEMM" and FBGEMM_CAP in os.environ
    )
    here = cpu_flags(capped=capped) if flags is None else flags
    chosen = next((name for flag, name in choices if flag in here), "unknown")
    return Used(one.numbers, chosen, one.library or "unknown library", told=False)


def in_words(operations: Iterable[Operation], flags: Collection[str] | None = None) -> str | None:
    """What the products use, what takes most of the time first; None where there is no product.

    What takes less than a hundredth of the time of all products is left out.
    """
    seconds: dict[str, float] = {}
    for one in operations:
        if (used := of_operation(one, flags)) is not None:
            seconds[used.text] = seconds.get(used.text, 0.0) + one.seconds
    least = sum(seconds.values()) / 100
    shown = sorted((text for text, took in seconds.items() if took >= least), key=lambda t: -seconds[t])
    return "; ".join(shown) or None
