"""The tasks: what a model answers, what is measured of it, and which task a configuration tells of.

A new task is a line in each table here, the reading of its labels (:mod:`ptdq.inputs.targets`), and what
is compared (:mod:`ptdq.analysis.measures`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ptdq.errors import UserError
from ptdq.problem.pairs import is_cross_encoder

Task = Literal["single-label", "binary", "multi-label", "regression", "rerank"]
TASKS: tuple[Task, ...] = get_args(Task)
SINGLE: Task = "single-label"

OF_CLASSES: tuple[Task, ...] = ("single-label", "binary")
"""Those in which a document has one class and is given one."""

WITH_THRESHOLD: tuple[Task, ...] = ("binary", "multi-label")
"""Those in which a label is given where its probability is over a threshold."""

WORDS: dict[Task, str] = {
    "single-label": "single-label: one class of several",
    "binary": "binary: one output, yes or no",
    "multi-label": "multi-label: any number of labels",
    "regression": "regression: a number",
    "rerank": "rerank: the candidates of a query in order",
}


@dataclass(frozen=True)
class Measure:
    """A figure of quality.

    Attributes:
        words: its name in the field's words.
        lower: whether less of it is better.
        kept: whether a variant must keep its share of the baseline's.
    """

    words: str
    lower: bool = False
    kept: bool = False


MEASURES: dict[Task, dict[str, Measure]] = {
    "single-label": {"f1_weighted": Measure("weighted F1", kept=True)},
    "binary": {"f1_weighted": Measure("weighted F1", kept=True)},
    "multi-label": {
        "f1_micro": Measure("micro F1", kept=True),
        "f1_macro": Measure("macro F1", kept=True),
        "subset_accuracy": Measure("subset accuracy"),
    },
    "regression": {
        "spearman": Measure("Spearman", kept=True),
        "pearson": Measure("Pearson", kept=True),
        "mean_absolute_error": Measure("mean absolute error", lower=True),
    },
    "rerank": {
        "ndcg_at_10": Measure("NDCG@10", kept=True),
        "mrr_at_10": Measure("MRR@10"),
        "recall_at_k": Measure("recall@k"),
        "kendall_tau": Measure("Kendall's tau against the baseline's ranking"),
    },
}
"""Of each task, by name; the first is the main one, which ``max_quality_drop`` is about. The ``k`` of a
name is a parameter: see :func:`words_of`."""

RECALL = "recall_at_"
RECALL_AT = 10
"""Places of a ranking in which recall@k looks for what is relevant, if nothing else is asked for."""


@dataclass(frozen=True)
class Found:
    """What a configuration says.

    Attributes:
        task: None where it does not say.
        why: the reason, in words.
    """

    task: Task | None
    why: str


def main_measure(task: Task) -> str:
    """Name of the measure that gates and tables are about."""
    return next(iter(MEASURES[task]))


def words_of(task: Task, name: str) -> str:
    """A measure in the field's words, by its name in tables, where k is a number."""
    if name.startswith(RECALL):
        return f"recall@{name.removeprefix(RECALL)}"
    measure = MEASURES[task].get(name)
    return name if measure is None else measure.words


def find_task(outputs: int, config: Mapping[str, Any]) -> Found:
    """The task that a configuration tells of.

    Args:
        outputs: of the head, its ``num_labels``.
        config: keys and values of ``config.json``.
    """
    kind = config.get("problem_type")
    said = f"problem_type {kind}, {outputs} output{'s' * (outputs != 1)}"
    if kind == "multi_label_classification":
        # With one output it is one label, there or not: a sigmoid that is cut at a threshold.
        return Found("multi-label" if outputs > 1 else "binary", said)
    if kind == "regression":
        return Found("regression" if outputs == 1 else None, said)
    if outputs > 1:
        return Found(SINGLE, said if kind else f"{outputs} outputs")
    if is_cross_encoder(config):
        return Found("rerank", "one output, and the configuration of a cross-encoder")
    return Found(None, "one output, and no problem_type")


def choose_task(model: str, outputs: int, found: Found, asked: Task | None) -> Task:
    """The task that a model is measured at.

    Args:
        model: its name.
        outputs: of its head.
        found: what its configuration says.
        asked: what the parameter says.

    Raises:
        UserError: nobody says, or the head cannot do it.
    """
    task = asked or found.task
    if task is None:
        fitting = " or ".join(each for each in TASKS if _fits(each, outputs))
        raise UserError(
            f"task: model {model} does not say what it answers ({found.why}); say it with --task "
            f"({fitting or 'none fits so many outputs'})"
        )
    if not _fits(task, outputs):
        needs = "more than one output" if task in (SINGLE, "multi-label") else "one output"
        raise UserError(f"task {task}: it needs {needs}, and model {model} has {outputs}")
    return task


def _fits(task: Task, outputs: int) -> bool:
    return (outputs > 1) == (task in (SINGLE, "multi-label"))


def logit(probability: float) -> float:
    """The output whose sigmoid is a probability between 0 and 1."""
    return math.log(probability / (1 - probability))


def names_of(task: Task, class_names: list[str]) -> list[str]:
    """Names of the classes, by id: those of the model, and for one output both of its answers."""
    if task != "binary" or len(class_names) != 1:
        return class_names
    (name,) = class_names
    return ["0", "1"] if name.startswith("LABEL_") else [f"not {name}", name]
