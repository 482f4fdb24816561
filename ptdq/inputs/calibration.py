"""Token ids that static variants take ranges from; never documents of the test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptdq.errors import UserError
from ptdq.inputs.arrays import Calibration
from ptdq.inputs.examples import made_up, one_by_one
from ptdq.inputs.source import Source
from ptdq.inputs.stored import count_stored, stored_texts
from ptdq.inputs.tokenizing import open_tokenizer
from ptdq.problem.answers import Answers
from ptdq.problem.task import SINGLE, Task

COUNT = 128


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate on: documents (a file of the schema ``documents``) or made-up texts.

    Attributes:
        documents: the file; None: texts are made up.
        digest: of what the above decides.
        origin: what they are, in words, for the report.
        max_length: they are cut to so many tokens.
        compare_on: a file of the schema ``documents`` with those that artifacts are compared on where
            there are none to calibrate on.
        pairs: whether documents are pairs of texts.
        task: what the model answers.
        cut: output over which an answer that has a threshold is yes.
        trained: whether the model's weights are.
    """

    documents: str | None
    digest: str
    origin: str
    max_length: int
    compare_on: str | None = None
    pairs: bool = False
    task: Task = SINGLE
    cut: float = 0.0
    trained: bool = True

    @property
    def examples(self) -> Path | None:
        """The file that artifacts are compared on with the float model."""
        documents = self.documents or self.compare_on
        return None if documents is None else Path(documents)


def check_apart(calibration: set[Any], test: set[Any], name: str) -> None:
    """Raises UserError where a document of the test set is among those to calibrate on."""
    shared = len(calibration & test)
    if shared:
        raise UserError(
            f"calibration_data {name}: {shared} of its documents are in the test set; ranges taken "
            "from them would flatter the static variants. Give training documents"
        )


def read_calibration(source: Source, request: CalibrationRequest) -> Calibration:
    """Up to 128 documents, tokenized one at a time and truncated; or made-up texts of many lengths."""
    random = np.random.default_rng(0)
    if request.documents is not None:
        path = Path(request.documents)
        texts = stored_texts(path, random.permutation(count_stored(path))[:COUNT])
    else:
        lengths = random.integers(3, request.max_length + 1, COUNT)
        texts = made_up(source.tokenizer(), lengths.tolist(), request.pairs)
    tokenizer = open_tokenizer(source.directory, source)
    inputs = one_by_one(tokenizer, texts, request.max_length)
    return Calibration(inputs, request.origin, Answers(request.task, request.cut, request.trained))
