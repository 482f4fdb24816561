"""Successive halving: many are timed on a few documents, the faster half of them on more.

Jamieson and Talwalkar, 2016, "Non-stochastic best arm identification and hyperparameter optimization"
(https://arxiv.org/abs/1502.07943): what is bad is cheap, since it is never timed for long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

DOCUMENTS = (8, 16, 32)
"""Of the rungs; those that are left last are timed on the most."""
TURNS = 3
"""Times that those of the last rung are timed, in turn; the least counts: what disturbs adds to it."""

Times = dict[str, list[float]]
"""By entrant, milliseconds of a document in each rung that it was in."""


def race(
    entrants: Sequence[str],
    time_of: Callable[[str, int], float | None],
    go_on: Callable[[], bool],
    documents: Sequence[int] = DOCUMENTS,
) -> Times:
    """Time entrants in rungs until one is left, the documents or the time are used up.

    Args:
        entrants: what is timed, the most promising first.
        time_of: milliseconds of a document, on so many; None where it cannot be timed, and is out.
        go_on: whether there is time for one more.
        documents: of each rung.

    Returns:
        The times, of those that have any; :func:`fastest` says who has won.
    """
    times: Times = {}
    left = list(entrants)
    for rung, count in enumerate(documents):
        found: dict[str, float] = {}
        last = rung == len(documents) - 1
        for name in left * (TURNS if last else 1):
            if not go_on():
                break
            if (took := time_of(name, count)) is not None:
                found[name] = min(took, found.get(name, took))
        complete = len(found) == len(left)
        # A rung that was broken off compares nothing, but for the first: there is nothing else.
        if rung and not complete and not go_on():
            break
        for name, took in found.items():
            times.setdefault(name, []).append(took)
        left = sorted(found, key=lambda name: found[name])
        if len(left) < 2 or not go_on():
            break
        if rung < len(documents) - 1:
            left = left[: max(2, -(-len(left) // 2))]
    return times


def fastest(times: Times) -> str | None:
    """Who came furthest, and of those who was fastest there; None where nobody was timed."""
    if not times:
        return None
    return min(times, key=lambda name: (-len(times[name]), times[name][-1]))
