"""Memory that was freed goes back to the system; allocators would keep it for later."""

from __future__ import annotations

import contextlib
import ctypes
import gc

import pyarrow as pa


def give_back() -> None:
    """Return what Arrow and the C library hold without using it, where they can."""
    gc.collect()
    trim()


def trim() -> None:
    """The same but for objects that refer to each other: takes milliseconds, not tenths of a second."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
