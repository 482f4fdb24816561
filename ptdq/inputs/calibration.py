"""Token ids that static variants take ranges from; never documents of the test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ptdq.errors import UserError
from ptdq.inputs.arrays import Calibration, Inputs
from ptdq.inputs.source import Source

COUNT = 128


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate on: documents (a file of the schema ``documents``) or random token ids."""

    documents: str | None
    digest: str
    origin: str
    max_length: int


def check_apart(calibration: set[str], test: set[str], name: str) -> None:
    """Raises UserError where a document of the test set is among those to calibrate on."""
    shared = len(calibration & test)
    if shared:
        raise UserError(
            f"calibration_data {name}: {shared} of its documents are in the test set; ranges taken "
            "from them would flatter the static variants. Give training documents"
        )


def read_calibration(source: Source, request: CalibrationRequest) -> Calibration:
    """Up to 128 documents, tokenized one at a time and truncated; or random ids of many lengths."""
    tokenizer = source.tokenizer()
    inputs: list[Inputs] = []
    if request.documents is not None:
        texts = pq.read_table(Path(request.documents), columns=["text"])["text"].to_pylist()
        random = np.random.default_rng(0)
        for index in random.permutation(len(texts))[:COUNT]:
            encoded = tokenizer(
                texts[index], max_length=request.max_length, truncation=True, return_tensors="np"
            )
            inputs.append(dict(encoded))
    else:
        random = np.random.default_rng(0)
        for length in random.integers(3, request.max_length + 1, COUNT):
            ids = random.integers(0, len(tokenizer), (1, int(length)), dtype=np.int64)
            made = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            if "token_type_ids" in tokenizer.model_input_names:
                made["token_type_ids"] = np.zeros_like(ids)
            inputs.append(made)
    return Calibration(inputs, request.origin)
