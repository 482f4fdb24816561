"""The design of a run: every cell with its round, its core and its place, before the first one runs.

It depends on the seed and on what was asked for alone. Core c of C takes, in round r and at the
length of index l, the variants v with (v + r + l) mod C = c: over any C rounds each variant is on
each core equally often (a Latin square), and each core's whole queue holds the same work, so that
all stay busy until the end. Within a queue the order of variants turns round every C rounds (AB,
BA), against drift.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, count
from typing import Any, Literal

import numpy as np

from ptdq.statistics.ratios import MIN_ROUNDS, refused_by_cores

CONTROL = "control-"
"""How the identifiers of the control's cells begin."""


@dataclass(frozen=True)
class Cell:
    """One measurement: variant × maximum length × repeat, in one fresh process.

    Attributes:
        core: where it runs.
        order: place in the queue it is in.
        seed: of the order of its documents, the same for all variants of a round.
    """

    cell_id: str
    variant: str
    max_length: int
    repeat: int
    core: int
    order: int
    seed: int

    @property
    def title(self) -> str:
        """The cell in words, as Prefect names its task run."""
        kind = "control: " if self.cell_id.startswith(CONTROL) else ""
        return f"{kind}{self.variant} {self.max_length} tokens, repeat {self.repeat}, core {self.core}"


@dataclass(frozen=True)
class Design:
    """Queues of cells that run side by side, and the control, whose cells run one after the other.

    Attributes:
        queues: cells in order; a queue for each core, or a single one with ``solo``.
        control: each variant alone, order alternating from length to length.
        balanced: whether each variant is on each core equally often.
        notes: what cannot be balanced, and which pairs get no interval, in words.
    """

    seed: int
    isolation: Literal["parallel", "solo"]
    cores: tuple[int, ...]
    queues: tuple[tuple[Cell, ...], ...]
    control: tuple[Cell, ...]
    balanced: bool
    notes: tuple[str, ...]

    @property
    def cells(self) -> list[Cell]:
        """All cells of the queues, by place in the order."""
        everything = [cell for queue in self.queues for cell in queue]
        return sorted(everything, key=lambda cell: (cell.order, cell.core))

    def as_json(self) -> dict[str, Any]:
        """For ``run.json``."""
        return {
            "seed": self.seed,
            "isolation": self.isolation,
            "cores": list(self.cores),
            "balanced": self.balanced,
            "notes": list(self.notes),
            "cells": [asdict(cell) for cell in self.cells],
            "control": [asdict(cell) for cell in self.control],
        }


def cell_id(variant: str, max_length: int, repeat: int, prefix: str = "") -> str:
    """Name of a cell, fit for a file: ``int8-dynamic-L128-r0``."""
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", variant)
    return f"{prefix}{slug}-L{max_length}-r{repeat}"


def core_of(place: int, repeat: int, length_index: int, cores: int) -> int:
    """Which of the cores, from 0, runs the variant at a place of the order (a Latin square)."""
    return (place + repeat + length_index) % cores


def pairs_refused(variants: int, repeats: int, cores: int) -> int:
    """Of how many pairs of variants the speed-up gets no interval from the rounds on these cores.

    It is the same for every length: another length renames the cores.
    """
    ran = [
        np.array([core_of(place, repeat, 0, cores) for repeat in range(repeats)])
        for place in range(variants)
    ]
    return sum(refused_by_cores(one, other) is not None for one, other in combinations(ran, 2))


def cores_for(usable: Sequence[int], variants: int, repeats: int) -> list[int]:
    """The most of the usable cores with which every pair of variants gets an interval.

    All of them where there are too few repeats for an interval on any.

    Args:
        usable: cores, those to be taken first in front.
        variants: number of variants.
        repeats: number of rounds.
    """
    if repeats < MIN_ROUNDS:
        return list(usable)
    # On a single core there are no core effects, and nothing is refused.
    fit = next(n for n in range(len(usable), 0, -1) if not pairs_refused(variants, repeats, n))
    return list(usable[:fit])


def make_design(
    variants: Sequence[str],
    max_lengths: Sequence[int],
    repeats: int,
    cores: Sequence[int],
    seed: int,
    isolation: Literal["parallel", "solo"] = "parallel",
    control: bool = True,
    same_order: bool = False,
) -> Design:
    """Lay out all cells.

    Args:
        variants: names; the first is the baseline.
        max_lengths: maximum lengths.
        repeats: number of rounds.
        cores: cores to use; each runs one cell at a time.
        seed: of every order.
        isolation: a queue for each core, or one cell at a time on the whole machine.
        same_order: documents come in one order in all rounds, not in one per round.
        control: whether to add the control (never with ``solo``, which is its own control).
    """
    random = np.random.default_rng(seed)
    first = [int(v) for v in random.permutation(len(variants))]
    queues: dict[int, list[Cell]] = {core: [] for core in cores}
    alone: list[Cell] = []
    document_seed = int(random.integers(2**31))
    for repeat in range(repeats):
        if not same_order:
            document_seed = int(random.integers(2**31))
        turned = (repeat // len(cores)) % 2 == 1
        for length_index in random.permutation(len(max_lengths)):
            length = max_lengths[int(length_index)]
            for place in range(len(variants))[:: -1 if turned else 1]:
                core = cores[core_of(place, repeat, int(length_index), len(cores))]
                name = variants[first[place]]
                queue = alone if isolation == "solo" else queues[core]
                queue.append(
                    Cell(
                        cell_id(name, length, repeat),
                        name,
                        length,
                        repeat,
                        core,
                        len(queue),
                        document_seed,
                    )
                )
    uneven = _uneven(len(variants), repeats, len(cores))
    unknown = _no_interval(len(variants), repeats, cores)
    return Design(
        seed=seed,
        isolation=isolation,
        cores=tuple(cores),
        queues=(tuple(alone),) if isolation == "solo" else tuple(map(tuple, queues.values())),
        control=_control(variants, max_lengths, cores[0], seed)
        if control and isolation == "parallel" and len(cores) > 1
        else (),
        balanced=uneven is None,
        notes=tuple(note for note in (uneven, unknown) if note is not None),
    )


def _uneven(variants: int, repeats: int, cores: int) -> str | None:
    if variants < 2 or repeats % cores == 0:
        return None
    return (
        f"{repeats} repeats on {cores} cores: variants are not on each core equally often; "
        f"a multiple of {cores} repeats is"
    )


def _no_interval(variants: int, repeats: int, cores: Sequence[int]) -> str | None:
    """Which pairs the cores leave without an interval, and what would give one."""
    if repeats < MIN_ROUNDS or not (refused := pairs_refused(variants, repeats, len(cores))):
        return None
    pairs = variants * (variants - 1) // 2
    which = "any pair of variants" if refused == pairs else f"{refused} of {pairs} pairs of variants"
    # As many rounds as cores always do: each variant is on each core equally often.
    more = next(n for n in count(repeats + 1) if not pairs_refused(variants, n, len(cores)))
    fewer = len(cores_for(cores, variants, repeats))
    return (
        f"no interval for {which} with {repeats} repeats on {len(cores)} cores: "
        f"`--repeats {more}` or `--cores {fewer}` gives one"
    )


def _control(
    variants: Sequence[str], max_lengths: Sequence[int], core: int, seed: int
) -> tuple[Cell, ...]:
    cells: list[Cell] = []
    for index, length in enumerate(max_lengths):
        for name in variants[:: -1 if index % 2 else 1]:
            named = cell_id(name, length, 0, prefix=CONTROL)
            cells.append(Cell(named, name, length, 0, core, len(cells), seed))
    return tuple(cells)
