"""What a person sees of a run while it goes on: one line of progress, and what they should know now.

All else that is written on standard error, by this process, its libraries or its children, goes to a file
meanwhile: the run's log, once the run has a directory. It is done with the descriptor, since lines come
from loggers, warnings, progress bars, C++ and other processes alike.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ptdq.errors import UserError

_STDERR = 2
_LINE_EVERY = 60.0
"""Seconds between two lines of progress, where there is no terminal to draw a bar on."""


class Terminal:
    """The display of a run, on what was standard error.

    A bar where that is a terminal; lines elsewhere, of stages and, now and then, of what is done. It is
    drawn only when something has changed: cores that measure have no time for it.

    Args:
        console: where it is shown.
        log: what standard error goes to meanwhile, to be read.
    """

    def __init__(self, console: Console, log: IO[bytes]) -> None:
        self._console, self._log = console, log
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[done]}"),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None, done="")
        self._stage = ""
        self._begun = self._shown = time.monotonic()
        self.kept: Path | None = None

    def stage(self, words: str) -> None:
        """The run has come to a stage."""
        if words != self._stage:
            self._stage = words
            self._begun = self._shown = time.monotonic()
            self._draw(0, None, "")
            if not self._console.is_terminal:
                self._line(words)

    def doing(self, words: str) -> None:
        """What exactly is done in the stage: at once on a bar, elsewhere now and then."""
        self._draw(0, None, words)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._shown >= _LINE_EVERY / 4:
            self._shown = now
            self._line(f"{self._stage}: {words}")

    def progress(self, words: str, done: float, total: float, what: str) -> None:
        """How far a stage is, in units of work and in words; the time left follows from both."""
        self.stage(words)
        now = time.monotonic()
        what += _left(now - self._begun, done, total)
        self._draw(done, total, what)
        if not self._console.is_terminal and now - self._shown >= _LINE_EVERY:
            self._shown = now
            self._line(f"{words}: {what}")

    def note(self, text: str) -> None:
        """Something that the person should know now."""
        self._line(f"note: {text}")

    def keep(self, path: Path) -> None:
        """Keep the log in this file from now on, with what was logged before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            shutil.copyfileobj(self._log, log)
            log.flush()
            os.dup2(log.fileno(), _STDERR)
        self.kept = path

    def unkept(self) -> str:
        """What was logged and no file has kept."""
        return self._log.read().decode(errors="replace")

    def start(self) -> None:
        """Take the terminal."""
        self._bar.start()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()
        if self.kept is not None:  # children that were there before may have said more
            # A disk that is full or read-only now: what ended the run is to be said, and not this.
            with suppress(OSError), self.kept.open("ab") as log:
                shutil.copyfileobj(self._log, log)

    def _draw(self, done: float, total: float | None, what: str) -> None:
        self._bar.update(
            self._task, description=self._stage, completed=done, total=total, done=what, refresh=True
        )

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


_current: ContextVar[Terminal | None] = ContextVar("terminal", default=None)


def current() -> Terminal | None:
    """The display of the run that calls this; None where it has none, as in a deployment."""
    return _current.get()


def keep(path: Path) -> None:
    """Keep the log of the run, where there is a display, in this file."""
    terminal = current()
    if terminal is not None:
        terminal.keep(path)


def stage(words: str) -> None:
    """Show, where there is a display, what the run does now."""
    terminal = current()
    if terminal is not None:
        terminal.stage(words)


def doing(words: str) -> None:
    """Show, where there is a display, what exactly is done in the stage."""
    terminal = current()
    if terminal is not None:
        terminal.doing(words)


@contextmanager
def calm() -> Iterator[Terminal]:
    """Within the block standard error goes to a log, and the terminal shows the display."""
    sys.stderr.flush()
    before = os.dup(_STDERR)
    with (
        os.fdopen(before, "w", encoding="utf-8", errors="replace") as shown,
        tempfile.NamedTemporaryFile() as log,
        Path(log.name).open("ab") as written,
    ):
        terminal = Terminal(Console(file=shown), log)
        os.dup2(written.fileno(), _STDERR)
        token = _current.set(terminal)
        terminal.start()
        try:
            yield terminal
        except Exception as error:
            # What led to it is in no run's directory.
            if terminal.kept is None and not isinstance(error, UserError):
                shown.write(terminal.unkept())
            raise
        finally:
            terminal.stop()
            _current.reset(token)
            sys.stderr.flush()
            os.dup2(shown.fileno(), _STDERR)


def _left(seconds: float, done: float, total: float) -> str:
    """The time that is left, as a person would say it; nothing while too little is done to tell."""
    if done < total * 0.02 or done >= total:
        return ""
    left = seconds * (total - done) / done
    if left < 90:
        return f", about {max(10, round(left / 10) * 10):.0f} s left"
    return f", about {left / 60:.0f} min left" if left < 5400 else f", about {left / 3600:.1f} h left"
