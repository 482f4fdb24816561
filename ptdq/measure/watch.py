"""What happened to a worker, its core and its clocks while it measured.

A worker that stands still (stopped by a signal, frozen, on a suspended machine), a parent that does,
and a clock that is set all leave times that look like any other. Each is recognised here from what the
system counts, between the timed regions.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptdq.host.machine import core_state, load_average, peak_rss_bytes

STILL_SECONDS = 0.2
"""Least time without the processor that counts as standing still; schedulers take turns in hundredths."""

CLOCK_SECONDS = 0.5
"""Smallest jump of a clock that is reported; a clock that NTP slews gains 0.5 ms a second at most."""


class Watch:
    """Begins when it is made; :meth:`look` between calls; :meth:`facts` at the end."""

    def __init__(self, core: int | None, spawned_at: float, spawned_ns: int) -> None:
        self._core = core if core is not None else 0
        self._spawned_at, self._spawned_ns = spawned_at, spawned_ns
        self._boot = _since_boot()
        self._clocks = time.time(), time.monotonic()
        self._still = 0.0
        self._parent_stopped = parent_stopped()
        self._load = load_average()
        self._before = core_state(self._core)
        self._usage = self._last_usage = resource.getrusage(resource.RUSAGE_SELF)
        self._begin = self._last = time.perf_counter()

    def look(self) -> None:
        """Note whether the process stood still since the last look: about two microseconds.

        Others on the core cost wall time too, but in many turns; who is stopped is away once, for long.
        """
        now, usage = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        away = now - self._last - (_cpu(usage) - _cpu(self._last_usage))
        if away >= STILL_SECONDS:
            turns = _switches(usage) - _switches(self._last_usage)
            if away / max(turns, 1) >= STILL_SECONDS / 2:
                self._still += away
        self._last, self._last_usage = now, usage

    def look_at_parent(self) -> None:
        """Note whether the parent is stopped now: a file is read, so not after every call."""
        self._parent_stopped = self._parent_stopped or parent_stopped()

    def facts(self) -> dict[str, Any]:
        """Columns of the table ``cells`` (see ``READ_BACK`` in :mod:`ptdq.store.schema`)."""
        self.look()
        self.look_at_parent()
        measured = time.perf_counter() - self._begin
        usage, after, ended_ns = self._last_usage, core_state(self._core), time.monotonic_ns()
        cpu = _cpu(usage) - _cpu(self._usage)
        busy = _difference(self._before.busy_seconds, after.busy_seconds)
        wall = (ended_ns - self._spawned_ns) / 1e9
        monotonic = time.monotonic() - self._clocks[1]
        booted = _difference(self._boot, _since_boot())
        suspended = 0.0 if booted is None else max(0.0, booted - monotonic)
        jump = time.time() - self._clocks[0] - monotonic - suspended
        return {
            "peak_rss_bytes": peak_rss_bytes(),
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "measure_seconds": measured,
            "started_at": datetime.fromtimestamp(self._spawned_at, UTC).isoformat(),
            "ended_at": datetime.fromtimestamp(self._spawned_at + wall + suspended, UTC).isoformat(),
            "load_average_before": self._load,
            "load_average_after": load_average(),
            "steal_seconds": _difference(self._before.steal_seconds, after.steal_seconds),
            "other_seconds": None if busy is None else max(0.0, busy - cpu),
            "throttle_count": _difference(self._before.throttle_count, after.throttle_count),
            "frequency_mhz_before": self._before.frequency_mhz,
            "frequency_mhz_after": after.frequency_mhz,
            "involuntary_switches": usage.ru_nivcsw - self._usage.ru_nivcsw,
            "still_seconds": self._still,
            "suspended_seconds": suspended,
            "clock_jump_seconds": jump if abs(jump) >= CLOCK_SECONDS else 0.0,
            "parent_stopped": self._parent_stopped,
        }


def clock_flags(row: Mapping[str, Any]) -> list[str]:
    """What was out of line with the clocks of a cell, in words.

    Args:
        row: of the table ``cells``; what it lacks (a run of an older version) is not told.
    """
    flags = []
    if still := row.get("still_seconds"):
        flags.append(
            f"the worker stood still for {still:.1f} s: it was stopped, frozen or waited for a disk"
        )
    if (suspended := row.get("suspended_seconds") or 0.0) >= CLOCK_SECONDS:
        flags.append(f"the machine was suspended for {suspended:.1f} s")
    if jump := row.get("clock_jump_seconds"):
        flags.append(f"the clock was set by {jump:+.1f} s; times are of another clock, which nobody sets")
    if row.get("parent_stopped"):
        flags.append(
            "the run's own process was stopped meanwhile: what ran beside the cell is not by design"
        )
    return flags


def parent_stopped() -> bool:
    """Whether the process that started this one is stopped by a signal or a debugger."""
    with contextlib.suppress(OSError, IndexError):
        stat = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8", errors="replace")
        # The name in parentheses before may hold anything.
        return stat.rpartition(")")[2].split()[0] in ("T", "t")
    return False


def _since_boot() -> float | None:
    """Seconds by the clock that goes on while the machine is suspended; None where there is none."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime(clock)


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _switches(usage: resource.struct_rusage) -> int:
    return usage.ru_nvcsw + usage.ru_nivcsw


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
