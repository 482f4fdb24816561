"""What a worker has measured so far, as columns: under a hundred bytes a document.

As Python objects, a million documents would take gigabytes, and minutes to turn into a table. Numbers are
appended between the timed regions, which needs neither numpy nor the documents' ids.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.runtimes.tokenizing import Encoded
from ptdq.store.tables import make_table_of_columns

_FLAGS = ("truncated", "warmup", "first_of_shape")
_NUMBERS = ("batch", "index", "tokens", "prediction", "tokenize_ns", "forward_ns")


class Rows:
    """Rows of the table ``predictions``, in the order in which they were measured."""

    def __init__(self, cut: float | None = None) -> None:
        """Args: ``cut``: output over which a model with one output says yes; None for all others."""
        self._cut = cut
        self._numbers = {name: array("q") for name in _NUMBERS}
        self._flags = {name: array("b") for name in _FLAGS}
        self._logits = array("f")
        self._calls = 0

    def add(
        self,
        batch: range,
        encoded: Encoded,
        logits: NDArray[np.float32],
        nanoseconds: tuple[int, int],
        *,
        warmup: bool,
        first_of_shape: bool,
    ) -> None:
        """Add the documents of a batch.

        Args:
            batch: their places among the documents.
            encoded: what the tokenizer gave.
            logits: [batch, classes].
            nanoseconds: of tokenizing and of the forward pass; all documents of the batch share them.
            warmup: whether the batch is not counted.
            first_of_shape: whether it was run for its shape, which no batch had before.
        """
        answers = logits.argmax(axis=1) if self._cut is None else logits[:, 0] > self._cut
        lengths, truncated = encoded.lengths, encoded.truncated()
        for row, index in enumerate(batch):
            values = (self._calls, index, lengths[row], answers[row], *nanoseconds)
            for name, value in zip(_NUMBERS, values, strict=True):
                self._numbers[name].append(int(value))
            flags = (truncated[row], warmup, first_of_shape)
            for name, flag in zip(_FLAGS, flags, strict=True):
                self._flags[name].append(flag)
        self._logits.frombytes(np.ascontiguousarray(logits, np.float32).tobytes())
        self._calls += 1

    def table(
        self,
        ids: Sequence[str],
        labels: NDArray[np.int64] | None,
        key: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> pa.Table:
        """The table.

        Args:
            ids: of the documents that the places refer to.
            labels: the same, class ids; None where the task has no classes, and no class is predicted.
            key: columns that all rows share.
            metadata: of the file.
        """
        columns: dict[str, Any] = {
            name: np.frombuffer(values, np.int64) for name, values in self._numbers.items()
        }
        index = columns.pop("index")
        for name, flags in self._flags.items():
            columns[name] = np.frombuffer(flags, np.int8).astype(bool)
        columns |= {
            "position": np.arange(len(index)),
            "doc_id": [ids[place] for place in index],
            "label": None if labels is None else labels[index],
            "logits": np.frombuffer(self._logits, np.float32).reshape(len(index), -1),
        }
        if labels is None:
            columns["prediction"] = None
        return make_table_of_columns("predictions", {**key, **columns}, metadata)
