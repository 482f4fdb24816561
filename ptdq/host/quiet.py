"""What others do with the cores: a look, and a wait for quiet, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Load:
    """What others did with the cores.

    Attributes:
        share: the busiest core's share of time that was used, over the last look.
        waited: seconds spent waiting for it to fall.
        quiet: whether it is below the threshold.
    """

    share: float
    waited: float
    quiet: bool

    @property
    def note(self) -> str | None:
        """For the report; None where the machine was quiet."""
        if self.quiet:
            return None
        waited = f" after waiting {self.waited:.0f} s for them to end" if self.waited >= 1 else ""
        return (
            f"when the run started, others used up to {self.share:.0%} of a core{waited}: "
            "its timings may be disturbed"
        )


def wait_for_quiet(
    cores: Sequence[int],
    threshold: float,
    max_wait: float,
    say: Callable[[str], None] = lambda text: None,
    look: float = 1.0,
    busy: Callable[[Sequence[int], float], float] | None = None,
) -> Load:
    """Wait, for a bounded time, until others leave the cores alone.

    The load average would not do: it remembers this run's own preparation for minutes.

    Args:
        cores: the cores of the run.
        threshold: share of a core's time that others may use.
        max_wait: seconds to wait at most; 0 only looks.
        say: told what is waited for.
        look: seconds over which use is measured.
        busy: measures it; by default from the system's counters.
    """
    busy = busy or busiest
    started = time.monotonic()
    said = False
    while True:
        share = busy(cores, look)
        # The look itself is not waiting.
        waited = max(0.0, time.monotonic() - started - look)
        if share <= threshold or waited >= max_wait:
            return Load(share, waited, share <= threshold)
        if not said:
            said = True
            say(
                f"others use up to {share:.0%} of a core; waiting up to {max_wait:.0f} s for them "
                "(load_wait)"
            )


def busiest(cores: Sequence[int], seconds: float) -> float:
    """Share of time that the busiest of the cores was used while this process slept."""
    shares = psutil.cpu_percent(interval=seconds, percpu=True)
    return max((shares[core] for core in cores if core < len(shares)), default=0.0) / 100
