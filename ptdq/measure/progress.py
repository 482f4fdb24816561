"""How far the cells are, shown in several places."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ptdq.host import terminal

_MEASURING = "measuring"


@dataclass(frozen=True)
class Done:
    """How far the cells are.

    Attributes:
        documents: evaluated, of all cells.
        of_documents: number of them that the cells are to evaluate.
        cells: that have ended.
        of_cells: number of cells.
    """

    documents: int
    of_documents: int
    cells: int
    of_cells: int


class Progress(ABC):
    """A place where progress is shown."""

    @abstractmethod
    def show(self, done: Done) -> None:
        """Show how far the cells are."""

    def close(self) -> None:
        """Nothing more will come."""
        return


class TerminalProgress(Progress):
    """The display of the run; nothing where it has none."""

    def __init__(self) -> None:
        # Now: reports come from threads that do not know it.
        self._terminal = terminal.current()
        terminal.stage(_MEASURING)

    def show(self, done: Done) -> None:
        if self._terminal is not None:
            what = f"{done.cells} of {done.of_cells} cells"
            self._terminal.progress(_MEASURING, done.documents, done.of_documents, what)


class Board:
    """Adds up what the cells report, and shows it no more often than every ``interval`` seconds.

    Showing costs processor time on cores that measure; hence the interval.
    """

    def __init__(
        self, documents: Mapping[str, int], places: Sequence[Progress], interval: float = 3.0
    ) -> None:
        """Args: documents: cell to the number of documents that it evaluates."""
        self._documents = dict(documents)
        self._places = places
        self._interval = interval
        self._done: dict[str, int] = {}
        self._ended: set[str] = set()
        self._shown = 0.0
        self._lock = threading.Lock()

    def expect(self, documents: Mapping[str, int]) -> None:
        """These cells follow, with their numbers of documents."""
        with self._lock:
            self._documents |= documents

    def reporter(self, cell_id: str) -> Callable[[int], None]:
        """A function for one cell to report its documents to."""

        def report(done: int) -> None:
            with self._lock:
                self._done[cell_id] = done
                self._show_in_time()

        return report

    def end(self, cell_id: str) -> None:
        """A cell has ended; there is nothing more to wait for, however it did."""
        with self._lock:
            self._done[cell_id] = self._documents[cell_id]
            self._ended.add(cell_id)
            self._show_in_time()

    def finish(self) -> None:
        """Show the last state, and close all places."""
        with self._lock:
            self._show()
            for place in self._places:
                place.close()

    def _show_in_time(self) -> None:
        if time.monotonic() - self._shown >= self._interval:
            self._shown = time.monotonic()
            self._show()

    def _show(self) -> None:
        done = Done(
            documents=sum(self._done.values()),
            of_documents=sum(self._documents.values()),
            cells=len(self._ended),
            of_cells=len(self._documents),
        )
        for place in self._places:
            place.show(done)
