"""The rows of one variant at one length as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.analysis.aggregate import batches
from ptdq.store.rows import Kind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One variant at one length, over its rounds; columns of documents are in the order of ids.

    With batches, a time is that of the batch, in the column of the batch's first document.

    Attributes:
        rounds: repeat of each row [R].
        cores: core of each row [R].
        times: forward times in ns [R, N].
        in_order: the same times in the order in which they were measured [R, N].
        tokens: tokens of each timed document [N].
        tokens_in_order: tokens in the order of measurement [R, N].
        predictions: predicted classes [R, D].
        labels: true classes [D]; all 0 where the task has none, as are the predictions.
        doc_ids: ids [D].
        logits: of the first round [D, classes].
    """

    rounds: list[int]
    cores: Ints
    times: Floats
    in_order: Floats
    tokens: Ints
    tokens_in_order: Ints
    predictions: Ints
    labels: Ints
    doc_ids: list[str]
    logits: NDArray[np.float32]

    def only(self, rounds: Sequence[int]) -> Measured:
        """The same for some of the rounds."""
        keep = [self.rounds.index(r) for r in rounds]
        return Measured(
            list(rounds),
            self.cores[keep],
            self.times[keep],
            self.in_order[keep],
            self.tokens,
            self.tokens_in_order[keep],
            self.predictions[keep],
            self.labels,
            self.doc_ids,
            self.logits,
        )


def read_measured(
    table: pa.Table, variant: str, max_length: int, kind: Kind = "timing"
) -> Measured | None:
    """Rows of a variant and length as arrays; None where no round finished.

    Args:
        table: rows of predictions.
        variant: name.
        max_length: documents were truncated to this many tokens.
        kind: of the cells, where the table has cells of both.
    """
    table = of_kind(table, kind)
    equal = pa.compute.equal
    rows = table.filter(
        pa.compute.and_(
            pa.compute.and_(equal(table["variant"], variant), equal(table["max_length"], max_length)),
            pa.compute.invert(table["warmup"]),
        )
    )
    if rows.num_rows == 0:
        return None
    rounds = sorted(pa.compute.unique(rows["repeat"]).to_pylist())
    cores, times, in_order, tokens, order_tokens, predictions = [], [], [], [], [], []
    labels: Ints = np.empty(0, np.int64)
    doc_ids: list[str] = []
    logits: NDArray[np.float32] = np.empty((0, 0), np.float32)
    for number in rounds:
        cell = rows.filter(equal(rows["repeat"], number)).sort_by(
            [("core", "ascending"), ("position", "ascending")]
        )
        # With isolation "same" a round has a cell on each core; they predict the same.
        cell = cell.filter(equal(cell["core"], cell["core"][0].as_py()))
        first_rows = batches(cell)
        in_order.append(_floats(first_rows, "forward_ns"))
        order_tokens.append(_ints(first_rows, "tokens"))
        by_id = first_rows.sort_by("doc_id")
        times.append(_floats(by_id, "forward_ns"))
        tokens.append(_ints(by_id, "tokens"))
        documents = cell.sort_by("doc_id")
        predictions.append(_ints(documents, "prediction"))
        cores.append(cell["core"][0].as_py())
        if number == rounds[0]:
            labels = _ints(documents, "label")
            doc_ids = documents["doc_id"].to_pylist()
            flat = documents["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            logits = flat.reshape(documents.num_rows, -1)
            if logits.shape[1] == 1 and not documents["label"].null_count:
                # One output that says yes: the other answer's is 0, so that both are probabilities.
                logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return Measured(
        rounds,
        np.asarray(cores, np.int64),
        np.stack(times),
        np.stack(in_order),
        tokens[0],
        np.stack(order_tokens),
        np.stack(predictions),
        labels,
        doc_ids,
        logits,
    )


def _floats(table: pa.Table, name: str) -> Floats:
    return table[name].to_numpy().astype(np.float64)  # type: ignore[no-any-return]


def _ints(table: pa.Table, name: str) -> Ints:
    if table[name].null_count:  # classes of a task that has none
        return np.zeros(table.num_rows, np.int64)
    return table[name].to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def of_kind(table: pa.Table, kind: Kind) -> pa.Table:
    """Rows of the cells of a kind; all rows where cells are of no kind (schema version 1) or of one."""
    if "kind" not in table.column_names:
        return table
    chosen = table.filter(pa.compute.equal(table["kind"], kind))
    return chosen if chosen.num_rows else table
