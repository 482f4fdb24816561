"""The rows of one variant at one length as arrays: its times, and its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.host.memory import trim
from ptdq.store.cell_rows import CellPlace, CellRows
from ptdq.store.layout import RunFiles

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Places = NDArray[np.intp]
Place = tuple[str, int]  # variant, maximum length


@dataclass(frozen=True)
class Times:
    """Forward times of one variant at one length, over its rounds.

    With batches, a time is that of the batch, in the column of the batch's first document.

    Attributes:
        rounds: repeat of each row [R].
        cores: core of each row [R].
        in_order: in ns [R, N], in the order in which they were measured.
    """

    rounds: list[int]
    cores: Ints
    in_order: Floats

    def only(self, rounds: Sequence[int]) -> Times:
        """The same for some of the rounds."""
        keep = [self.rounds.index(r) for r in rounds]
        return Times(list(rounds), self.cores[keep], self.in_order[keep])


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

    def only(self, places: Places) -> Answers:
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
    in_order = [_in_order(rows, cell, documents) for cell in rounds]
    if not rounds or not len(in_order[0]):
        return None
    cores = np.asarray([cell.core for cell in rounds], np.int64)
    return Times([cell.repeat for cell in rounds], cores, np.stack(in_order))


def _in_order(rows: CellRows, cell: CellPlace, documents: pa.Array | None) -> Floats:
    """Forward times of the batches of a cell, or of those of some documents."""
    found = rows.numbers(cell, ["position", "batch", "forward_ns"])
    position, batch, times = found["position"], found["batch"], found.pop("forward_ns")
    if documents is not None:
        wanted = pa.compute.is_in(rows.read(cell, ["doc_id"])["doc_id"], documents).to_numpy()
        position, batch, times = position[wanted], batch[wanted], times[wanted]
    if (np.diff(position) < 0).any():
        order = np.argsort(position, kind="stable")
        batch, times = batch[order], times[order]
    return times[first_of_batches(batch)].astype(np.float64)


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
    ids, order = ids_in_order(rows, cells[0])
    predictions = []
    for place, cell in enumerate(cells):
        own = order if place == 0 else ids_in_order(rows, cell)[1]
        predictions.append(rows.numbers(cell, ["prediction"])["prediction"][own])
    return Answers(
        predictions[0][None] if len(cells) == 1 else np.stack(predictions),
        rows.numbers(cells[0], ["label"])["label"][order],
        ids,
        _logits(rows, cells[0], order) if logits else np.empty((len(order), 0), np.float32),
    )


def _logits(rows: CellRows, cell: CellPlace, order: Places) -> NDArray[np.float32]:
    """Outputs of a cell's documents [D, classes], in an order."""
    parts, classes = [], True
    for piece in rows.pieces(cell, ["logits", "label"]):
        flat = piece["logits"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        parts.append(flat.reshape(piece.num_rows, -1) if piece.num_rows else np.empty((0, 0), np.float32))
        classes = classes and not piece["label"].null_count
    scores = np.concatenate([part for part in parts if len(part)] or parts)
    del parts
    scores = scores[order]
    if scores.shape[1] == 1 and classes:
        # One output that says yes: the other answer's is 0, so that both are probabilities.
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    return scores


class AnswersOfAll(Mapping[Place, Answers]):
    """Answers of the first round with their logits, of each variant and length that has any.

    From the cells that are for quality, if there are such. They are read when they are asked for, and
    those of the last two are kept: of many variants all would be more than fit into memory.
    """

    def __init__(self, files: RunFiles, variants: Sequence[str], max_lengths: Sequence[int]) -> None:
        """Find out which there are."""
        self._rows = CellRows(files.table("predictions"), "quality")
        self._places = [(name, n) for name in variants for n in max_lengths if self._rows.rounds(name, n)]
        self._kept: dict[Place, Answers] = {}

    def __getitem__(self, place: Place) -> Answers:
        found = self._kept.pop(place, None)
        if found is None:
            if place not in self._places:
                raise KeyError(place)
            while len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]
            found = self._read(place)
        self._kept[place] = found
        return found

    def _read(self, place: Place) -> Answers:
        found = read_answers(self._rows, *place, logits=True)
        trim()  # before more is read: the pieces that it was read in are as large as it is
        if found is None:
            raise KeyError(place)
        for other in self._kept.values():
            if other.doc_ids.equals(found.doc_ids) and (other.labels == found.labels).all():
                return replace(found, doc_ids=other.doc_ids, labels=other.labels)
        return found

    def __contains__(self, place: object) -> bool:
        return place in self._places

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def first_of_batches(batch: Ints) -> Places | slice:
    """Places of the first row of each batch [N]: a time is that of a whole batch, and counts once.

    Args:
        batch: number of the batch of each row.
    """
    change = np.diff(batch)
    if (change > 0).all():
        return slice(None)
    if (change >= 0).all():
        return np.flatnonzero(np.concatenate([[True], change > 0]))
    return np.sort(np.unique(batch, return_index=True)[1])


def ids_in_order(
    rows: CellRows, cell: CellPlace, first: Places | slice = slice(None)
) -> tuple[pa.Array, Places]:
    """Ids of a cell's documents, sorted, and the places of its rows in that order [D].

    Args:
        rows: of the run.
        cell: one of them.
        first: which rows are looked at; places are among these.
    """
    ids = rows.read(cell, ["doc_id"])["doc_id"].combine_chunks()
    if not isinstance(first, slice):
        ids = ids.take(pa.array(first))
    order: Places = pa.compute.sort_indices(ids).to_numpy().astype(np.intp, copy=False)
    return ids.take(pa.array(order)), order
