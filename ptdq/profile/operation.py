"""One operation of a call, and the few classes that all of them are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypedDict, get_args

Part = Literal[
    "int8 products",
    "float products",
    "attention",
    "normalization and activation",
    "quantize and dequantize",
    "copies and layout",
    "other operations",
    "framework",
]
"""Classes of operations. Framework: what the runtime does between its operations, Python included."""
PARTS: tuple[Part, ...] = get_args(Part)
PRODUCTS: tuple[Part, ...] = ("int8 products", "float products")

NUMBERS = {
    "f32": "float32", "fp32": "float32", "float": "float32", "bf16": "bfloat16", "f16": "float16",
    "fp16": "float16", "s8": "int8", "u8": "int8", "i8": "int8",
}  # fmt: skip
"""Number formats as the libraries call them, to what they are called here."""


@dataclass(frozen=True)
class Operation:
    """What a runtime did once or several times alike.

    Attributes:
        name: as the runtime calls it.
        part: its class.
        seconds: that it took, of all calls together, without what it called in turn.
        calls: how often.
        numbers: format of what a product multiplies (``int8``, ``float32``, …); empty of others.
        shape: of a product, rows × inner × columns; empty where unknown.
        multiply_adds: of one call of a product; 0 where unknown.
        kernel: name of the implementation; empty where the runtime does not say.
        library: whose it is; empty as before.
    """

    name: str
    part: Part
    seconds: float
    calls: int = 1
    numbers: str = ""
    shape: str = ""
    multiply_adds: int = 0
    kernel: str = ""
    library: str = ""


class Size(TypedDict, total=False):
    """Of a product; empty where unknown."""

    shape: str
    multiply_adds: int


def product(shape: Sequence[int] | None) -> Size:
    """The size of a product of ``rows, inner, columns``."""
    if shape is None:
        return {}
    rows, inner, columns = shape
    return {"shape": f"{rows}x{inner}x{columns}", "multiply_adds": rows * inner * columns}


def together(operations: Iterable[Operation]) -> list[Operation]:
    """Those that differ in nothing but their time added up, the longest first."""
    sums: dict[Operation, Operation] = {}
    for one in operations:
        key = replace(one, seconds=0.0, calls=0)
        before = sums.get(key, key)
        sums[key] = replace(before, seconds=before.seconds + one.seconds, calls=before.calls + one.calls)
    return sorted(sums.values(), key=lambda one: -one.seconds)


def classify(name: str, table: Sequence[tuple[str, Part]], default: Part = "other operations") -> Part:
    """The class of the first entry whose words, split at ``|``, have one that ``name`` contains."""
    lower = name.lower()
    for words, part in table:
        if any(word in lower for word in words.split("|")):
            return part
    return default
