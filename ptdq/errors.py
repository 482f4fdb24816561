"""The errors that a user can mend, and the exit status that each has."""

from __future__ import annotations

import errno


class UserError(Exception):
    """The input is wrong. The text is one line: what is wrong, where, and what to do (status 2)."""


def line_of(error: BaseException) -> str:
    """An error in one line: the first of its text, with its type where that says more."""
    text = str(error).strip().splitlines()
    kind = type(error).__name__
    if not text:
        return kind
    return text[0] if isinstance(error, UserError | ImportError) else f"{kind}: {text[0]}"


class _AfterReport(Exception):
    """An error of a run; ``directory`` is where its report is, if one was written."""

    def __init__(self, message: str, directory: str | None = None) -> None:
        super().__init__(message)
        self.directory = directory


class RunFailed(_AfterReport):
    """The run could not be finished, or some of its cells failed (status 1)."""


class DiskFull(RunFailed):
    """There is no room for a file. What was written before is whole, and the run can go on later."""


def disk_full(error: OSError) -> DiskFull | None:
    """The same for the user; None where the error is of another kind."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return DiskFull(f"no space left on the device of {error.filename or 'the results'}")


class GateFailed(_AfterReport):
    """The run finished, its report is written, and a gate says no (status 3)."""
