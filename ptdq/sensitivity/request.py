"""What the child process of a study is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ptdq.problem.task import Task

By = Literal["module", "block"]

WHOLE = 1000
"""What the child reports when the table is done; beyond it, sets that were tried for the choice."""


@dataclass(frozen=True)
class StudyRequest:
    """The JSON file that the child reads holds just this.

    Attributes:
        sensitivity_id: name of the study.
        source: directory of the normalized float model.
        settings: of the quantization.
        documents: file of the schema ``documents``.
        max_length: documents are truncated to this many tokens; modules are timed at it.
        by: whether modules are looked at one by one, or by block.
        margin: share of the float model's measures that must be kept.
        variants: those that a run with the choice decides, for which it corrects.
        core: core to pin to; None where the system cannot pin.
        result: file to write.
        task: what the model answers.
        cut: output over which a label is given, where the task has a threshold.
    """

    sensitivity_id: str
    source: str
    settings: dict[str, Any]
    documents: str
    max_length: int
    by: By
    margin: float
    variants: int
    core: int | None
    result: str
    task: Task
    cut: float | None
