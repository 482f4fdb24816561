"""Errors with a message for the user, as Failed states, which have no traceback."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec

from httpx import TransportError
from prefect.client.schemas.objects import State
from prefect.states import Failed

from ptdq.errors import GateFailed, RunFailed, UserError, disk_full

P = ParamSpec("P")


def failed(error: UserError | RunFailed | GateFailed) -> State[Any]:
    """The state of what ended with an error; whoever asks for its result gets the error."""
    state: State[Any] = Failed(message=str(error), data=error)
    return state


def plain_failure(function: Callable[P, Any]) -> Callable[P, Any]:
    """Let a task end as Failed with one line where the error has a message for the user."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return function(*args, **kwargs)
        except (UserError, RunFailed) as error:
            return failed(error)
        except OSError as error:
            full = disk_full(error)
            if full is None:
                raise
            return failed(full)

    return wrapper


def server_away(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether a task failed because the Prefect server could not be reached."""
    return isinstance(state.data, TransportError)


class _NoEmptyTraceback(logging.Filter):
    """Prefect logs a Failed state with ``exc_info`` of no exception: a line "NoneType: None"."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is None:
            record.exc_info = None
        return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_NoEmptyTraceback())
