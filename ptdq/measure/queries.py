"""Candidates of a query stay together: they are one batch, as a reranker serves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptdq.measure.selection import choose_timing_documents


def query_order(queries: Sequence[str], seed: int, limit: int | None) -> NDArray[np.int64]:
    """Places of the candidates, query after query in random order; of a query in that of the file.

    Args:
        queries: query of each candidate [N].
        seed: of the order.
        limit: candidates that are enough: queries beyond are left out, and none is cut.
    """
    places = _places(queries)
    order = [places[index] for index in np.random.default_rng(seed).permutation(len(places))]
    if limit is not None:
        taken = np.cumsum([len(each) for each in order])
        order = order[: int(np.searchsorted(taken, limit)) + 1]
    return np.concatenate(order)


def query_batches(queries: Sequence[str]) -> list[range]:
    """Neighbours of the same query, as ranges."""
    changes = [place for place in range(1, len(queries)) if queries[place] != queries[place - 1]]
    return [range(*ends) for ends in zip([0, *changes], [*changes, len(queries)], strict=True)]


def choose_timing_queries(
    tokens: ArrayLike, queries: Sequence[str], count: int, seed: int
) -> NDArray[np.int64]:
    """Candidates of queries whose tokens in all stand for those of all queries.

    Args:
        tokens: tokens of each candidate [N].
        queries: query of each [N].
        count: about how many candidates to choose; of whole queries.
        seed: of the choice among queries of equal length.

    Returns:
        Their indices, ascending.
    """
    places, lengths = _places(queries), np.asarray(tokens)
    wanted = max(1, round(count * len(places) / len(lengths)))
    chosen = choose_timing_documents([int(lengths[each].sum()) for each in places], wanted, seed)
    return np.sort(np.concatenate([places[index] for index in chosen]))


def _places(queries: Sequence[str]) -> list[NDArray[np.int64]]:
    """Places of the candidates of each query, the query that comes first in front."""
    places: dict[str, list[int]] = {}
    for place, query in enumerate(queries):
        places.setdefault(query, []).append(place)
    return [np.array(each, np.int64) for each in places.values()]
