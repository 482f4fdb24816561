"""The errors that a user can mend, and the exit status that each has."""

from __future__ import annotations


class UserError(Exception):
    """The input is wrong. The text is one line: what is wrong, where, and what to do (status 2)."""


class _AfterReport(Exception):
    """An error of a run; ``directory`` is where its report is, if one was written."""

    def __init__(self, message: str, directory: str | None = None) -> None:
        super().__init__(message)
        self.directory = directory


class RunFailed(_AfterReport):
    """The run could not be finished, or some of its cells failed (status 1)."""


class GateFailed(_AfterReport):
    """The run finished, its report is written, and a gate says no (status 3)."""
