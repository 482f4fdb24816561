"""The design of a run: every cell with its round, its core and its place, before the first one runs.

A round is one pass over all variants and lengths on one core, and as many rounds as there are cores, a
block, run side by side. So what is compared within a round shared its core, and each variant runs beside
every variant, itself included, as neighbours come in a deployment: beside others only, a variant would
never meet its own pressure on the neighbour, and of two variants each would always meet the other's.

For each block all orders are drawn anew. A design that is drawn once and only turned round gives a
variant the same neighbours for ever, and what they cost is a bias that no interval sees. Of some random
draws of a block the one is taken that best evens out who runs beside whom, who after whom, and how early
(restricted randomization: R. A. Bailey, "Design of Comparative Experiments", 2008, chapters 6 and 12).
It also spreads each variant over the time of all cores: what disturbs the whole machine for some seconds
should not meet the same variant on both cores, twice in a row.

A block depends on the seed, its number and the blocks before it alone, so a design of more rounds
begins with the cells of one of fewer, and a run can be extended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, count, pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from ptdq.measure.cell_request import Kind

CONTROL, QUALITY = "control-", "quality-"
"""How the identifiers begin of the control's cells, and of those that quality alone is taken from."""

NO_ROUND = -1
"""As the round of a cell for quality: it is in none."""

CANDIDATES = 32
"""Random draws of a block that are compared."""

AFTER = 0.1
"""What it counts that two variants follow each other too often, against running beside each other:
little, since each cell is a fresh process, and what the one before it leaves behind is short-lived."""

BUNCHED = 3.6
"""The same of a variant that is bunched in time. Simulated with two identical variants and a program
that is busy now and then, one run of nine finds a difference without this, and fewer than one of
twenty-five with it. From 4 on two variants run beside themselves less often than beside the other."""

Isolation = Literal["parallel", "solo", "same"]
Item = tuple[int, int]  # index of the length, index of the variant
Queues = list[list[Item]]  # of one round: a sequence for each core


@dataclass(frozen=True)
class Cell:
    """One measurement: variant × maximum length × repeat, in one fresh process.

    Attributes:
        repeat: its round; ``NO_ROUND`` of a cell for quality.
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
    def in_control(self) -> bool:
        """Whether it runs while nothing else does."""
        return self.cell_id.startswith(CONTROL)

    @property
    def kind(self) -> Kind:
        """Whether its times or its predictions are what it is for."""
        return "quality" if self.cell_id.startswith(QUALITY) else "timing"

    @property
    def title(self) -> str:
        """The cell in words, as Prefect names its task run."""
        if self.kind == "quality":
            return f"quality: {self.variant} {self.max_length} tokens, core {self.core}"
        kind = "control: " if self.in_control else ""
        return f"{kind}{self.variant} {self.max_length} tokens, repeat {self.repeat}, core {self.core}"


@dataclass(frozen=True)
class Design:
    """Queues of cells that run side by side, and the control, whose cells run one after the other.

    Attributes:
        isolation: "parallel", a queue for each core; "solo", one cell at a time; "same", the queues
            hold the same variants, and cells of the same order start together, as replicas do.
        queues: cells in order; a queue for each core, or a single one with ``solo``.
        control: each variant alone, order alternating from length to length.
        balanced: whether each variant is on each core equally often.
        notes: what is not balanced, in words.
        quality: a queue for each core, of cells that quality is taken from; empty where it is taken
            from the others.
    """

    seed: int
    isolation: Isolation
    cores: tuple[int, ...]
    queues: tuple[tuple[Cell, ...], ...]
    control: tuple[Cell, ...]
    balanced: bool
    notes: tuple[str, ...]
    quality: tuple[tuple[Cell, ...], ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """All cells of the queues, by place in the order."""
        everything = [cell for queue in self.queues for cell in queue]
        return sorted(everything, key=lambda cell: (cell.order, cell.core))

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return 1 + max(cell.repeat for cell in self.cells)

    @property
    def judged(self) -> list[Cell]:
        """All cells for quality, those of a core one after the other."""
        return [cell for queue in self.quality for cell in queue]

    def with_quality(self, variants: Sequence[str], max_lengths: Sequence[int]) -> Design:
        """The same with a cell for the quality of each variant at each length.

        Their times decide nothing, so they are dealt out to the cores, the longest first.
        """
        queues: list[list[Cell]] = [[] for _ in self.cores]
        places = [(length, name) for length in sorted(max_lengths, reverse=True) for name in variants]
        for number, (length, name) in enumerate(places):
            queue, core = queues[number % len(queues)], self.cores[number % len(queues)]
            named = cell_id(name, length, None, prefix=QUALITY)
            queue.append(Cell(named, name, length, NO_ROUND, core, len(queue), self.seed))
        return replace(self, quality=tuple(map(tuple, queues)))

    def with_control(self, variants: Sequence[str], max_lengths: Sequence[int]) -> Design:
        """The same with a control, where cells run side by side; else the run is its own control."""
        if self.isolation == "solo" or len(self.cores) == 1:
            return self
        cells: list[Cell] = []
        for index, length in enumerate(max_lengths):
            for name in variants[:: -1 if index % 2 else 1]:
                named = cell_id(name, length, 0, prefix=CONTROL)
                cells.append(Cell(named, name, length, 0, self.cores[0], len(cells), self.seed))
        return replace(self, control=tuple(cells))

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
            "quality": [asdict(cell) for cell in self.judged],
        }


def design_frame(design: Design) -> pd.DataFrame:
    """The cells of the queues as a table, a row each: the columns are the attributes of ``Cell``.

    Rows are by ``order``, the place in the queue of their core (in the only queue with ``solo``).
    """
    names = list(Cell.__dataclass_fields__)
    return pd.DataFrame([asdict(cell) for cell in design.cells], columns=names)


def cell_id(variant: str, max_length: int, repeat: int | None, prefix: str = "", suffix: str = "") -> str:
    """Name of a cell, fit for a file: ``int8-dynamic-L128-r0``."""
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", variant)
    number = "" if repeat is None else f"-r{repeat}"
    return f"{prefix}{slug}-L{max_length}{number}{suffix}"


def make_design(
    variants: Sequence[str],
    max_lengths: Sequence[int],
    repeats: int,
    cores: int | Sequence[int],
    seed: int,
    isolation: Isolation = "parallel",
    same_order: bool = False,
) -> Design:
    """Lay out all cells.

    Args:
        variants: names; the first is the baseline.
        max_lengths: maximum lengths.
        repeats: number of rounds.
        cores: cores to use, each of which runs one cell at a time; or how many, from 0.
        seed: of every order.
        isolation: a queue for each core, one cell at a time on the whole machine, or the same
            variant on all cores at once.
        same_order: documents come in one order in all rounds, not in one per round.

    Raises:
        ValueError: nothing to lay out, a name or core twice, or no such isolation.
    """
    used = tuple(range(cores) if isinstance(cores, int) else cores)
    _check(variants, max_lengths, repeats, used, isolation)
    queues: list[list[Cell]] = [[] for _ in range(1 if isolation == "solo" else len(used))]
    rounds = _rounds(len(variants), len(max_lengths), len(used), seed, isolation)
    for repeat, placed in zip(range(repeats), rounds, strict=False):
        documents = _document_seed(seed, 0 if same_order else repeat)
        for queue, items in zip(queues, placed, strict=True):
            for (length, variant), core in items:
                name, where = variants[variant], used[core]
                suffix = f"-c{where}" if isolation == "same" else ""
                named = cell_id(name, max_lengths[length], repeat, suffix=suffix)
                cell = Cell(named, name, max_lengths[length], repeat, where, len(queue), documents)
                queue.append(cell)
    balanced = isolation == "same" or repeats % len(used) == 0
    design = Design(seed, isolation, used, tuple(map(tuple, queues)), (), balanced, ())
    return replace(design, notes=tuple(_notes(design, variants, repeats)))


def _check(
    variants: Sequence[str],
    max_lengths: Sequence[int],
    repeats: int,
    cores: Sequence[int],
    isolation: str,
) -> None:
    for name, values in (("variants", variants), ("max_lengths", max_lengths), ("cores", cores)):
        if not len(values) or len(set(values)) < len(values):
            raise ValueError(f"{name}: needs at least one, and none twice, got {list(values)}")
    if repeats < 1:
        raise ValueError(f"repeats: needs at least 1, got {repeats}")
    if isolation not in ("parallel", "solo", "same"):
        raise ValueError(f"isolation: is parallel, solo or same, got {isolation!r}")


def _document_seed(seed: int, repeat: int) -> int:
    return int(np.random.default_rng([1, seed, repeat]).integers(2**31))


Placed = list[list[tuple[Item, int]]]  # of one round: for each queue its items with their cores


class _Balance:
    """How often variants ran beside each other, one after the other, how early, and how bunched."""

    def __init__(self, variants: int, queues: int) -> None:
        self.beside = np.zeros((variants, variants), dtype=np.int64)
        self.after = np.zeros((variants, variants), dtype=np.int64)
        self.place = np.zeros(variants)
        self.bunched = 0.0
        self.recent: list[list[int]] = [[]] * queues

    def add(self, block: Sequence[Placed]) -> _Balance:
        """With these rounds."""
        variants = len(self.beside)
        new = _Balance(variants, len(self.recent))
        new.beside, new.after, new.place = self.beside.copy(), self.after.copy(), self.place.copy()
        names = [
            [variant for placed in block for (_, variant), _ in placed[queue]]
            for queue in range(len(self.recent))
        ]
        for one, other in combinations(names, 2):
            for a, b in zip(one, other, strict=False):
                # Both ways, so that a variant beside itself counts twice: it is half as frequent.
                new.beside[a, b] += 1
                new.beside[b, a] += 1
        joined = [[*before, *own] for before, own in zip(self.recent, names, strict=True)]
        for own, whole in zip(names, joined, strict=True):
            for a, b in pairwise(whole[-len(own) - 1 :]):
                new.after[a, b] += 1
            np.add.at(new.place, own, np.linspace(-1, 1, len(own)))
        new.bunched = self.bunched + _bunched(joined, variants)
        new.recent = [whole[1 - variants :] if variants > 1 else [] for whole in joined]
        return new

    @property
    def unevenness(self) -> float:
        """Least where all pairs are equally frequent, all variants equally early, and none is bunched."""
        pairs = float((self.beside**2).sum() + AFTER * (self.after**2).sum() + (self.place**2).sum())
        return pairs + BUNCHED * self.bunched


def _bunched(queues: Sequence[Sequence[int]], variants: int) -> float:
    """How unevenly variants are spread over time, on all cores together.

    Every stretch of as many places as there are variants could have each of them once on each core: the
    squared distances from that, the mean over variants, summed over stretches.
    """
    places = min(map(len, queues))
    each = sum(np.eye(variants)[list(queue[:places])] for queue in queues)
    sums = np.vstack([np.zeros(variants), np.cumsum(each, axis=0)])
    return float(((sums[variants:] - sums[:-variants] - len(queues)) ** 2).mean(axis=1).sum())


def _rounds(variants: int, lengths: int, cores: int, seed: int, isolation: Isolation) -> Iterator[Placed]:
    """The rounds, without end."""
    draw = {"parallel": _parallel_block, "solo": _solo_block, "same": _same_block}[isolation]
    balance = _Balance(variants, 1 if isolation == "solo" else cores)
    for number in count():
        random = np.random.default_rng([0, seed, number])
        drawn = [draw(random, variants, lengths, cores) for _ in range(CANDIDATES if variants > 1 else 1)]
        sums = [balance.add(block) for block in drawn]
        best = min(range(len(drawn)), key=lambda i: sums[i].unevenness)
        balance = sums[best]
        yield from drawn[best]


def _pass(random: np.random.Generator, variants: int, lengths: int) -> list[Item]:
    """All variants at one length after the other, both in random order."""
    return [
        (int(length), int(variant))
        for length in random.permutation(lengths)
        for variant in random.permutation(variants)
    ]


def _parallel_block(random: np.random.Generator, variants: int, lengths: int, cores: int) -> list[Placed]:
    """A round for each core; on a single core one there, and one back."""
    passes = [_pass(random, variants, lengths) for _ in range(cores)]
    if cores == 1:
        passes.append(passes[0][::-1])
    return [
        [[(item, core) for item in items] if core == number % cores else [] for core in range(cores)]
        for number, items in enumerate(passes)
    ]


def _solo_block(random: np.random.Generator, variants: int, lengths: int, cores: int) -> list[Placed]:
    """One sequence over all cores, there and back."""
    first = random.permutation(cores)
    rounds: list[Placed] = []
    for number in range(max(2, cores)):
        if number % 2 == 0:
            items = _pass(random, variants, lengths)
        placed = [
            ((length, variant), int(first[(variant + length + number) % cores]))
            for length, variant in items
        ]
        rounds.append([placed[:: -1 if number % 2 else 1]])
    return rounds


def _same_block(random: np.random.Generator, variants: int, lengths: int, cores: int) -> list[Placed]:
    """One sequence, there and back, on every core at once."""
    items = _pass(random, variants, lengths)
    return [[[(item, core) for item in turn] for core in range(cores)] for turn in (items, items[::-1])]


def block(cores: int, isolation: str) -> int:
    """Rounds that are drawn together, of which each takes a core or undoes the order of another."""
    return 2 if isolation == "same" else max(2, cores)


def cores_for(usable: Sequence[int], repeats: int) -> list[int]:
    """The fewest of the usable cores with which the rounds take the least time: none idles at the end.

    Args:
        usable: cores, those to be taken first in front.
        repeats: number of rounds, each of which takes one core.
    """
    blocks = -(-repeats // len(usable))
    return list(usable[: -(-repeats // blocks)])


def _notes(design: Design, variants: Sequence[str], repeats: int) -> Iterator[str]:
    cores = len(design.cores)
    if not design.balanced:
        yield (
            f"{repeats} repeats on {cores} cores: some cores have nothing to do at the end; "
            f"a multiple of {cores} repeats uses all"
        )
    if (uneven := _uneven_neighbours(design, variants)) is not None:
        yield uneven


def _uneven_neighbours(design: Design, variants: Sequence[str]) -> str | None:
    """How unequal the chances to run beside each other came out."""
    if design.isolation != "parallel" or len(design.queues) < 2 or len(variants) < 2:
        return None
    beside = np.zeros((len(variants), len(variants)), dtype=np.int64)
    index = {name: i for i, name in enumerate(variants)}
    for one, other in combinations(design.queues, 2):
        for a, b in zip(one, other, strict=False):
            beside[index[a.variant], index[b.variant]] += 1
            beside[index[b.variant], index[a.variant]] += 1
    least, most = int(beside.min()), int(beside.max())
    if most - least <= 2:
        return None
    return (
        f"of two variants (or one twice) some run beside each other {least} times and some {most} times: "
        "what neighbours cost is part of the noise"
    )
