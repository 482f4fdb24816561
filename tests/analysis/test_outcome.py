"""How a run that came to its report counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ptdq.analysis.outcome import problem_of
from ptdq.errors import GateFailed, RunFailed
from tests.support.runs import make_run

SLOWER = {"old": "good", "regressions": ["int8-dynamic at 128 tokens is slower: 2 to 3 ms"]}


def failure(variant: str) -> dict[str, Any]:
    return {"variant": variant, "max_length": 128, "repeat": 0, "error": "killed"}


def test_a_regression_fails_a_run_that_was_asked_to(tmp_path: Path) -> None:
    asked = {"parameters": {"fail_on_regression": True}}
    problem = problem_of(make_run(tmp_path, "bad", lengths=[128], record=asked | {"baseline": SLOWER}))
    assert isinstance(problem, GateFailed)
    assert "since good: int8-dynamic at 128 tokens is slower" in str(problem)


@pytest.mark.parametrize(
    "record",
    [
        {"baseline": SLOWER},
        {"parameters": {"fail_on_regression": True}, "baseline": SLOWER | {"regressions": []}},
        {"parameters": {"fail_on_regression": True}, "baseline": {"old": "gone", "error": "gone"}},
        {"parameters": {"fail_on_regression": True}},
    ],
)
def test_nothing_else_does(tmp_path: Path, record: dict[str, Any]) -> None:
    assert problem_of(make_run(tmp_path, "well", lengths=[128], record=record)) is None


def test_an_old_artifact_that_cannot_run_fails_nothing(tmp_path: Path) -> None:
    old = {"failures": [failure("int8-dynamic@baseline")]}
    assert problem_of(make_run(tmp_path, "old", lengths=[128], record=old)) is None
    own = {"failures": [failure("int8-dynamic@baseline"), failure("fp32")]}
    problem = problem_of(make_run(tmp_path, "own", lengths=[128], record=own))
    assert isinstance(problem, RunFailed)
    assert str(problem).startswith("1 cells failed, first fp32")
