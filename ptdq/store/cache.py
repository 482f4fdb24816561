"""What is kept between runs, by content: normalized models, documents, artifacts, the demo, measurements.

``$PTDQ_CACHE``, else ``$XDG_CACHE_HOME/ptdq``, else ``~/.cache/ptdq``. Deleting it loses nothing but
time. Entries that are directories are whole or not there: each is built beside its place and moved
there in one step. ``ptdq prune --cache`` deletes what no run has used for a while.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ptdq.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"
"""Names every file of an entry with the SHA-256 of its content, so that damage is noticed."""

_YOUNG = 60.0

MACHINE = "machine"
"""Kind of the entries of :mod:`ptdq.host.lately`."""

ARITHMETIC = "arithmetic"
"""Kind of the entries of :mod:`ptdq.inputs.arithmetic`."""

CONTENT = ("models", "documents", "artifacts", MACHINE, ARITHMETIC)
"""Kinds of entries: what any run may make anew from what it is given."""


def cache_root() -> Path:
    """Directory of the cache; it need not exist."""
    if chosen := os.environ.get("PTDQ_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ptdq"


def private_cache() -> Path:
    """The cache's directory, made if need be; nobody else can write it.

    What is in the cache is loaded, and compiled artifacts are run: who can write it could run anything.

    Raises:
        UserError: it is another user's, or others may write it; says how to mend that.
    """
    root = cache_root()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.stat()
    except OSError as error:
        raise UserError(
            f"cache {root}: {error.strerror}; set PTDQ_CACHE to a directory of yours"
        ) from error
    if hasattr(os, "getuid") and status.st_uid not in (0, os.getuid()):
        raise UserError(
            f"cache {root}: it belongs to another user (id {status.st_uid}), who could change what runs "
            f"here; `sudo chown -R {os.getuid()} {root}`, or set PTDQ_CACHE to a directory of yours"
        )
    if os.name == "posix" and status.st_mode & 0o022:
        raise UserError(
            f"cache {root}: other users may write it, and so change what runs here; `chmod go-w {root}`"
        )
    return root


def cache_entry(kind: str, digest: str) -> Path:
    """Where the entry of this kind and identity lies, whether it exists or not.

    Raises:
        UserError: as :func:`private_cache`.
    """
    return private_cache() / kind / digest[:32]


def mark_used(entry: Path) -> None:
    """Note in an entry's time of modification that a run uses it now.

    Reading leaves no trace where disks are mounted without access times.
    """
    with contextlib.suppress(OSError):  # a cache that is shared, and not ours to write
        os.utime(entry)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits; a process reads each file once."""
    status = path.stat()
    return _hash(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _hash(path: Path, *_identity: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_tree(directory: Path) -> dict[str, str]:
    """The hash of each file below ``directory`` but the manifest, by its relative path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    hashes = {path.relative_to(directory).as_posix(): hash_file(path) for path in files}
    hashes.pop(MANIFEST, None)
    return hashes


def read_entry(entry: Path) -> dict[str, Any] | None:
    """The facts kept with ``entry``; None where it is not there or is not what was built."""
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        files, facts = manifest["files"], manifest["facts"]
        return facts if isinstance(facts, dict) and files == hash_tree(entry) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def build_entry(entry: Path, build: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Has ``build`` fill an empty directory, moves it to ``entry`` and gives ``build``'s facts.

    Where ``build`` raises or is interrupted, nothing is left and a former entry stays. Where
    another process has put a sound entry in place meanwhile, that one is kept.
    """
    with staging(entry) as fresh:
        facts = build(fresh)
        manifest = {"facts": facts, "files": hash_tree(fresh)}
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        (fresh / MANIFEST).write_text(text, encoding="utf-8")
        with replaceable(entry):
            present = read_entry(entry)
            if present is not None:
                return present
            put_in_place(fresh, entry)
    return facts


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Path]:
    """An empty directory to build ``target`` in, beside it; what is left of it goes with the block.

    It lies in one whose name begins with a dot, and which is locked as long as this process lives: what
    a killed process leaves is known by that, and removed by :func:`sweep`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{target.name[:12]}.", dir=target.parent))
    try:
        with _locked(place):
            fresh = place / "fresh"
            fresh.mkdir()
            yield fresh
    finally:
        shutil.rmtree(place, ignore_errors=True)


def replaceable(target: Path) -> contextlib.AbstractContextManager[bool]:
    """In the block no other process puts an entry beside or in the place of ``target``."""
    return _locked(target.parent)


def put_in_place(fresh: Path, target: Path) -> None:
    """Move what was built in :func:`staging` to ``target``; a former entry goes with the staging.

    To be called in :func:`replaceable`. Files are on the disk before their names are.
    """
    for path in fresh.rglob("*"):
        if path.is_file():
            _sync(path)
    if target.exists():
        target.rename(fresh.with_name("former"))
    fresh.rename(target)
    _sync(target.parent)


def sweep() -> None:
    """Remove what killed processes have left half-built in the cache; never what a live one builds."""
    for place in cache_root().glob("*/.*"):
        with contextlib.suppress(OSError):
            # Between a directory's making and its locking is an instant.
            if not place.is_dir() or time.time() - place.stat().st_mtime < _YOUNG:
                continue
            with _locked(place, wait=False) as free:
                if free:
                    shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(directory: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a directory; False where it is another's, or there are no locks here.

    The kernel gives it up with this process, however that ends.
    """
    if fcntl is None:
        yield False
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:  # another's, or a file system without (some of a network)
            held = False
        yield held
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    """Have the disk write a file, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
