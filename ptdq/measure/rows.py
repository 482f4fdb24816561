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

from ptdq.store.tables import make_table_of_columns

_NUMBERS = ("batch", "index", "tokens", "prediction", "tokenize_ns", "forward_ns")


class Rows:
    """Rows of the table ``predictions``, in the order in which they were measured."""

    def __init__(self) -> None:
        self._numbers = {name: array("q") for name in _NUMBERS}
        self._flags = {name: array("b") for name in ("truncated", "warmup")}
        self._logits = array("f")

    def add(
        self,
        batch: range,
        *,
        number: int,
        lengths: NDArray[np.int64],
        truncated: Sequence[bool],
        logits: NDArray[np.float32],
        tokenize_ns: int,
        forward_ns: int,
        warmup: bool,
    ) -> None:
        """Add the documents of a batch.

        Args:
            batch: their places among the documents.
            number: of the batch.
            lengths: tokens of each.
            truncated: whether each was shortened.
            logits: [batch, classes].
            tokenize_ns: time of the batch, which all its documents share.
            forward_ns: the same of the forward pass.
            warmup: whether the batch is not counted.
        """
        for row, index in enumerate(batch):
            values = (number, index, lengths[row], logits[row].argmax(), tokenize_ns, forward_ns)
            for name, value in zip(_NUMBERS, values, strict=True):
                self._numbers[name].append(int(value))
            self._flags["truncated"].append(truncated[row])
            self._flags["warmup"].append(warmup)
        self._logits.frombytes(np.ascontiguousarray(logits, np.float32).tobytes())

    def table(self, documents: pa.Table, key: Mapping[str, Any], metadata: Mapping[str, Any]) -> pa.Table:
        """The table.

        Args:
            documents: that the places refer to.
            key: columns that all rows share.
            metadata: of the file.
        """
        columns: dict[str, Any] = {
            name: np.frombuffer(values, np.int64) for name, values in self._numbers.items()
        }
        index = columns.pop("index")
        for name, flags in self._flags.items():
            columns[name] = np.frombuffer(flags, np.int8).astype(bool)
        named = documents.select(["doc_id", "label"]).take(index)
        columns |= {
            "position": np.arange(len(index)),
            "doc_id": named["doc_id"].combine_chunks(),
            "label": named["label"].to_numpy(),
            "logits": np.frombuffer(self._logits, np.float32).reshape(len(index), -1),
        }
        return make_table_of_columns("predictions", {**key, **columns}, metadata)
