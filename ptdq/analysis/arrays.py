"""The rows of one variant at one length as arrays: its times, and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.store.cell_rows import CellRows
from ptdq.store.layout import RunFiles

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Place = tuple[str, int]  # variant, maximum length


@dataclass(frozen=True)
class Times:
    """Forward times of one variant at one length, over its rounds.

    With batches, a time is that of the batch, in the column of the batch's first document.

    Attributes:
        rounds: repeat of each row [R].
        cores: core of each row [R].
        times: in ns [R, N], columns in the order of the documents' ids.
        in_order: the same in the order in which they were measured [R, N].
    """

    rounds: list[int]
    cores: Ints
    times: Floats
    in_order: Floats

    def only(self, rounds: Sequence[int]) -> Times:
        """The same for some of the rounds."""
        keep = [self.rounds.index(r) for r in rounds]
        return Times(list(rounds), self.cores[keep], self.times[keep], self.in_order[keep])


@dataclass(frozen=True)
class Answers:
    """Predictions of one variant at one length, documents in the order of their ids.

    Attributes:
        predictions: predicted classes [R, D] of each round that was read.
        labels: true classes [D]; all 0 where the task has none, as are the predictions.
        doc_ids: ids [D].
        logits: of the first round [D, classes].
    """

    predictions: Ints
    labels: Ints
    doc_ids: pa.Array
    logits: NDArray[np.float32]

    def only(self, places: NDArray[np.intp]) -> Answers:
        """The same for the documents at some places."""
        return Answers(
            self.predictions[:, places],
            self.labels[places],
            self.doc_ids.take(pa.array(places)),
            self.logits[places],
        )


def read_times(
    rows: CellRows, variant: str, max_length: int, documents: pa.Array | None = None
) -> Times | None:
    """Times of a variant at a length; None where no round finished.

    With isolation "same" a round has a cell on each core; it is the first one's.

    Args:
        rows: of the run.
        variant: name.
        max_length: documents were truncated to this many tokens.
        documents: ids of those that are wanted; None for all.
    """
    rounds = rows.rounds(variant, max_length)
    times, in_order = [], []
    for cell in rounds:
        table = rows.read(cell, ["position", "batch", "doc_id", "forward_ns"])
        if documents is not None:
            table = table.filter(pa.compute.is_in(table["doc_id"], documents))
        first_rows = first_of_batches(table.sort_by("position"))
        measured = _floats(first_rows, "forward_ns")
        in_order.append(measured)
        times.append(measured[_by_id(first_rows)])
    if not rounds or not len(times[0]):
        return None
    cores = np.asarray([cell.core for cell in rounds], np.int64)
    return Times([cell.repeat for cell in rounds], cores, np.stack(times), np.stack(in_order))


def read_answers(
    rows: CellRows,
    variant: str,
    max_length: int,
    *,
    rounds: int | None = 1,
    logits: bool = False,
) -> Answers | None:
    """Predictions of a variant at a length; None where no round finished.

    Args:
        rows: of the run.
        variant: name.
        max_length: documents were truncated to this many tokens.
        rounds: how many are read; None for all.
        logits: whether they are wanted; without, there are no columns of them.
    """
    cells = rows.rounds(variant, max_length)[:rounds]
    if not cells:
        return None
    columns = ["doc_id", "label", "prediction", *(["logits"] if logits else [])]
    table = rows.read(cells[0], columns)
    order = _by_id(table)
    predictions = [_ints(table, "prediction")[order]]
    for cell in cells[1:]:
        other = rows.read(cell, ["doc_id", "prediction"])
        predictions.append(_ints(other, "prediction")[_by_id(other)])
    scores: NDArray[np.float32] = np.empty((len(order), 0), np.float32)
    if logits and len(order):
        flat = table["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        scores = flat.reshape(len(order), -1)[order]
        if scores.shape[1] == 1 and not table["label"].null_count:
            # One output that says yes: the other answer's is 0, so that both are probabilities.
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    return Answers(
        np.stack(predictions),
        _ints(table, "label")[order],
        table["doc_id"].combine_chunks().take(pa.array(order)),
        scores,
    )


def answers_of_all(
    files: RunFiles, variants: Sequence[str], max_lengths: Sequence[int]
) -> dict[Place, Answers]:
    """Answers of the first round with their logits, of each variant and length that has any.

    From the cells that are for quality, if there are such.
    """
    rows = CellRows(files.table("predictions"), "quality")
    return {
        (variant, length): answers
        for variant in variants
        for length in max_lengths
        if (answers := read_answers(rows, variant, length, logits=True)) is not None
    }


def first_of_batches(table: pa.Table) -> pa.Table:
    """The first row of each batch: a time is that of a whole batch, and counts once."""
    numbers = table["batch"].to_numpy()
    _, first = np.unique(numbers, return_index=True)
    return table if len(first) == len(numbers) else table.take(pa.array(np.sort(first)))


def _by_id(table: pa.Table) -> NDArray[np.intp]:
    """Places of the rows in the order of the documents' ids."""
    order: NDArray[np.intp] = pa.compute.sort_indices(table["doc_id"]).to_numpy().astype(np.intp)
    return order


def _floats(table: pa.Table, name: str) -> Floats:
    return table[name].to_numpy().astype(np.float64)  # type: ignore[no-any-return]


def _ints(table: pa.Table, name: str) -> Ints:
    if table[name].null_count:  # classes of a task that has none
        return np.zeros(table.num_rows, np.int64)
    return table[name].to_numpy().astype(np.int64)  # type: ignore[no-any-return]
