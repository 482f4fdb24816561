"""Taking the machine for a run, and what is noted of it before the first cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ptdq.host import machine
from ptdq.host.clock import TimeLimit
from ptdq.host.lately import measured_lately
from ptdq.host.lock import MachineLock
from ptdq.host.quiet import wait_for_quiet
from ptdq.inputs.arithmetic import arithmetic
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.measure.cell import measure_limits
from ptdq.parameters import Parameters
from ptdq.store import cache, record
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import Limits

Say = Callable[[str], None]

_LIMITS_TIMEOUT = 120.0
_SHAPES = 2
"""Of linear layers, at each maximum length: those that do most of the arithmetic."""


def take_machine(
    lock: MachineLock, run_id: str, max_wait: float | None, limit: TimeLimit, say: Say
) -> None:
    """Wait until no other run is using this machine; the run's time limit counts from then.

    Nothing where the lock is held already.

    Raises:
        UserError: another run is still using it after ``max_wait`` seconds.
    """
    lock.acquire(run_id, say, max_wait)
    limit.start()
    cache.sweep()


def note_conditions(
    files: RunFiles,
    cores: Sequence[int],
    parameters: Parameters,
    checkpoint: Checkpoint,
    limit: TimeLimit,
    say: Say,
) -> bool:
    """Wait for other programs to leave the cores alone, and measure the limits of a core.

    Both go into the run's record: a note where the cores are still in use, and the limits; these are
    those of an earlier run where it measured the same lately.

    Returns:
        Whether others leave the cores alone.

    Args:
        files: of the run.
        cores: those that it uses.
        parameters: of the run.
        checkpoint: the float model, at whose shapes the limits are measured too.
        limit: time that the run may take.
        say: told what is wrong.
    """
    load = wait_for_quiet(cores, parameters.max_load, limit.cap(parameters.load_wait), say)
    if load.note is not None:
        say(load.note)
        record.amend(files, note=load.note)
    core = cores[0] if machine.can_pin() else None
    shapes = [
        (parameters.batch_size * length, *sizes)
        for length in parameters.max_length
        for sizes in arithmetic(checkpoint, parameters.max_length).linear_sizes[:_SHAPES]
    ]
    found = measured_lately(
        {"limits": shapes, "core": core},
        lambda: measure_limits(files, core, shapes, limit.cap(_LIMITS_TIMEOUT)),
        Limits.model_validate,
        keep=load.quiet,
    )
    if found is not None:
        limits, moment = found
        before = None if moment is None else moment.isoformat(timespec="seconds")
        record.amend(files, limits=limits.model_copy(update={"measured_before": before}))
    return load.quiet
