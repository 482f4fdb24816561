"""How far the cells are: documents done over all of them, shown in several places."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from tqdm import tqdm


class Progress(ABC):
    """A place where progress is shown."""

    @abstractmethod
    def show(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` documents are evaluated."""

    def close(self) -> None:
        """Nothing more will come."""
        return


class TerminalProgress(Progress):
    """A bar on standard error; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None

    def show(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=total, unit="doc", desc="evaluate", disable=None, file=sys.stderr, leave=True
            )
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Board:
    """Adds up what the cells report, and shows it no more often than every ``interval`` seconds.

    Showing costs processor time on cores that measure; hence the interval.
    """

    def __init__(self, total: int, places: Sequence[Progress], interval: float = 3.0) -> None:
        self._total = total
        self._places = places
        self._interval = interval
        self._done: dict[str, int] = {}
        self._shown = 0.0
        self._lock = threading.Lock()

    def expect(self, documents: int) -> None:
        """So many documents are added to those that will be evaluated."""
        with self._lock:
            self._total += documents

    def reporter(self, cell_id: str) -> Callable[[int], None]:
        """A function for one cell to report its documents to."""

        def report(done: int) -> None:
            with self._lock:
                self._done[cell_id] = done
                if time.monotonic() - self._shown < self._interval:
                    return
                self._shown = time.monotonic()
                self._show()

        return report

    def finish(self) -> None:
        """Show the last state, and close all places."""
        with self._lock:
            self._show()
            for place in self._places:
                place.close()

    def _show(self) -> None:
        done = sum(self._done.values())
        for place in self._places:
            place.show(done, self._total)
