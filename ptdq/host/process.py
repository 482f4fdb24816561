"""Child processes that end when they should: at their end, a time limit, a cancel, or our death.

The parent neither polls nor spins while a child runs: it sleeps in the kernel until the child says
something or ends, since it may share a core with a measurement.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import site
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from ptdq.errors import RunFailed
from ptdq.host.child import PARENT
from ptdq.host.machine import cap_variables
from ptdq.store.disk import write_json

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# A user's shell may set these; they would move or bind threads behind the worker's back.
_STRIPPED = ("GOMP_", "KMP_", "OMP_", "MKL_", "PYTHONSTARTUP")


class _Children:
    """The children that live, of one run; once it has ended, none is alive and none starts any more."""

    def __init__(self) -> None:
        self.ended = False
        self._live: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def start(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """A child, unless the run has ended: then RunFailed."""
        # Under the lock: an end that comes meanwhile waits, and then finds this child.
        with self._lock:
            if self.ended:
                raise RunFailed(ENDED)
            child = start()
            self._live[child.pid] = child
            return child

    def reaped(self, child: subprocess.Popen[bytes]) -> None:
        """The child is gone."""
        with self._lock:
            self._live.pop(child.pid, None)

    def end(self) -> None:
        """Kill those that live, and let no other start."""
        with self._lock:
            self.ended = True
            children = list(self._live.values())
        for child in children:
            _kill(child)
        for child in children:
            child.wait()


ENDED = "ended with its run, which was cancelled or failed or exceeded its time limit"

_NO_RUN = _Children()

# Tasks are submitted with a copy of the context of their flow, so its children are theirs too.
_children: ContextVar[_Children] = ContextVar("_children", default=_NO_RUN)


@contextlib.contextmanager
def own_children() -> Iterator[None]:
    """No child that is started in the block, also by threads with its context, outlives it.

    A thread that comes too late to be waited for starts none: it gets RunFailed.
    """
    children = _Children()
    token = _children.set(children)
    try:
        yield
    finally:
        children.end()
        _children.reset(token)


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        returncode: exit status; negative for a signal, as in :mod:`subprocess`.
        timed_out: it was killed because it exceeded its time limit.
        seconds: wall time from start to end.
        log_tail: the last lines of its standard error.
        with_run: it was killed because its run ended.
    """

    returncode: int
    timed_out: bool
    seconds: float
    log_tail: str
    with_run: bool = False

    @property
    def reason(self) -> str | None:
        """One line that says why it failed; None where it did not."""
        if self.timed_out:
            return f"exceeded its time limit, killed after {self.seconds:.0f} s"
        if self.with_run:
            return ENDED
        if self.returncode == -signal.SIGKILL:
            return "killed by SIGKILL (by hand, or by the kernel for lack of memory: see dmesg)"
        if self.returncode < 0:
            return f"killed by {signal.Signals(-self.returncode).name}"
        if self.returncode > 0:
            last = self.log_tail.strip().splitlines()
            return last[-1] if last else f"exit status {self.returncode}, nothing in its log"
        return None


def search_path() -> str:
    """``PYTHONPATH`` for children: a user's own modules are found from where the command is run.

    This package is found where it is installed; from a source tree that is not, by its directory, last.
    """
    root = str(Path(__file__).resolve().parents[2])
    bare = root in sys.path and root not in {*site.getsitepackages(), site.getusersitepackages()}
    here = None
    with contextlib.suppress(FileNotFoundError):  # removed while a run goes on, which needs it no more
        here = str(Path.cwd())
    parts = (os.environ.get("PYTHONPATH"), here, root if bare else None)
    return os.pathsep.join(dict.fromkeys(filter(None, parts)))


def child_environment(threads: int) -> dict[str, str]:
    """The environment of a child that is to use ``threads`` threads, set before torch is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_STRIPPED)}
    return {
        **kept,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        **cap_variables(),
        "TOKENIZERS_PARALLELISM": "false",
        # Everything that a child needs is on disk already.
        "HF_HUB_OFFLINE": "1",
        "PYTHONHASHSEED": "0",
        # Its log is in the order in which things happened, and the last line is why it failed.
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": search_path(),
        "PYTHONSAFEPATH": "1",  # python -m would put the working directory before all others
    }


@dataclass(frozen=True)
class Program:
    """What a child runs.

    Attributes:
        module: dotted name of the module.
        python: interpreter; None: this one.
    """

    module: str
    python: str | None = None


def run_child(
    program: str | Program,
    request: Mapping[str, object],
    request_path: Path,
    log_path: Path,
    *,
    threads: int,
    timeout: float,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Ended:
    """Run ``python -m module request.json`` to its end, and never leave it behind.

    The child is a fresh interpreter (never forked: torch's locks do not survive it) in a session of
    its own. It can be run again by hand with the same request file.

    Args:
        program: dotted name of the module to run, by another interpreter perhaps.
        request: what the child is asked to do; written to ``request_path``.
        request_path: where.
        log_path: gets standard output and error of the child.
        threads: for the environment of the child.
        timeout: seconds after which it is killed.
        on_progress: called with each whole number that the child reports.

    Raises:
        RunFailed: the run has ended meanwhile (see :func:`own_children`); none was started.
    """
    if isinstance(program, str):
        program = Program(program)
    command = [program.python or sys.executable, "-m", program.module, str(request_path)]
    children = _children.get()
    write_json(request_path, dict(request))
    log_path.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    started = time.monotonic()
    timed_out = False
    try:
        with log_path.open("wb") as log:
            try:
                child = children.start(
                    lambda: subprocess.Popen(
                        [*command, str(write_end)],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=child_environment(threads) | {PARENT: str(os.getpid())},
                        pass_fds=(write_end,),
                        start_new_session=True,
                    )
                )
            finally:
                os.close(write_end)
        try:
            timed_out = not _wait(child, read_end, started + timeout, on_progress)
        finally:
            # What is left of its session too, and reap it.
            _kill(child)
            child.wait()
            children.reaped(child)
    finally:
        os.close(read_end)
    text = log_path.read_text(encoding="utf-8", errors="replace")
    tail = "\n".join(text.splitlines()[-20:])
    with_run = children.ended and child.returncode == -signal.SIGKILL
    return Ended(child.returncode, timed_out, time.monotonic() - started, tail, with_run)


def _wait(
    child: subprocess.Popen[bytes],
    read_end: int,
    deadline: float,
    on_progress: Callable[[int], None],
) -> bool:
    """Sleep until the child ends; False if the deadline came first."""
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    # The pipe closes when the child ends, which serves where there are no process descriptors
    # (macOS); with one, a grandchild that holds the pipe open does not matter.
    pidfd = os.pidfd_open(child.pid) if hasattr(os, "pidfd_open") else None
    if pidfd is not None:
        poll.register(pidfd, select.POLLIN)
    try:
        while True:
            left = deadline - time.monotonic()
            ready = {fd for fd, _ in poll.poll(max(0.0, left) * 1000)}
            if read_end in ready:
                data = os.read(read_end, 65536)
                numbers = data.split()
                if numbers:
                    on_progress(int(numbers[-1]))
                if not data:
                    poll.unregister(read_end)
                    if pidfd is None:
                        return True
            if pidfd is not None and pidfd in ready:
                return True
            if left <= 0:
                return False
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def kill_children() -> None:
    """End every child of this run that is alive, and let no other of the run start."""
    children = _children.get()
    children.end()
    if children is _NO_RUN:
        children.ended = False  # outside of a run, what comes next is something else
