"""How much is answered otherwise, by the task: never by an argmax over one output."""

from __future__ import annotations

import numpy as np
import pytest

from ptdq.problem.answers import Answers
from ptdq.problem.task import TASKS


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_one_class_of_several_is_the_largest_output() -> None:
    expected = np.array([[0, 1], [1, 0], [0, 2], [3, 0]], np.float32)
    actual = np.array([[0, 9], [0, 1], [0, 2], [3, 2]], np.float32)
    assert Answers().changed(expected, actual) == 0.25


def test_one_output_is_compared_with_its_threshold() -> None:
    expected, actual = column(-1, 1, 2, 4), column(-9, -1, 2, 3)
    assert Answers("binary").changed(expected, actual) == 0.25
    assert Answers("binary", cut=3.5).changed(expected, actual) == 0.25
    assert Answers("binary", cut=1.5).changed(expected, actual) == 0


def test_of_many_labels_one_is_enough() -> None:
    expected = np.array([[-1, 1, 1], [-1, -1, -1]], np.float32)
    actual = np.array([[-1, 1, -1], [-2, -3, -4]], np.float32)
    assert Answers("multi-label").changed(expected, actual) == 0.5


def test_numbers_are_compared_by_the_variance_that_is_error() -> None:
    expected = column(*range(10))
    spread = float(expected.std())
    answers = Answers("regression")
    assert answers.changed(expected, expected + np.float32(0.1 * spread)) == pytest.approx(0.01)
    assert answers.changed(expected, column(*[4.5] * 10)) == pytest.approx(1)
    assert answers.changed(expected, -9 * expected) == 1


def test_an_order_is_compared_pair_by_pair() -> None:
    expected = column(1, 2, 3, 4)
    answers = Answers("rerank")
    assert answers.changed(expected, 7 * expected - 2) == 0
    assert answers.changed(expected, column(2, 1, 3, 4)) == pytest.approx(1 / 6)
    assert answers.changed(expected, -expected) == 1
    assert answers.changed(expected, 0 * expected) == 0.5, "a constant has no order"


def test_what_random_weights_say_is_no_answer() -> None:
    assert Answers("binary", trained=False).changed(column(-1, 1), column(1, -1)) == 0


@pytest.mark.parametrize("task", TASKS)
def test_the_same_outputs_change_nothing(task: str) -> None:
    outputs = np.random.default_rng(0).normal(size=(9, 1 if task != "single-label" else 3))
    assert Answers(task).changed(outputs.astype(np.float32), outputs.astype(np.float32)) == 0  # type: ignore[arg-type]
