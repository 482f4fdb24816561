"""Prefect's API, where it does not answer: a line for people instead of a chain of tracebacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path


def not_answering(error: BaseException) -> str | None:
    """What to say where ``error`` came of an API that does not answer; None where it did not."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if url is None:
        return None
    ours = httpx.URL(url).netloc
    # Not any server: a model's hub is asked by the same library.
    if not any(isinstance(e, httpx.TransportError) and _asked(e) == ours for e in _chain(error)):
        return None
    return (
        f"Prefect's API at {url} does not answer: start its server (prefect server start), "
        "or unset PREFECT_API_URL to run without one"
    )


def check_server() -> tuple[str | None, str | None]:
    """Address of Prefect's API, None without one; and why it does not answer, None where it does."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        return None, None
    try:
        code = httpx.get(f"{url.rstrip('/')}/health", timeout=5, follow_redirects=True).status_code
    except httpx.HTTPError as error:
        return url, str(error) or type(error).__name__
    # An API with authentication refuses this question, and is there.
    return url, None if code in (200, 401, 403) else f"answers with status {code}"


def silence() -> None:
    """Let the line just written be the last: until the process ends, Prefect's threads would go on to
    say what they cannot send. The descriptor is closed to them, since a record may be on its way already.
    """
    sys.stderr.flush()
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stderr.fileno())


def _asked(error: object) -> bytes | None:
    """Host and port that a request went to, if the error knows it."""
    try:
        return error.request.url.netloc  # type: ignore[attr-defined, no-any-return]
    except RuntimeError:
        return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
