"""Quality of rankings: the candidates of each query, in the order of their scores.

Of candidates with the same score the less relevant one comes first: a model that gives all of them the
same score has ranked nothing, whatever their order in the file.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from .resampling import Floats, Ints
from .weighted import Rows, Score, Scorer, weighted_mean

CUTOFF = 10
"""Places of a ranking that count."""


def names(recall_at: int = CUTOFF) -> tuple[str, ...]:
    """Names of the columns of :func:`by_query`."""
    return ("ndcg_at_10", "mrr_at_10", f"recall_at_{recall_at}")


def by_query(relevance: Floats, scores: Floats, queries: Ints, recall_at: int = CUTOFF) -> Floats:
    """NDCG@10, reciprocal rank within 10 and recall@k of each query, [Q, 3], as :func:`names` has them.

    NDCG has the relevance itself as gain, and the logarithm of the place plus one to base 2 as discount
    (K. Järvelin and J. Kekäläinen, ACM TOIS 20 (2002), as trec_eval computes it). The reciprocal rank is
    that of the first relevant candidate (E. M. Voorhees, TREC-8 (1999)), 0 where it is beyond the tenth
    place. Recall is the share of the relevant candidates within the first k places. A candidate is
    relevant where its relevance is over 0.

    Args:
        relevance: of each candidate [N], 0 or more.
        scores: of each candidate [N].
        queries: query of each candidate [N], 0 to Q - 1.
        recall_at: k, places that count for the recall.

    Returns:
        nan for a query without a relevant candidate, of which a ranking cannot be good or bad.
    """
    discounts = 1 / np.log2(np.arange(2, CUTOFF + 2))
    rows = np.full((int(queries.max()) + 1, len(names())), np.nan)
    for query, places in enumerate(_places(queries)):
        gains = relevance[places]
        if not (gains > 0).any():
            continue
        whole = gains[np.lexsort((gains, -scores[places]))]
        ranked, best = whole[:CUTOFF], np.sort(gains)[::-1][:CUTOFF]
        first = np.flatnonzero(ranked > 0)
        rows[query] = (
            float(ranked @ discounts[: len(ranked)]) / float(best @ discounts[: len(best)]),
            1 / (1 + first[0]) if len(first) else 0.0,
            float((whole[:recall_at] > 0).sum()) / float((gains > 0).sum()),
        )
    return rows


def rank_agreement(one: Floats, other: Floats, queries: Ints) -> Floats:
    """Kendall's tau-b of two scorings of each query's candidates [Q]; nan where one orders nothing.

    Args:
        one: scores [N].
        other: scores [N].
        queries: query of each candidate [N], 0 to Q - 1.
    """
    agreements = np.full(int(queries.max()) + 1, np.nan)
    for query, places in enumerate(_places(queries)):
        if len(places) > 1 and np.ptp(one[places]) > 0 and np.ptp(other[places]) > 0:
            agreements[query] = kendalltau(one[places], other[places]).statistic
    return agreements


def mean_of(column: int) -> Scorer:
    """The mean over queries of a column of :func:`by_query`; what is true is in it already."""

    def make(truth: Floats, answers: Floats) -> Score:
        return weighted_mean(answers[:, column])

    return make


def scorers(recall_at: int = CUTOFF) -> dict[str, Scorer]:
    """The mean of each column of :func:`by_query`, by its name."""
    return {name: mean_of(column) for column, name in enumerate(names(recall_at))}


def unseen(width: int = len(names())) -> Rows:
    """A query that the baseline ranks rightly and the variant wrongly, by every score."""
    return Rows(np.ones((1, width)), np.ones((1, width)), np.zeros((1, width)))


def _places(queries: Ints) -> list[Ints]:
    """Places of the candidates of each query."""
    order = np.argsort(queries, kind="stable")
    return np.split(order, np.cumsum(np.bincount(queries))[:-1])
