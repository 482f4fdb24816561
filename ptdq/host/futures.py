"""Waiting for futures within a run's time limit: all of some, or queues that run side by side.

The futures are those of Prefect's tasks, or of ``concurrent.futures``.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from ptdq.errors import RunFailed
from ptdq.host.clock import TimeLimit

T = TypeVar("T")
R = TypeVar("R", covariant=True)


class Future(Protocol[R]):
    """What is known of a future here."""

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None:
        """Call ``fn`` with the future once it has ended, however it ends."""

    def result(self) -> R:
        """What it ended with, once it has."""


def wait_for_all(futures: Iterable[Future[Any]], limit: TimeLimit) -> None:
    """Sleep until all have ended, however they end.

    Raises:
        RunFailed: the time limit is exceeded.
    """
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()
    waiting = list(futures)
    for future in waiting:
        future.add_done_callback(lambda _: ended.put(None))
    for _ in waiting:
        limit.next_of(ended)


def run_queues(
    queues: Sequence[Sequence[T]], start: Callable[[T], Future[Any]], limit: TimeLimit
) -> None:
    """Keep one entry of each queue running until all queues are empty, however each entry ends.

    Sleeps meanwhile: the cores belong to what was started.

    Raises:
        RunFailed: the time limit is exceeded; by then all that was started has ended.
    """
    left = [list(entries) for entries in queues]
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    running: set[int] = set()

    def start_next(lane: int) -> None:
        if left[lane]:
            running.add(lane)
            start(left[lane].pop(0)).add_done_callback(lambda _: ended.put(lane))

    for lane in range(len(left)):
        start_next(lane)
    while running:
        try:
            lane = limit.next_of(ended)
        except RunFailed:
            for _ in running:
                ended.get()  # its child was killed: it ends now
            raise
        running.remove(lane)
        start_next(lane)
