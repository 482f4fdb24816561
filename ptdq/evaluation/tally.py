"""What a shard adds to the quality of an evaluation, and what all of them add up to, for each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.problem.task import OF_CLASSES, Task
from ptdq.statistics import multi_label, ranking, regression
from ptdq.statistics.quality import ClassMetrics, Quality, measure_counts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ReadAnswers = Callable[[], tuple[Floats, Floats]]
"""Gives what is true of all documents [N], and what was answered [N]."""


@dataclass(frozen=True)
class Scores:
    """Quality of an evaluation.

    Attributes:
        documents: how many there are.
        queries: of a reranker, how many there are.
        measures: of the task, by name, the main one first.
        classes: of each class or label.
        confusion: documents by label and prediction [classes, classes], where each has one class.
        whole: all figures, where each document has one class.
    """

    documents: int
    measures: dict[str, float]
    queries: int | None = None
    classes: tuple[ClassMetrics, ...] = ()
    confusion: Sequence[Sequence[int]] = ()
    whole: Quality | None = None


def classes_predicted(task: Task, logits: NDArray[np.float32], cut: float | None) -> Ints | None:
    """Class of each document [N]; None where the task has none."""
    if task not in OF_CLASSES:
        return None
    if cut is None:
        best: Ints = logits.argmax(axis=1).astype(np.int64)
        return best
    return (logits[:, 0] > cut).astype(np.int64)


def tally(
    task: Task, documents: pa.Table, logits: NDArray[np.float32], cut: float | None, recall_at: int
) -> Floats:
    """What is added up over shards.

    Args:
        task: what the model answers.
        documents: of the shard, with what is true of them.
        logits: of each [N, outputs].
        cut: output over which a label is given, where the task has a threshold.
        recall_at: k of recall@k.

    Returns:
        The confusion matrix [classes, classes]; counts of each label, and in the last column those of
        documents and of those with exactly the right labels [3, labels + 1]; documents, queries, those
        of them that can be judged, and sums of their measures [1, 6]; or the number of documents [1, 1].
    """
    predicted = classes_predicted(task, logits, cut)
    if predicted is not None:
        classes = 2 if logits.shape[1] == 1 else logits.shape[1]
        confusion = np.zeros((classes, classes))
        np.add.at(confusion, (documents["label"].to_numpy(), predicted), 1)
        return confusion
    truth = targets_of(documents)
    if task == "multi-label":
        given = (logits > (cut or 0.0)).astype(np.float64)
        own = [[len(given)], [(truth == given).all(axis=1).sum()], [0]]
        return np.concatenate([multi_label.label_counts(truth, given), np.array(own, np.float64)], axis=1)
    if task == "rerank":
        queries = np.unique(documents["group"].to_numpy(), return_inverse=True)[1]
        found = ranking.by_query(truth[:, 0], logits[:, 0].astype(np.float64), queries, recall_at)
        judged = found[np.isfinite(found[:, 0])]
        return np.array([[len(truth), len(found), len(judged), *judged.sum(axis=0)]], np.float64)
    return np.array([[len(truth)]], np.float64)


def targets_of(documents: pa.Table) -> Floats:
    """What is true of documents whose task has no classes [N, T]."""
    flat = documents["target"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(documents.num_rows, -1).astype(np.float64)  # type: ignore[no-any-return]


def scores_of(task: Task, total: Floats, recall_at: int, read_answers: ReadAnswers) -> Scores:
    """Quality of all documents.

    Args:
        task: what the model answers.
        total: the sum of the shards' :func:`tally`.
        recall_at: k of recall@k.
        read_answers: called for the task whose measures do not add up: correlations.
    """
    if task in OF_CLASSES:
        confusion = total.astype(np.int64)
        found = measure_counts(confusion)
        measures = {"f1_weighted": found.weighted_f1, "accuracy": found.accuracy}
        return Scores(found.documents, measures, None, found.classes, confusion.tolist(), found)
    if task == "multi-label":
        counts, (documents, exact, _) = total[:, :-1], total[:, -1]
        labels = multi_label.by_counts(counts)
        measures = {
            "f1_micro": multi_label.micro_of_counts(counts),
            "f1_macro": float(np.mean([label.f1 for label in labels])),
            "subset_accuracy": float(exact / documents),
        }
        return Scores(int(documents), measures, None, labels)
    if task == "rerank":
        documents, queries, judged, *sums = total[0]
        means = [float(value / judged) for value in sums]
        names = ranking.names(recall_at)
        return Scores(int(documents), dict(zip(names, means, strict=True)), int(queries))
    truth, answers = read_answers()
    one = np.ones((1, len(truth)))
    scorers = regression.SCORERS.items()
    return Scores(len(truth), {name: float(make(truth, answers)(one)[0]) for name, make in scorers})
