"""Count the lines of the package that each process runs; Python imports this when it starts.

:mod:`tests.checks.coverage` puts this directory into ``PYTHONPATH``, so that workers, preparing
processes and flow runs of servers are counted as well. A process that is killed tells nothing.
"""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [str(ROOT / name) for name in ("ptdq", "flows", "tasks")]


def count(directory: Path) -> None:
    """Instrument what is imported from now on; write what ran into ``directory`` at the end."""
    try:
        import slipcover
    except ImportError:  # an environment that a test has made for itself
        return
    counter = slipcover.Slipcover()
    slipcover.ImportManager(counter, slipcover.FileMatcher(sources=SOURCES)).__enter__()
    ours, here, leave = os.getpid(), Path.cwd(), os._exit

    def write() -> None:
        seen = {name: file["executed_lines"] for name, file in counter.get_coverage()["files"].items()}
        if seen and os.getpid() == ours:  # a forked child has what its parent had
            part = directory / f".{ours}"
            part.write_text(json.dumps({str(here / name): lines for name, lines in seen.items()}))
            part.rename(directory / f"{ours}-{os.urandom(4).hex()}.json")

    def leave_at_once(status: int) -> None:
        write()
        leave(status)

    atexit.register(write)
    os._exit = leave_at_once  # type: ignore[assignment]


if chosen := os.environ.get("PTDQ_COUNTED"):
    count(Path(chosen))
