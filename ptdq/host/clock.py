"""The time that a run may take, and the time that its stages took."""

from __future__ import annotations

import queue
import time
from typing import TypeVar

from ptdq.errors import RunFailed
from ptdq.host.process import kill_children

T = TypeVar("T")


class TimeLimit:
    """What is left of the seconds that a run may take, once it has begun."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def start(self) -> None:
        """Begin to count; nothing where that is begun."""
        if self._seconds is not None and self._end is None:
            self._end = time.monotonic() + self._seconds

    @property
    def left(self) -> float | None:
        """Seconds; None without a limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def cap(self, seconds: float) -> float:
        """That many seconds, or what is left if it is less."""
        return seconds if self.left is None else min(seconds, self.left)

    def next_of(self, ended: queue.SimpleQueue[T]) -> T:
        """Sleep until there is an entry, and take it.

        Raises:
            RunFailed: no time is left; every child of the run is then dead.
        """
        try:
            return ended.get(timeout=self.left)
        except queue.Empty as error:
            kill_children()
            raise RunFailed(f"the run exceeded its time limit ({self._seconds:g} s)") from error


class Laps:
    """Seconds of each stage.

    Attributes:
        seconds: by stage, of those that have ended.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """The stage has ended: it took the seconds since the last call."""
        current = time.monotonic()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + current - self._last, 3)
        self._last = current
