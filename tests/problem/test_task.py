"""Which task a configuration tells of, and what is asked where it does not tell."""

from __future__ import annotations

from typing import Any

import pytest

from ptdq.errors import UserError
from ptdq.problem.heads import other_head
from ptdq.problem.task import MEASURES, TASKS, WORDS, Task, choose_task, find_task, names_of

CROSS = {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}


@pytest.mark.parametrize(
    ("outputs", "config", "task"),
    [
        (3, {}, "single-label"),
        (2, {"problem_type": "single_label_classification"}, "single-label"),
        (5, {"problem_type": "multi_label_classification"}, "multi-label"),
        (1, {"problem_type": "multi_label_classification"}, "binary"),
        (1, {"problem_type": "regression"}, "regression"),
        (3, {"problem_type": "regression"}, None),
        (1, CROSS, "rerank"),
        (1, {"sentence_transformers": {"version": "5.0"}}, "rerank"),
        (1, {}, None),
        (1, {"problem_type": "single_label_classification"}, None),
    ],
)
def test_what_a_configuration_tells(outputs: int, config: dict[str, Any], task: Task | None) -> None:
    found = find_task(outputs, config)
    assert found.task == task
    assert found.why
    if task is not None:
        assert choose_task("m", outputs, found, None) == task


def test_one_output_alone_is_asked_about() -> None:
    with pytest.raises(UserError, match=r"--task.*binary or regression or rerank"):
        choose_task("m", 1, find_task(1, {}), None)
    assert choose_task("m", 1, find_task(1, {}), "binary") == "binary"
    assert choose_task("m", 1, find_task(1, CROSS), "regression") == "regression"


@pytest.mark.parametrize(("task", "outputs"), [("binary", 2), ("rerank", 3), ("multi-label", 1)])
def test_a_head_that_cannot_do_it(task: Task, outputs: int) -> None:
    with pytest.raises(UserError, match=f"task {task}: it needs"):
        choose_task("m", outputs, find_task(outputs, {}), task)


def test_names_of_two_answers() -> None:
    assert names_of("binary", ["LABEL_0"]) == ["0", "1"]
    assert names_of("binary", ["toxic"]) == ["not toxic", "toxic"]
    assert names_of("multi-label", ["a", "b"]) == ["a", "b"]


def test_every_task_is_in_every_table() -> None:
    assert set(TASKS) == set(WORDS) == set(MEASURES)
    for measures in MEASURES.values():
        assert next(iter(measures.values())).kept


def test_other_heads_are_refused_with_what_is_planned() -> None:
    for name, planned in (("BertModel", "similarities"), ("BertForTokenClassification", "F1 by entity")):
        said = other_head(name)
        assert "no sequence classifier" in said
        assert name in said
        assert "planned" in said
        assert planned in said
    assert "planned" not in other_head("BertForMaskedLM")
