"""Where the time of a variant's documents went: shares by class, and products below the limit.

Of what ``ptdq why`` left in a run: the tables ``profiles`` and ``operations``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from ptdq.profile.operation import PARTS, PRODUCTS
from ptdq.store.rows_profile import OperationRow, ProfileRow
from ptdq.store.run import Run

LIMITED_SHARE = 0.03
"""A shape is looked at where it takes this share of the time."""
FAR_BELOW = 0.3
"""Share of the core's limit below which a shape is far from it."""


class ShapeRow(TypedDict):
    """Products of one shape and number format."""

    shape: str
    numbers: str
    share: float
    gops: float
    of_limit: float


@dataclass(frozen=True)
class Spent:
    """The profiled calls of a variant at a length.

    Attributes:
        profile: of all of them.
        operations: what they did.
    """

    profile: ProfileRow
    operations: Sequence[OperationRow]

    @cached_property
    def ms_by_part(self) -> dict[str, float]:
        """Milliseconds of a document by class, every class, in the order in which they are shown."""
        parts = dict.fromkeys(PARTS, 0.0)
        for one in self.operations:
            part = one["part"] if one["part"] in parts else "other operations"
            parts[part] += one["ms"]
        return {str(part): ms for part, ms in parts.items()}

    @property
    def explained(self) -> float:
        """Share of the profiled calls, as the process timed them, that the classes add up to."""
        return sum(self.ms_by_part.values()) / self.profile["profiled_ms"]

    @property
    def named(self) -> float:
        """The same without the framework: what the runtime named."""
        return self.explained - self.share_of("framework")

    def share_of(self, part: str, numbers: Iterable[str] | None = None) -> float:
        """Share of the profiled calls that operations of a class take, of these number formats alone."""
        of = None if numbers is None else set(numbers)
        ms = sum(
            one["ms"]
            for one in self.operations
            if one["part"] == part and (of is None or (one["numbers"] or "") in of)
        )
        return ms / self.profile["profiled_ms"]

    @property
    def padding(self) -> float:
        """Share of the tokens that the model computed that were padding."""
        computed = self.profile["computed_tokens"]
        return 1 - self.profile["tokens"] / computed if computed else 0.0

    def shapes(self, limits: dict[str, float]) -> list[ShapeRow]:
        """Products by shape, what takes most time first; those that take little are left out.

        Args:
            limits: number format to the most that a core does, in billions of operations a second.
        """
        ms: dict[tuple[str, str], float] = {}
        adds: dict[tuple[str, str], int] = {}
        for one in self.operations:
            numbers, shape = one["numbers"] or "", one["shape"] or ""
            if one["part"] in PRODUCTS and shape and one["multiply_adds"] and limits.get(numbers):
                ms[numbers, shape] = ms.get((numbers, shape), 0.0) + one["ms"]
                adds[numbers, shape] = adds.get((numbers, shape), 0) + one["multiply_adds"] * one["calls"]
        rows = []
        for (numbers, shape), took in sorted(ms.items(), key=lambda item: -item[1]):
            share = took / self.profile["profiled_ms"]
            if share < LIMITED_SHARE or took <= 0:
                continue
            gops = 2 * adds[numbers, shape] / (took * self.profile["documents"]) / 1e6
            rows.append(
                ShapeRow(
                    shape=shape, numbers=numbers, share=share, gops=gops, of_limit=gops / limits[numbers]
                )
            )
        return rows


def spent(run: Run, variants: Sequence[str] | None = None) -> list[Spent]:
    """What is known of a run's variants, in their order; empty where ``ptdq why`` was never called.

    Args:
        run: the run.
        variants: only these.
    """
    operations = run.rows(OperationRow)
    shares = []
    for row in run.rows(ProfileRow):
        if (variants is None or row["variant"] in variants) and row["profiled_ms"]:
            place = (row["variant"], row["max_length"])
            own = [one for one in operations if (one["variant"], one["max_length"]) == place]
            shares.append(Spent(row, own))
    order = {name: place for place, name in enumerate(run.variants)}
    return sorted(shares, key=lambda s: (order.get(s.profile["variant"], 0), s.profile["max_length"]))


def limits_of(run: Run) -> dict[str, float]:
    """The core's measured peaks by number format, those that the run has."""
    limits = run.record.limits
    if limits is None:
        return {}
    peaks = {
        "float32": limits.float32_gflops,
        "bfloat16": limits.bfloat16_gflops,
        "float16": limits.float16_gflops,
        "int8": limits.int8_gops,
    }
    return {numbers: peak for numbers, peak in peaks.items() if peak}
