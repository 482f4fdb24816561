"""A table of timed calls as arrays, once it is known to be well-formed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ptdq.statistics.measured import Measured

CELL = ["variant", "max_length", "repeat", "core"]
Ints = npt.NDArray[np.int64]
Names = npt.NDArray[np.object_]

KEY = [*CELL, "doc_id"]
NEEDED = [*KEY, "order", "forward_ns"]
TIMES = [*NEEDED, "batch", "tokens", "tokenize_ns", "warmup"]
"""Columns of a run's predictions that say all of its times."""


def checked(times: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The rows that count, once they are known to be well-formed.

    Raises:
        ValueError: a column is missing, a value is missing or no time, a row is there twice.
    """
    missing = [name for name in NEEDED if name not in times.columns]
    if missing:
        raise ValueError(f"times: column {missing[0]!r} is missing; needs {', '.join(NEEDED)}")
    table = times
    if "warmup" in table.columns:
        table = table[~table["warmup"].astype(bool)]
    for name in [n for n in (*NEEDED, "tokenize_ns", "tokens", "group") if n in table.columns]:
        empty = table[name].isna()
        if empty.any():
            raise ValueError(f"times: column {name!r} has no value in row {table.index[empty][0]}")
    for name in [n for n in ("forward_ns", "tokenize_ns") if n in table.columns]:
        values = table[name].to_numpy(dtype=np.float64)
        wrong = ~np.isfinite(values) | (values < 0) | ((values == 0) & (name == "forward_ns"))
        if wrong.any():
            raise ValueError(f"times: {name} is {values[wrong][0]:g} in row {table.index[wrong][0]}")
    if "batch" in table.columns:
        # A time is that of a whole batch, and counts once.
        table = table.drop_duplicates([*CELL, "batch"])
    twice = table.duplicated(KEY)
    if twice.any():
        row = table[twice].iloc[0]
        which = ", ".join(f"{name} {row[name]}" for name in KEY)
        raise ValueError(f"times: row {table.index[twice][0]} is there twice: {which}")
    if baseline not in set(table["variant"].unique()):
        raise ValueError(f"times: no row of the baseline {baseline!r}")
    return table


@dataclass(frozen=True)
class LengthTimes:
    """Times of one maximum length.

    Attributes:
        forward: of the forward pass.
        total: end to end, tokenization included where it was timed.
        tokens: of each document [N]; None where they are not known.
        notes: cells that are missing, in words.
    """

    forward: Measured
    total: Measured
    tokens: Ints | None
    notes: tuple[str, ...]


def length_times(table: pd.DataFrame, names: list[str], max_length: int) -> LengthTimes:
    """Rows of one maximum length as arrays, variants in the order of their names.

    Raises:
        ValueError: a cell has not all documents.
    """
    documents = np.sort(table["doc_id"].unique())
    _check_documents(table, len(documents))
    # With isolation "same" a variant has a cell on every core in each round.
    at_once = int(table.groupby(["variant", "repeat"])["core"].nunique().max())
    rounds, repeat = np.unique(table["repeat"].to_numpy(), return_inverse=True)
    core = table["core"].to_numpy(dtype=np.int64)
    place = np.unique(core, return_inverse=True)[1] if at_once > 1 else np.zeros_like(core)
    who = pd.Index(names).get_indexer(pd.Index(table["variant"]))
    where = (who, repeat, place, np.searchsorted(documents, table["doc_id"].to_numpy()))
    shape = (len(names), len(rounds), at_once, len(documents))
    forward, total = np.full(shape, np.nan), np.full(shape, np.nan)
    forward[where] = table["forward_ns"].to_numpy(dtype=np.float64)
    total[where] = forward[where]
    if "tokenize_ns" in table.columns:
        total[where] += table["tokenize_ns"].to_numpy(dtype=np.float64)
    cores = np.full(shape[:2], -1, dtype=np.int64)
    cores[who, repeat] = 0 if at_once > 1 else core
    whole = np.isfinite(forward).all(axis=(2, 3))
    cores[~whole] = -1
    tokens = None
    if "tokens" in table.columns:
        tokens = np.zeros(len(documents), dtype=np.int64)
        tokens[where[3]] = table["tokens"].to_numpy(dtype=np.int64)
    groups = _groups(table, where[3], documents)
    notes = tuple(
        f"{names[v]} has no complete round {rounds[r]} at {max_length} tokens"
        for v, r in np.argwhere(~whole)
    )
    return LengthTimes(Measured(forward, cores, groups), Measured(total, cores, groups), tokens, notes)


def _groups(table: pd.DataFrame, where: Ints, documents: Names) -> Ints | None:
    """Group of each document [N]; None where the table names none.

    Args:
        table: rows of one maximum length.
        where: which of the documents each row is of.
        documents: their ids [N].
    """
    if "group" not in table.columns:
        return None
    codes = pd.factorize(table["group"])[0].astype(np.int64)
    groups = np.zeros(len(documents), dtype=np.int64)
    groups[where] = codes
    other = groups[where] != codes
    if other.any():
        raise ValueError(f"times: document {documents[where[other][0]]} is in more than one group")
    return groups


def _check_documents(table: pd.DataFrame, documents: int) -> None:
    sizes = table.groupby(CELL).size()
    short = sizes[sizes < documents]
    if len(short):
        which = ", ".join(f"{name} {value}" for name, value in zip(CELL, short.index[0], strict=True))
        raise ValueError(f"times: the cell of {which} has {short.iloc[0]} of {documents} documents")
