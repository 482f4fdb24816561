"""``ptdq why`` from a run to its answer; like a run it takes the machine for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ptdq.analysis.causes import case_of, causes
from ptdq.analysis.spent import Spent, limits_of, spent
from ptdq.host import machine
from ptdq.host.lock import MachineLock
from ptdq.report.plots.time_spent import time_spent
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from ptdq.why.find import Asked, artifact_of, keep, profile_variant

_STEPS = {1: "warm", 2: "timed", 3: "profiled"}


@dataclass(frozen=True)
class Explained:
    """The answer.

    Attributes:
        run_id: of the run.
        spent: of each variant asked for.
        sentences: what to do, of each.
        limits: number format to the core's peak, for the shapes.
        plot: where the stacked bars are.
    """

    run_id: str
    spent: list[Spent]
    sentences: list[list[str]]
    limits: dict[str, float]
    plot: Path


def _tell(say: Callable[[str], None], name: str, done: int) -> None:
    say(f"{name}: {_STEPS.get(done, '')}")


def explain(
    files: RunFiles, names: Sequence[str], asked: Asked, say: Callable[[str], None] = lambda text: None
) -> Explained:
    """Profile variants of a run, keep what was found beside its tables, and say what it means.

    Args:
        files: of a finished run.
        names: of the variants, the one that is asked about first.
        asked: how.
        say: told what goes on, a line at a time.

    Raises:
        UserError: the run, a variant or its artifact is not there; says what to do.
        RunFailed: a process failed; what other variants gave is not kept either.
    """
    run = load(files)
    for name in names:
        artifact_of(run, name, asked)  # all that can be refused is, before anything takes its time
    profiles = []
    lock = MachineLock()
    with lock, machine.capped(machine.known_cap(run.record.parameters.get("isa"))):
        lock.acquire(files.run_id, say)
        for name in names:
            say(f"{name}: loading")
            profiles.append(profile_variant(run, name, asked, partial(_tell, say, name)))
    keep(files, profiles)
    run = load(files)
    length = profiles[0].profile["max_length"]
    shown = [one for one in spent(run, names) if one.profile["max_length"] == length]
    shown.sort(key=lambda one: names.index(one.profile["variant"]))
    plot = files.plot("why")
    time_spent(shown, plot)
    return Explained(
        files.run_id, shown, [causes(case_of(run, one)) for one in shown], limits_of(run), plot
    )
