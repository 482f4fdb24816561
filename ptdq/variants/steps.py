"""What a preparation is doing, from the process that prepares to those who wait for it.

Preparing takes minutes for a large model. The child prints what it begins as a line of its log and
reports that there is news; the parent reads the last such line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from pathlib import Path

_MARK = "step: "
_LOOKED_AT = 65536
_tell: ContextVar[Callable[[str], None]] = ContextVar("tell", default=lambda words: None)


def step(words: str) -> None:
    """Say, where anybody waits, what begins now."""
    _tell.get()(words)


@contextmanager
def told(report: Callable[[int], None]) -> Iterator[None]:
    """In the block, steps are printed, and reported to the parent by their number."""
    numbers = count(1)

    def tell(words: str) -> None:
        print(f"\n{_MARK}{words}", flush=True)  # a bar of progress may not have ended its line
        report(next(numbers))

    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


def last_step(log: Path) -> str | None:
    """What a child that writes this log began last; None where it said nothing."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOOKED_AT))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    said = (line.removeprefix(_MARK) for line in reversed(lines) if line.startswith(_MARK))
    return next(said, None)
