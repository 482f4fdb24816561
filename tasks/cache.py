"""What is kept between runs, by content: normalized models, documents, artifacts, the demo.

``$PTDQ_CACHE``, else ``$XDG_CACHE_HOME/ptdq``, else ``~/.cache/ptdq``. Deleting it loses nothing but
time.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Directory of the cache; it need not exist."""
    if chosen := os.environ.get("PTDQ_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ptdq"


def cache_entry(kind: str, digest: str) -> Path:
    """Where the entry of this kind and identity lies, whether it exists or not."""
    return cache_root() / kind / digest[:32]
