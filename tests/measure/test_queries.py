"""Candidates of a query are one batch, whatever the order, the limit, and the choice to time."""

from __future__ import annotations

import numpy as np

from ptdq.measure.queries import choose_timing_queries, query_batches, query_order

QUERIES = ["b", "a", "b", "c", "a", "b", "c", "c", "d"]


def test_queries_stay_together_in_any_order() -> None:
    whole = {"a": [1, 4], "b": [0, 2, 5], "c": [3, 6, 7], "d": [8]}
    orders = set()
    for seed in range(20):
        order = query_order(QUERIES, seed, None)
        assert sorted(order) == list(range(len(QUERIES)))
        batches = query_batches([QUERIES[place] for place in order])
        assert [order[batch.start : batch.stop].tolist() for batch in batches] == [
            whole[QUERIES[order[batch.start]]] for batch in batches
        ]
        orders.add(tuple(order))
    assert len(orders) > 5


def test_a_limit_cuts_no_query() -> None:
    for seed in range(10):
        order = query_order(QUERIES, seed, 4)
        assert 4 <= len(order) <= 6
        chosen = {QUERIES[place] for place in order}
        assert len(order) == sum(query in chosen for query in QUERIES)


def test_whole_queries_are_timed() -> None:
    queries = [f"q{n // 5}" for n in range(100)]
    tokens = np.arange(100) + 10
    chosen = choose_timing_queries(tokens, queries, 20, 0)
    assert len(chosen) == 20
    assert len({queries[place] for place in chosen}) == 4
    assert abs(tokens[chosen].mean() - tokens.mean()) < 10
