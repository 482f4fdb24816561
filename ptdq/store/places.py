"""Opening a place that a user names: a path, any URL of fsspec, or the block of a Prefect server."""

from __future__ import annotations

from typing import Any

_BLOCKS = "ptdq.orchestration.blocks.BlockFileSystem"
"""Imported by fsspec where a URL begins with ``block://``, and not before."""


def open_place(url: str) -> tuple[Any, str]:
    """The file system of a URL or path, and the path in it.

    Raises:
        ImportError, ValueError, OSError: as fsspec and the file system have them.
    """
    import fsspec

    fsspec.register_implementation("block", _BLOCKS, clobber=True)
    system, root = fsspec.core.url_to_fs(url)
    return system, root.rstrip("/")
