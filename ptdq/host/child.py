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
from collections.abc import Callable
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
