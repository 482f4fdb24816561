"""Prefect's API, where it does not answer: a line for people instead of a chain of tracebacks."""

from __future__ import annotations

from collections.abc import Iterator


def not_answering(error: BaseException) -> str | None:
    """What to say where ``error`` came of an API that does not answer; None where it did not."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if url is None or not any(isinstance(cause, httpx.TransportError) for cause in _chain(error)):
        return None
    return (
        f"Prefect's API at {url} does not answer: start its server (prefect server start), "
        "or unset PREFECT_API_URL to run without one"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
