"""Answers of two models to the same documents, ready to be compared by every measure of a task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptdq.problem.task import RECALL_AT, Task
from ptdq.statistics import multi_label, ranking, regression
from ptdq.statistics.resampling import Sampling
from ptdq.statistics.weighted import SAMPLING, Paired, Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TAU = "kendall_tau"
LOWER = frozenset({"mean_absolute_error"})


@dataclass(frozen=True)
class Asked:
    """What documents are, at a task that gives them no class.

    Attributes:
        task: none of those of classes.
        truth: what is true of each document [N, T].
        groups: group of each [N]; of a reranker its query, 0 to Q - 1.
        recall_at: k of recall@k.
        sampling: resamples.
    """

    task: Task
    truth: Floats
    groups: Ints
    recall_at: int = RECALL_AT
    sampling: Sampling = SAMPLING


def value_of(asked: Asked, name: str, answers: Floats) -> float:
    """One model's value by a measure, its name as :func:`pair` has it; not of Kendall's tau."""
    if asked.task == "rerank":
        found = ranking.by_query(asked.truth[:, 0], answers, asked.groups, asked.recall_at)
        return float(np.nanmean(found[:, ranking.names(asked.recall_at).index(name)]))
    of_labels = asked.task == "multi-label"
    scorer = (multi_label.SCORERS if of_labels else regression.SCORERS)[name]
    truth = asked.truth if of_labels else asked.truth[:, 0]
    return float(scorer(truth, answers)(np.ones((1, len(truth))))[0])


def pair(asked: Asked, old: Floats, new: Floats) -> Paired:
    """Two models' answers to the same documents, as :func:`~ptdq.problem.answers.answers_of` has them."""
    truth, groups, sampling = asked.truth, asked.groups, asked.sampling
    if asked.task == "multi-label":
        rows = Rows(truth, old, new)
        unseen = multi_label.unseen(truth)
        return Paired(rows, unseen, multi_label.SCORERS, groups, sampling=sampling)
    if asked.task == "regression":
        rows = Rows(truth[:, 0], old, new)
        unseen = regression.unseen(rows.truth)
        return Paired(rows, unseen, regression.SCORERS, groups, lower=LOWER, sampling=sampling)
    return _rankings(asked, old, new)


def _rankings(asked: Asked, old: Floats, new: Floats) -> Paired:
    """A document is a query here: what is resampled are queries, those of them that can be judged."""
    places, queries = asked.recall_at, asked.groups
    of_old, of_new = (ranking.by_query(asked.truth[:, 0], each, queries, places) for each in (old, new))
    tau = ranking.rank_agreement(old, new, queries)
    # A variant that orders nothing agrees with nothing; of a single candidate there is one order.
    tau = np.where(np.isnan(tau), (np.bincount(queries) == 1).astype(np.float64), tau)
    some = np.isfinite(of_old[:, 0])
    # The baseline's ranking agrees with itself: a column more, of ones.
    before = np.column_stack([of_old, np.ones(len(tau))])[some]
    after = np.column_stack([of_new, tau])[some]
    rows = Rows(np.zeros_like(before), before, after)
    scorers = ranking.scorers(places) | {TAU: ranking.mean_of(of_old.shape[1])}
    return Paired(rows, ranking.unseen(before.shape[1]), scorers, sampling=asked.sampling)
