"""The child's side of :mod:`ptdq.host.process`.

Imports the standard library alone: libraries start threads when they are imported, and a worker has
to pin itself before there is any.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

PARENT = "PTDQ_PARENT"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """First thing in a child: end when the parent does, however it ends.

    Linux has a signal for that (prctl(2)); it covers SIGKILL of the parent. Elsewhere the kills
    of :func:`run_child` have to do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the call.
        if os.environ.get(PARENT) not in (None, str(os.getppid())):
            os._exit(1)


def read_request(arguments: list[str]) -> tuple[dict[str, Any], Callable[[int], None]]:
    """The request of ``python -m module request.json [fd]``, and a function that reports progress."""
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    if len(arguments) < 2:
        return request, lambda done: None
    pipe = int(arguments[1])
    os.set_inheritable(pipe, False)

    def report(done: int) -> None:
        # The parent may have closed its end; that is for it to handle.
        with contextlib.suppress(OSError):
            os.write(pipe, b"%d\n" % done)

    return request, report


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Inside, these packages look as though they were not installed, unless they are imported already.

    For libraries that import others where they find them, without a need of ours.
    """
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Absent:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def meet(directory: Path, name: str, count: int, seconds: float, began: float | None = None) -> bool:
    """Wait until ``count`` processes have come to ``directory``; whether they did in time.

    Args:
        directory: where each leaves a file of its name.
        name: of this one.
        count: how many there are.
        seconds: to wait at most.
        began: files from before (an attempt that was broken off) are not counted; seconds since the
            epoch, by default a quarter of an hour ago.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(b"")
    oldest = time.time() - 900 if began is None else began
    end = time.monotonic() + seconds
    while sum(path.stat().st_mtime >= oldest for path in directory.iterdir()) < count:
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
