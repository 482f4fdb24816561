"""Whether the process that works on a run still lives, however it may have ended.

It holds ``flock`` on the run's directory, which the kernel gives up with it: after SIGKILL or SIGHUP, or
where the record could not be written any more, a run that its record calls running is known to be broken
off. No process id is looked for, which another process may have by now, or which is of another container.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from ptdq.errors import UserError
from ptdq.store.record_model import ProcessFacts

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_GRACE = 2.0
"""Seconds for which a directory may be locked by somebody who only looks."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> ProcessFacts:
    """This process, for the record of the run that it works on."""
    return ProcessFacts(pid=os.getpid(), node=socket.gethostname(), boot_id=boot_id())


def boot_id() -> str | None:
    """Another one after each start of the system's kernel; None where there is none (macOS)."""
    with contextlib.suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return None


@contextlib.contextmanager
def in_use(directory: Path) -> Iterator[ProcessFacts | None]:
    """In the block the directory is this process's, as others can tell.

    Gives this process; None where the file system has no locks, so that nobody can tell.

    Raises:
        UserError: it is another's.
    """
    if fcntl is None:
        yield None
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield this_process() if _lock(descriptor, directory) else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> bool:
    end = time.monotonic() + _GRACE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise UserError(
                    f"run '{directory.name}': another process is working on it; wait for its end"
                ) from error
            time.sleep(0.05)
        except OSError:
            return False
        else:
            return True


def has_ended(directory: Path, process: ProcessFacts) -> bool:
    """Whether the process that had a directory in use is known to have ended.

    Of one on another machine nothing is known, and on this one everything since the kernel started.
    """
    here = this_process()
    if process.boot_id is None or here.boot_id is None:
        return False
    if process.boot_id != here.boot_id:
        return process.node == here.node
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # it is held; or there are no locks
        return False
    else:
        return True
    finally:
        os.close(descriptor)
