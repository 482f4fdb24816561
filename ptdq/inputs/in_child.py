"""Work that builds a model, in a process of its own: the libraries that it loads are gone when that ends.

A model of transformers brings about a hundred megabytes of them, which the parent of a run would keep.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ptdq.errors import RunFailed, UserError
from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import usable_cores
from ptdq.host.process import run_child
from ptdq.store.cache import cache_root
from ptdq.store.disk import read_json, write_json

USER_ERROR_STATUS = 2

_ANSWER = "answer"
"""Of a request: the file that gets what the child found, or the text of an error of the user's."""

_TIMEOUT = 6 * 3600.0
"""Seconds, and no parameter: it ends a child that hangs, and is not to end one that reads a large model.
Seven billion parameters are 28 GB, which a network disk of 10 MB/s takes three quarters of an hour to
read, and as long to write."""


def ask_child(module: str, request: Mapping[str, object], *, doing: str, log_name: str) -> dict[str, Any]:
    """What the program ``module`` answers to a request (see :func:`answer`).

    Args:
        module: dotted name; it calls :func:`answer`.
        request: what it is asked.
        doing: what it does, in words, for the message of a failure.
        log_name: of the file in the cache that gets its output; it stays where the child fails.

    Raises:
        UserError: what it raised, with the same text.
        RunFailed: it failed in another way, or was killed; names its log.
    """
    log = cache_root() / "logs" / f"{log_name}.log"
    with tempfile.TemporaryDirectory(prefix="ptdq-") as scratch:
        path = Path(scratch) / "answer.json"
        ended = run_child(
            module,
            {**request, _ANSWER: str(path)},
            Path(scratch) / "request.json",
            log,
            threads=len(usable_cores()),
            timeout=_TIMEOUT,
        )
        given = read_json(path) if path.is_file() else {}
    # A user's code may also end the process as if all were well.
    reason = ended.reason or (None if "found" in given else "it ended before its work was done")
    rejected = ended.returncode == USER_ERROR_STATUS and "error" in given
    if reason is not None and not rejected:
        raise RunFailed(f"{doing}: {reason}; its log is {log}")
    log.unlink(missing_ok=True)  # of each model one would be left, which nobody asks for
    if rejected:
        raise UserError(given["error"])
    found: dict[str, Any] = given["found"]
    return found


def answer(arguments: list[str], work: Callable[[dict[str, Any]], Mapping[str, Any]]) -> int:
    """The child's side: do the work that the request asks for, and write down what it found.

    Returns:
        The exit status: 2 for an error that the user can mend.
    """
    die_with_parent()
    request, _ = read_request(arguments)
    path = Path(request[_ANSWER])
    try:
        write_json(path, {"found": work(request)})
    except UserError as error:
        print(error, file=sys.stderr)
        write_json(path, {"error": str(error)})  # whole: of the log the parent reads one line
        return USER_ERROR_STATUS
    except Exception:
        traceback.print_exc()
        return 1
    return 0
