"""Documents of a file of the schema ``documents``: some of them, or their tokens, read piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ptdq.inputs.pairs import COLUMNS, Texts, texts_of
from ptdq.inputs.tokenizing import Tokenizer, token_counts
from ptdq.store.tables import read_pieces, write_table


def count_stored(path: Path) -> int:
    """Number of documents of a file."""
    return int(pq.read_metadata(path).num_rows)


def stored_texts(path: Path, places: Sequence[int] | NDArray[np.int64]) -> Texts:
    """The documents at some places, in their order."""
    texts = texts_of(stored_rows(path, places, COLUMNS))
    order = np.argsort(np.argsort(np.asarray(places), kind="stable"), kind="stable")
    return texts.at(order.tolist())


def stored_rows(
    path: Path, places: Sequence[int] | NDArray[np.int64], columns: Sequence[str] | None = None
) -> pa.Table:
    """Rows of a file at some places, in the order of the file."""
    wanted = np.sort(np.asarray(places, np.int64))
    parts, first = [], 0
    for piece in read_pieces(path, columns):
        low, high = np.searchsorted(wanted, [first, first + len(piece)])
        parts.append(piece.take(pa.array(wanted[low:high] - first)))
        first += len(piece)
    return pa.concat_tables(parts)


def stored_tokens(path: Path, tokenizer: Tokenizer, max_length: int) -> NDArray[np.int64]:
    """Tokens of each document after truncation, padding not counted [documents]."""
    counts = [np.zeros(0, np.int64)]
    for piece in read_pieces(path, COLUMNS):
        texts = texts_of(piece)
        counts.append(token_counts(tokenizer, texts.first, max_length, texts.second))
    return np.concatenate(counts)


def write_selection(documents: Path, indices: NDArray[np.int64], target: Path) -> None:
    """Write some rows of a file of the schema ``documents`` to another, which a cell reads whole.

    A worker that times a hundred documents is then not to read a million.
    """
    write_table(target, stored_rows(documents, indices))
