"""The design of a run: every cell with its round, its core and its place, before the first one runs.

Rounds come in blocks, of as many rounds as there are cores. Within a block each variant visits
each core once, and every second round runs backwards, against drift. From block to block all of it
is drawn anew: which variants share a core, their order and their first core. A design that is drawn
once and only turned round gives a variant the same neighbours for ever, and what they cost is a
bias that no interval sees. Of some random draws of a block the one is taken that best evens out who
runs beside whom and after whom (restricted randomization: R. A. Bailey, "Design of Comparative
Experiments", 2008, chapters 6 and 12).

A block depends on the seed, its number and the blocks before it alone, so a design of more rounds
begins with the cells of one of fewer, and a run can be extended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, combinations, count, pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from ptdq.statistics.rounds import MIN_ROUNDS, Layout

CONTROL = "control-"
"""How the identifiers of the control's cells begin."""

CANDIDATES = 32
"""Random draws of a block that are compared."""

Isolation = Literal["parallel", "solo", "same"]
Item = tuple[int, int]  # index of the length, index of the variant
Queues = list[list[Item]]  # of one round: a sequence for each core


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
        isolation: "parallel", a queue for each core; "solo", one cell at a time; "same", the queues
            hold the same variants, and cells of the same order start together, as replicas do.
        queues: cells in order; a queue for each core, or a single one with ``solo``.
        control: each variant alone, order alternating from length to length.
        balanced: whether each variant is on each core equally often.
        notes: what is not balanced, and which pairs get no interval, in words.
    """

    seed: int
    isolation: Isolation
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
        }


def design_frame(design: Design) -> pd.DataFrame:
    """The cells of the queues as a table, a row each: the columns are the attributes of ``Cell``.

    Rows are by ``order``, the place in the queue of their core (in the only queue with ``solo``).
    """
    names = list(Cell.__dataclass_fields__)
    return pd.DataFrame([asdict(cell) for cell in design.cells], columns=names)


def cell_id(variant: str, max_length: int, repeat: int, prefix: str = "", suffix: str = "") -> str:
    """Name of a cell, fit for a file: ``int8-dynamic-L128-r0``."""
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", variant)
    return f"{prefix}{slug}-L{max_length}-r{repeat}{suffix}"


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
    balanced = isolation == "same" or len(variants) < 2 or repeats % len(used) == 0
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
    """How often two variants ran beside each other, and one after the other."""

    def __init__(self, variants: int, queues: int) -> None:
        self.beside = np.zeros((variants, variants), dtype=np.int64)
        self.after = np.zeros((variants, variants), dtype=np.int64)
        self.last: list[int | None] = [None] * queues

    def add(self, rounds: Sequence[Placed]) -> _Balance:
        """With these rounds."""
        new = _Balance(len(self.beside), len(self.last))
        new.beside, new.after, new.last = self.beside.copy(), self.after.copy(), list(self.last)
        for placed in rounds:
            names = [[variant for (_, variant), _ in items] for items in placed]
            for one, other in combinations(names, 2):
                for a, b in zip(one, other, strict=False):
                    new.beside[min(a, b), max(a, b)] += 1
            for queue, mine in enumerate(names):
                first = new.last[queue]
                for a, b in pairwise(mine if first is None else [first, *mine]):
                    new.after[a, b] += 1
                new.last[queue] = mine[-1] if mine else first
        return new

    @property
    def unevenness(self) -> int:
        """Least where all pairs are equally frequent."""
        return int((self.beside**2).sum() + (self.after**2).sum())


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


def _deal(random: np.random.Generator, variants: int, lengths: int, hands: int) -> list[list[list[Item]]]:
    """All items dealt like cards: for each hand and length some variants, in random order."""
    dealt: list[list[list[Item]]] = [[] for _ in range(hands)]
    place = 0
    for length in random.permutation(lengths):
        for hand in dealt:
            hand.append([])
        for variant in random.permutation(variants):
            dealt[place % hands][-1].append((int(length), int(variant)))
            place += 1
    return dealt


def _parallel_block(random: np.random.Generator, variants: int, lengths: int, cores: int) -> list[Placed]:
    """A round for each core, two for a single one; hands move from core to core."""
    hands = _deal(random, variants, lengths, cores)
    first = random.permutation(cores)
    rounds: list[Placed] = []
    for number in range(max(2, cores)):
        if number % 2 == 0 and number:
            hands = [
                [[group[i] for i in random.permutation(len(group))] for group in hand] for hand in hands
            ]
        placed: Placed = [[] for _ in range(cores)]
        for index, hand in enumerate(hands):
            core = int(first[(index + number) % cores])
            items = _backwards(hand, stagger=index % 2 == 1) if number % 2 else list(chain(*hand))
            placed[core] = [(item, core) for item in items]
        rounds.append(placed)
    return rounds


def _backwards(hand: list[list[Item]], stagger: bool) -> list[Item]:
    """A hand in reverse; staggered, neighbours change places, so that others run beside them."""
    items: list[Item] = []
    for group in reversed(hand):
        turned = group[::-1]
        if stagger:
            for i in range(0, len(turned) - 1, 2):
                turned[i], turned[i + 1] = turned[i + 1], turned[i]
        items += turned
    return items


def _solo_block(random: np.random.Generator, variants: int, lengths: int, cores: int) -> list[Placed]:
    """One sequence over all cores, there and back."""
    (hand,) = _deal(random, variants, lengths, 1)
    first = random.permutation(cores)
    rounds: list[Placed] = []
    for number in range(max(2, cores)):
        if number % 2 == 0 and number:
            hand = [[group[i] for i in random.permutation(len(group))] for group in hand]
        placed = [
            ((length, variant), int(first[(variant + length + number) % cores]))
            for length, variant in chain(*hand)
        ]
        rounds.append([placed[:: -1 if number % 2 else 1]])
    return rounds


def _same_block(random: np.random.Generator, variants: int, lengths: int, cores: int) -> list[Placed]:
    """One sequence, there and back, on every core at once."""
    (hand,) = _deal(random, variants, lengths, 1)
    items = list(chain(*hand))
    return [[[(item, core) for item in turn] for core in range(cores)] for turn in (items, items[::-1])]


def layouts(variants: int, lengths: int, repeats: int, cores: int, seed: int) -> list[Layout]:
    """For each length, on which core [V, R] each variant runs, side by side with others."""
    found = np.full((lengths, variants, repeats), -1, dtype=np.int64)
    rounds = _rounds(variants, lengths, cores, seed, "parallel")
    for repeat, placed in zip(range(repeats), rounds, strict=False):
        for items in placed:
            for (length, variant), core in items:
                found[length, variant, repeat] = core
    return [Layout(each) for each in found]


def pairs_refused(variants: int, repeats: int, cores: int, lengths: int = 1, seed: int = 0) -> int:
    """Of how many pairs of variants the speed-up gets no interval at some length on these cores."""
    found = layouts(variants, lengths, repeats, cores, seed)
    if all(layout.refused(0, other) is None for layout in found for other in range(1, variants)):
        return 0  # what can be told from the baseline can be told from each other
    return sum(
        any(layout.refused(one, other) is not None for layout in found)
        for one, other in combinations(range(variants), 2)
    )


def cores_for(
    usable: Sequence[int], variants: int, repeats: int, lengths: int = 1, seed: int = 0
) -> list[int]:
    """The most of the usable cores with which every pair of variants gets an interval.

    All of them where there are too few repeats for an interval on any.

    Args:
        usable: cores, those to be taken first in front.
        variants: number of variants.
        repeats: number of rounds.
        lengths: number of maximum lengths.
        seed: that of the design.
    """
    if repeats < MIN_ROUNDS:
        return list(usable)
    # On a single core there are no core effects, and nothing is refused.
    fits = (
        n for n in range(len(usable), 0, -1) if not pairs_refused(variants, repeats, n, lengths, seed)
    )
    return list(usable[: next(fits)])


def _notes(design: Design, variants: Sequence[str], repeats: int) -> Iterator[str]:
    cores = len(design.cores)
    if not design.balanced:
        yield (
            f"{repeats} repeats on {cores} cores: variants are not on each core equally often; "
            f"a multiple of {cores} repeats is"
        )
    if (refused := _no_interval(design, variants, repeats)) is not None:
        yield refused
    if design.isolation == "parallel" and cores > 1 and len(variants) == 2:
        yield (
            f"{variants[0]} and {variants[1]} run beside each other in every round; "
            "`--isolation same` runs replicas of one variant instead"
        )
    elif (uneven := _uneven_neighbours(design, variants)) is not None:
        yield uneven


def _uneven_neighbours(design: Design, variants: Sequence[str]) -> str | None:
    """How unequal the chances to run beside each other came out."""
    if design.isolation != "parallel" or len(design.queues) < 2 or len(variants) < 3:
        return None
    beside = np.zeros((len(variants), len(variants)), dtype=np.int64)
    index = {name: i for i, name in enumerate(variants)}
    for one, other in combinations(design.queues, 2):
        for a, b in zip(one, other, strict=False):
            i, j = sorted((index[a.variant], index[b.variant]))
            beside[i, j] += 1
    pairs = beside[np.triu_indices(len(variants), 1)]
    if pairs.max() - pairs.min() <= 1:
        return None
    return f"two variants run beside each other between {pairs.min()} and {pairs.max()} times"


def _no_interval(design: Design, variants: Sequence[str], repeats: int) -> str | None:
    """Which pairs the cores leave without an interval, and what would give one."""
    if design.isolation != "parallel" or repeats < MIN_ROUNDS or len(variants) < 2:
        return None
    cores, lengths = len(design.cores), len({cell.max_length for cell in design.cells})
    shape = {"lengths": lengths, "seed": design.seed}
    refused = pairs_refused(len(variants), repeats, cores, **shape)
    if not refused:
        return None
    pairs = len(variants) * (len(variants) - 1) // 2
    which = "any pair of variants" if refused == pairs else f"{refused} of {pairs} pairs of variants"
    # As many rounds as cores always do: each variant is on each core equally often.
    more = next(n for n in count(repeats + 1) if not pairs_refused(len(variants), n, cores, **shape))
    fewer = len(cores_for(design.cores, len(variants), repeats, **shape))
    return (
        f"no interval for {which} with {repeats} repeats on {cores} cores: "
        f"`--repeats {more}` or `--cores {fewer}` gives one"
    )
