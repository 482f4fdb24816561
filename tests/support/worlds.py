"""Worlds that are not the estimator's model: cells on a wall clock, and what happens to them there.

The queues of a design run side by side. A cell takes as long as its documents do, so who runs beside
whom follows from the times of all variants, not from a place in a table. What slows a call depends on
when and where it happens: bursts of seconds and of minutes on one core or on all, drift, a wandering
clock (AR(1)), a neighbour's pressure, the luck of a process. All variants' noise has one
distribution, so the true ratio of any statistic is the ratio of their speeds, unless a world says
otherwise (``fade``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP = 0.5
"""Seconds of the wall clock that share their state."""
STARTUP = 2.0
"""Seconds that the process of a cell takes to start."""


@dataclass(frozen=True)
class World:
    """Sizes of what happens; on the natural-log scale unless said otherwise.

    Attributes:
        noise: sd of a call.
        tail_df: degrees of freedom of its t distribution.
        outliers: share of calls that are slowed by about half as much again.
        document_sd: spread of documents' times; heavy: a Pareto tail on top.
        interaction: sd of document × variant.
        cell_sd: sd of a process.
        bimodal: how much slower the three in ten unlucky processes are.
        core_gap: how much slower the second core is.
        drift: sd at the end of the run, of a line and of a random walk.
        wander: sd of an AR(1) process of the clock of each core, correlated over 20 seconds.
        seconds: bursts of about 3 seconds, per minute and core, that slow by 20 to 60 %.
        minutes: bursts of 1 to 3 minutes, per quarter of an hour, that slow by 10 to 50 %.
        spells: share of minutes in which a program slows all cores by 20 to 100 %, for 5 to 24 seconds.
        everywhere: whether these bursts hit all cores at once.
        pressure: each variant slows what runs beside it by a share between 0 and this.
        noisy: sd of the processes of one variant, the second.
    """

    noise: float = 0.03
    tail_df: float = np.inf
    outliers: float = 0.0
    document_sd: float = 0.5
    heavy: bool = False
    interaction: float = 0.0
    cell_sd: float = 0.01
    bimodal: float = 0.0
    core_gap: float = 0.1
    drift: float = 0.0
    wander: float = 0.0
    seconds: float = 0.0
    minutes: float = 0.0
    spells: float = 0.0
    everywhere: bool = False
    pressure: float = 0.0
    noisy: float = 0.0


CALM = World()
WORLDS = {
    "calm": CALM,
    "bursts of seconds": replace(CALM, seconds=1.5),
    "bursts of seconds, all cores": replace(CALM, seconds=1.5, everywhere=True),
    "a busy program, all cores": replace(CALM, spells=1.0, everywhere=True),
    "bursts of minutes, one core": replace(CALM, minutes=3.0),
    "bursts of minutes, all cores": replace(CALM, minutes=3.0, everywhere=True),
    "drift": replace(CALM, drift=0.15),
    "AR(1)": replace(CALM, wander=0.08),
    "bimodal processes": replace(CALM, bimodal=0.08),
    "heavy-tailed documents": replace(CALM, heavy=True, tail_df=3, outliers=0.03),
    "document × variant": replace(CALM, interaction=0.15),
    "neighbours to 10 %": replace(CALM, pressure=0.10),
    "neighbours to 25 %": replace(CALM, pressure=0.25),
    "one noisy variant": replace(CALM, noisy=0.1),
    "all together": World(
        noise=0.04, tail_df=3, outliers=0.03, interaction=0.05, cell_sd=0.02, bimodal=0.05, drift=0.1,
        wander=0.03, seconds=0.5, minutes=1.0, pressure=0.10,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Timeline:
    """When the cells of a run ran, and what ran beside them.

    Attributes:
        starts: in seconds, of each cell.
        bends: for each cell, shares of its work done when its speed changed, and its slowdown from there.
    """

    starts: Floats
    bends: list[list[tuple[float, float]]]


def schedule(queues: Sequence[Sequence[int]], work: Floats, presses: Floats, together: bool) -> Timeline:
    """Run queues of cells side by side; each slows the others by its pressure while it runs.

    Args:
        queues: cells, in order, of each core.
        work: seconds that each cell takes when nothing runs beside it.
        presses: pressure of each cell on others.
        together: whether the queues wait for each other after each cell.
    """
    starts = np.zeros(len(work))
    bends: list[list[tuple[float, float]]] = [[] for _ in work]
    place, clock = [0] * len(queues), 0.0
    running: dict[int, int] = {}
    waits = {q: STARTUP for q, queue in enumerate(queues) if queue}
    done = np.zeros(len(work))
    while running or waits:
        for cell in running.values():
            slow = 1 + sum(presses[other] for other in running.values() if other != cell)
            if not bends[cell] or bends[cell][-1][1] != slow:
                bends[cell].append((done[cell] / work[cell], slow))
        ends = {q: clock + (work[c] - done[c]) * bends[c][-1][1] for q, c in running.items()}
        now = min([*ends.values(), *waits.values()])
        for cell in running.values():
            done[cell] += (now - clock) / bends[cell][-1][1]
        clock = now
        for q in [q for q, end in ends.items() if end <= now]:
            del running[q]
            place[q] += 1
            if not together and place[q] < len(queues[q]):
                waits[q] = now + STARTUP
        if together and not running and not waits:
            waits = {q: now + STARTUP for q, queue in enumerate(queues) if place[q] < len(queue)}
        for q in [q for q, start in waits.items() if start <= now]:
            del waits[q]
            running[q] = queues[q][place[q]]
            starts[running[q]] = now
    return Timeline(starts, bends)


def machine(world: World, rng: np.random.Generator, seconds: float, cores: int) -> Floats:
    """Log slowdown [cores, steps] of each core over the wall clock."""
    steps = int(seconds / STEP) + 2
    clock = np.arange(steps) * STEP
    slow = np.zeros((cores, steps))
    if world.drift:
        line = rng.normal(0, world.drift) * clock / seconds
        slow += line + np.cumsum(rng.normal(0, world.drift / np.sqrt(steps), steps))
    if world.wander:
        keep = np.exp(-STEP / 20)
        kicks = rng.normal(0, world.wander * np.sqrt(1 - keep**2), (cores, steps))
        kicks[:, 0] = rng.normal(0, world.wander, cores)
        for step in range(1, steps):
            kicks[:, step] += keep * kicks[:, step - 1]
        slow += kicks
    for where in [slow] if world.everywhere else slow:
        for _ in range(rng.poisson(world.seconds * seconds / 60)):
            hit(where, clock, rng.uniform(0, seconds), rng.exponential(3), rng.uniform(0.2, 0.6))
    for minute in range(int(seconds / 60) + 1) if world.spells else ():
        if rng.random() < world.spells:
            start, length = 60 * minute + rng.uniform(0, 36), rng.uniform(5, 24)
            hit(slow, clock, start, length, rng.uniform(0.2, 1.0))
    for _ in range(rng.poisson(world.minutes * seconds / 900)):
        start, length, size = rng.uniform(-60, seconds), rng.uniform(60, 180), rng.uniform(0.1, 0.5)
        for core in range(cores) if world.everywhere else [int(rng.integers(cores))]:
            hit(slow[core], clock, start, length, size)
    return slow


def hit(
    slow: Floats, clock: npt.NDArray[np.floating[Any]], start: float, length: float, size: float
) -> None:
    """Add a burst to the log slowdown of a core."""
    slow[..., (clock >= start) & (clock < start + length)] += np.log1p(size)


def call_noise(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Of single calls, on the log scale."""
    if np.isinf(world.tail_df):
        noise = rng.normal(size=shape)
    else:
        # Clipped, so that there is a mean time.
        noise = np.clip(rng.standard_t(world.tail_df, size=shape), -20, 20)
    noise *= world.noise
    if world.outliers:
        noise += (rng.random(shape) < world.outliers) * rng.exponential(0.5, shape)
    return np.asarray(noise)


def document_times(world: World, rng: np.random.Generator, documents: int) -> Floats:
    """Seconds that documents take the baseline."""
    times = 0.05 * np.exp(rng.normal(0, world.document_sd, documents))
    if world.heavy:
        times *= 1 + rng.pareto(2.5, documents)
    return np.asarray(times)


def simulate(
    design: pd.DataFrame,
    world: World,
    rng: np.random.Generator,
    speeds: dict[str, float],
    documents: int = 100,
    together: bool = False,
) -> pd.DataFrame:
    """Times of a run of the design, a row each call, in the order of the calls.

    Args:
        design: cells with variant, repeat, core and order; of one maximum length.
        world: what happens.
        rng: source of all of it.
        speeds: how many times as fast as the baseline's each variant is, where nothing happens.
        documents: number of documents.
        together: with isolation "same", where all cores begin a cell together.
    """
    names = list(speeds)
    cells = design.sort_values(["core", "order"], ignore_index=True)
    who = cells["variant"].map(names.index).to_numpy()
    unique, core = np.unique(cells["core"], return_inverse=True)
    queues = [np.flatnonzero(core == c).tolist() for c in range(len(unique))]

    fastest = np.array([speeds[name] for name in names])
    logs = np.log(document_times(world, rng, documents)) - np.log(fastest)[:, None]
    logs = logs + rng.normal(0, world.interaction, logs.shape)
    calls = logs[who] + call_noise(world, rng, (len(cells), documents))
    calls += rng.normal(0, world.cell_sd, len(cells))[:, None]
    calls += (np.log1p(world.bimodal) * (rng.random(len(cells)) < 0.3))[:, None]
    calls += np.where(who == 1, rng.normal(0, max(world.noisy, 1e-12), len(cells)), 0)[:, None]
    calls += (np.log1p(world.core_gap) * (core == 1))[:, None]
    # The documents come in one order for all variants of a round.
    turns = {r: rng.permutation(documents) for r in np.unique(cells["repeat"])}
    order = np.stack([turns[r] for r in cells["repeat"]])
    in_order = np.take_along_axis(calls, order, axis=1)

    work = np.exp(in_order).sum(axis=1)
    presses = rng.uniform(0, max(world.pressure, 1e-12), len(names))[who]
    line = schedule(queues, work, presses, together)
    field = machine(world, rng, float((line.starts + work).max() * 1.5), len(unique))
    for cell in range(len(cells)):
        spent = np.concatenate([[0.0], np.cumsum(np.exp(in_order[cell]))[:-1]])
        share, slow = (np.array(x) for x in zip(*line.bends[cell], strict=True))
        in_order[cell] += np.log(
            slow[np.searchsorted(share, spent / work[cell] + 1e-12, side="right") - 1]
        )
        when = line.starts[cell] + spent
        in_order[cell] += field[core[cell], (when / STEP).astype(np.int64)]
    frame = cells.loc[np.repeat(np.arange(len(cells)), documents)].reset_index(drop=True)
    frame["doc_id"] = order.ravel()
    frame["forward_ns"] = np.exp(in_order).ravel() * 1e9
    return frame
