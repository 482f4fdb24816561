"""One benchmark at a time per machine: a lock of the host.

The lock is ``flock`` on one file: ``$PTDQ_LOCK``, else ``/tmp/ptdq.lock``, for all users of the machine.
Where that file belongs to another user, who may be a stranger, it is ``/tmp/ptdq-UID/lock`` instead: then
runs of different users are not kept apart, unless ``PTDQ_LOCK`` names a file that they share. The kernel
releases the lock when the process that holds it ends, however it ends, so nothing has to be cleaned up
after a crash. What is written in the file only says who holds it. Containers and services with a ``/tmp``
of their own share a machine but not this file: set ``PTDQ_LOCK`` to a path that all of them see. Runs
with cores of their own may use a file each.

Nothing about the file is trusted: it must be a regular file with one name, so that neither a pipe can
block us nor a hard link make us empty another file, and its text is shown as plain text.

Where the system has no ``flock`` (Windows), runs are not kept apart, and :attr:`MachineLock.held`
says so.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ptdq.errors import UserError
from ptdq.text import plain

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_REMINDER = 600.0
_GRACE = 1.0
"""Seconds for which a lock without a holder may only be somebody looking at it."""
_LONGEST = 4096
_SHARED = Path("/tmp/ptdq.lock")


def lock_path() -> Path:
    """Where the lock of this machine lies."""
    if chosen := os.environ.get("PTDQ_LOCK"):
        return Path(chosen)
    # Not gettempdir() first: it follows TMPDIR, which differs between users.
    if not _SHARED.parent.is_dir():
        return Path(tempfile.gettempdir()) / _SHARED.name
    if not hasattr(os, "getuid") or _owner(_SHARED) in (None, 0, os.getuid()):
        return _SHARED
    return _own_directory(_SHARED.parent / f"ptdq-{os.getuid()}") / "lock"


def _owner(path: Path) -> int | None:
    """User id of the owner of what has this name; None where nothing has."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def _own_directory(directory: Path) -> Path:
    """A directory that this user alone can write.

    Raises:
        UserError: something else is in its place.
    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise UserError(
            f"lock {directory}: it is not a directory that only you can write; "
            "set PTDQ_LOCK to a file of yours"
        )
    return directory


class MachineLock:
    """The machine's lock; released by :meth:`release`, by ``with``, or by the end of the process."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or lock_path()
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(
        self,
        run_id: str,
        say: Callable[[str], None] = lambda text: None,
        max_wait: float | None = None,
        pause: float = 2.0,
    ) -> None:
        """Wait until no other run has the machine, then hold it; nothing where it is held already.

        Sleeps between tries, so that signals end the wait and the cores stay with the other run.

        Args:
            run_id: this run, for those who wait for it.
            say: told who holds the lock, once for each holder and again every ten minutes.
            max_wait: seconds to wait at most; 0 does not wait.
            pause: seconds between tries.

        Raises:
            UserError: the time is up, or the file cannot be opened.
        """
        if self.held or fcntl is None:
            return
        started = time.monotonic()
        said, said_at = "", started
        while (descriptor := self._try()) is None:
            waited = time.monotonic() - started
            by = holder(self.path)
            if by is None and waited < (_GRACE if max_wait is None else min(_GRACE, max_wait)):
                time.sleep(0.01)  # released just now, or somebody only looks at it
                continue
            who = "a program that is not ptdq" if by is None else describe(by)
            if max_wait is not None and waited >= max_wait:
                raise UserError(
                    f"{who} is using this machine; wait for it, or allow more time (max_wait)"
                )
            if who != said or time.monotonic() - said_at > _REMINDER:
                said, said_at = who, time.monotonic()
                say(f"waiting: {who} is using this machine (lock {self.path})")
            time.sleep(pause if max_wait is None else min(pause, max(0.0, max_wait - waited)))
        self._descriptor = descriptor
        _write(descriptor, run_id)
        if said:
            say(f"the machine is free after {time.monotonic() - started:.0f} s")

    def release(self) -> None:
        """Let the next run have the machine; nothing where the lock is not held."""
        if self._descriptor is not None:
            # Emptied first: text in a lock that nobody holds would be out of date.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _try(self) -> int | None:
        """The locked file, or None while another has it."""
        descriptor = _open(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, somebody may have removed the file and made a new one.
            if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


def _open(path: Path) -> int:
    """The file, made if need be, for every user; never one behind a symbolic link.

    Without O_CREAT where it is there: in a sticky directory, Linux refuses that for files of others.

    Raises:
        UserError: it cannot be opened, or is no regular file of one name.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        for _ in range(10):
            with contextlib.suppress(FileNotFoundError):
                return _regular(os.open(path, flags), path)
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(descriptor, 0o666)  # whatever the umask says
                return descriptor
    except OSError as error:
        raise UserError(
            f"lock {path}: {error.strerror}; set PTDQ_LOCK to a file that you may write"
        ) from error
    raise UserError(f"lock {path}: it keeps being made and removed; set PTDQ_LOCK to another file")


def _regular(descriptor: int, path: Path) -> int:
    """The same descriptor, of a regular file with one name.

    Raises:
        UserError: it is something else; the descriptor is closed.
    """
    status = os.fstat(descriptor)
    # No name at all is a file that was removed since: the next try finds its successor.
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    what = (
        "it has another name (a hard link)"
        if stat.S_ISREG(status.st_mode)
        else "it is not a regular file"
    )
    raise UserError(f"lock {path}: {what}; remove it, or set PTDQ_LOCK to another file")


def _write(descriptor: int, run_id: str) -> None:
    user = ""
    with contextlib.suppress(Exception):  # a container's user may have no name
        user = getpass.getuser()
    text = {
        "run_id": run_id,
        "pid": os.getpid(),
        "user": user,
        "node": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # a full disk does not keep a run from the lock
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(text).encode(), 0)


def holder(path: Path | None = None) -> dict[str, Any] | None:
    """Who holds the lock: run_id, pid, user, node, since; None where nobody does.

    Empty where somebody holds it and has not written yet who.
    """
    path = path or lock_path()
    if fcntl is None:
        return None
    try:
        descriptor = _regular(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), path
        )
    except (OSError, UserError):
        return None
    try:
        # A shared lock for an instant: it fails while the exclusive one is held.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        # Anyone may have written it: text that is nested a thousand times exhausts the parser's stack.
        with contextlib.suppress(OSError, ValueError, RecursionError):
            written = json.loads(os.pread(descriptor, _LONGEST, 0))
            if isinstance(written, dict):
                return written
        return {}
    finally:
        os.close(descriptor)
    return None


def describe(by: dict[str, Any] | None) -> str:
    """The holder in words, as plain text: whoever holds the lock has written it."""
    if not by:
        return "another run"
    text = {name: plain(by.get(name), 80) for name in ("run_id", "pid", "user", "node", "since")}
    return "run {run_id} (pid {pid} of {user} on {node}, since {since})".format(**text)
