"""What is kept between runs, by content: normalized models, documents, artifacts, the demo.

``$PTDQ_CACHE``, else ``$XDG_CACHE_HOME/ptdq``, else ``~/.cache/ptdq``. Deleting it loses nothing but
time. ``ptdq prune --cache`` deletes what no run has used for a while.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

CONTENT = ("models", "documents", "artifacts")
"""Kinds of entries: what any run may make anew from what it is given."""


def cache_root() -> Path:
    """Directory of the cache; it need not exist."""
    if chosen := os.environ.get("PTDQ_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ptdq"


def cache_entry(kind: str, digest: str) -> Path:
    """Where the entry of this kind and identity lies, whether it exists or not."""
    return cache_root() / kind / digest[:32]


def mark_used(entry: Path) -> None:
    """Note in an entry's time of modification that a run uses it now.

    Reading leaves no trace where disks are mounted without access times.
    """
    with contextlib.suppress(OSError):  # a cache that is shared, and not ours to write
        os.utime(entry)
