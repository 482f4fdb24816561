"""What Prefect needs around it: settings made before it is imported, and no event loop that runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

DEFAULTS = {
    # Nothing leaves the machine unasked.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # The temporary server may take long to start on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}


def set_defaults() -> None:
    """Set environment variables of Prefect that are not set; without effect once it is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextmanager
def outside_event_loop() -> Iterator[None]:
    """Within the block nobody sees the event loop in which this thread may be, as in a notebook's cell.

    Many of Prefect's functions return coroutines instead of results where they see one. The block
    does not await, so the loop would not go on meanwhile anyway. Another thread instead would not be
    interrupted when the notebook is.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
