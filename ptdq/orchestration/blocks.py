"""Storage by the name of a block of Prefect: ``block://remote-file-system/NAME`` in place of a URL.

Registered with fsspec (:func:`ptdq.store.places.open_place`), so that it is one more kind of URL. The
block has place and credentials; what is recorded is its name alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsspec.implementations.dirfs import DirFileSystem
from prefect.blocks.core import Block
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.settings import PREFECT_API_URL

PROTOCOL = "block"
KINDS = ("local-file-system", "remote-file-system")


class BlockFileSystem(DirFileSystem):  # type: ignore[misc]
    """The directory that a block names, as a file system of its own.

    Args:
        block: ``local-file-system/NAME`` or ``remote-file-system/NAME``.

    Raises:
        ValueError: there is no such block, it is of another kind, or no server is set that keeps blocks.
    """

    protocol = PROTOCOL
    cachable = False  # the block may be changed from one run to the next

    def __init__(self, block: str = "", **options: Any) -> None:
        system, root = _opened(block)
        super().__init__(path=root, fs=system, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """The path below the block's directory; of a URL that names no more than the block, a slash."""
        if path.startswith(f"{PROTOCOL}://"):
            # Empty, fsspec would take it for that of a chain of file systems.
            return "/".join(path.removeprefix(f"{PROTOCOL}://").split("/")[2:]).strip("/") or "/"
        return path.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return {"block": "/".join(path.removeprefix(f"{PROTOCOL}://").split("/")[:2])}


def _opened(name: str) -> tuple[Any, str]:
    """File system and directory of a block."""
    if not PREFECT_API_URL.value():
        raise ValueError("blocks are kept by a Prefect server; set PREFECT_API_URL")
    kind, _, own = name.partition("/")
    if kind not in KINDS or not own:
        raise ValueError(f"expected {PROTOCOL}://{KINDS[0]}/NAME or {PROTOCOL}://{KINDS[1]}/NAME")
    block = Block.load(name, _sync=True)  # type: ignore[call-arg]
    if isinstance(block, RemoteFileSystem):
        system = block.filesystem
        return system, str(system._strip_protocol(block.basepath))
    if isinstance(block, LocalFileSystem):
        import fsspec

        return fsspec.filesystem("file"), str(Path(block.basepath or ".").expanduser().resolve())
    raise ValueError(f"block {name} is no storage")
