"""Timed calls as arrays, once they are known to be well-formed: of a table, or of the cells of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ptdq.analysis.arrays import first_of_batches, ids_in_order
from ptdq.analysis.document_groups import Groups
from ptdq.statistics.measured import Measured
from ptdq.store.cell_rows import CellRows

Ints = npt.NDArray[np.int64]
Names = npt.NDArray[np.object_]

CELL = ["variant", "max_length", "repeat", "core"]
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
        names: of the variants.
        max_length: documents were truncated to this many tokens.
        rounds: repeat of each round.
        forward: of the forward pass.
        total: end to end, tokenization included where it was timed.
        tokens: of each document [N]; None where they are not known.
    """

    names: tuple[str, ...]
    max_length: int
    rounds: tuple[int, ...]
    forward: Measured
    total: Measured
    tokens: Ints | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Cells that are missing, in words."""
        return tuple(
            f"{self.names[v]} has no complete round {self.rounds[r]} at {self.max_length} tokens"
            for v, r in np.argwhere(self.forward.cores < 0)
        )

    def of(self, names: Sequence[str]) -> LengthTimes:
        """The same for some of the variants, in their order, and the rounds that any of them has."""
        if tuple(names) == self.names:
            return self
        who = [self.names.index(name) for name in names]
        kept = np.flatnonzero((self.forward.cores[who] >= 0).any(axis=0))
        where = np.ix_(np.array(who), kept)
        return LengthTimes(
            tuple(names),
            self.max_length,
            tuple(self.rounds[place] for place in kept),
            Measured(self.forward.times[where], self.forward.cores[where], self.forward.groups),
            Measured(self.total.times[where], self.total.cores[where], self.total.groups),
            self.tokens,
        )


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
    cores[~np.isfinite(forward).all(axis=(2, 3))] = -1
    tokens = None
    if "tokens" in table.columns:
        tokens = np.zeros(len(documents), dtype=np.int64)
        tokens[where[3]] = table["tokens"].to_numpy(dtype=np.int64)
    groups = _groups(table, where[3], documents)
    return LengthTimes(
        tuple(names),
        max_length,
        tuple(int(number) for number in rounds),
        Measured(forward, cores, groups),
        Measured(total, cores, groups),
        tokens,
    )


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


def cell_times(rows: CellRows, max_length: int, groups: Groups) -> LengthTimes | None:
    """The same from the cells of a run, a cell at a time; variants in the order of the file.

    Args:
        rows: of the run.
        max_length: documents were truncated to this many tokens.
        groups: of its documents.

    Raises:
        ValueError: a cell has not the documents of the others, or a time is none.
    """
    cells = [cell for cell in rows.cells if cell.max_length == max_length]
    if not cells:
        return None
    names = tuple(dict.fromkeys(cell.variant for cell in cells))
    rounds = sorted({cell.repeat for cell in cells})
    on = sorted({cell.core for cell in cells})
    together = max(len(rows.of(name, max_length)) for name in names) > max(
        len(rows.rounds(name, max_length)) for name in names
    )
    forward = total = np.empty(0)
    tokens = np.empty(0, np.int64)
    documents: pa.Array | None = None
    for cell in cells:
        first = first_of_batches(rows.numbers(cell, ["batch"])["batch"])
        ids, order = ids_in_order(rows, cell, first)
        if documents is None:
            documents = ids
            shape = (len(names), len(rounds), len(on) if together else 1, len(documents))
            forward, total = np.full(shape, np.nan), np.full(shape, np.nan)
        elif not documents.equals(ids):
            raise ValueError(
                f"times: the cell of {cell} has other documents than the first cell of that length"
            )
        del ids
        found = rows.numbers(
            cell, ["forward_ns", "tokenize_ns", *(["tokens"] if cell is cells[-1] else [])]
        )
        found = {name: values[first][order] for name, values in found.items()}
        times = found["forward_ns"]
        if not (times > 0).all():
            raise ValueError(f"times: forward_ns of {cell} is not positive")
        where = (
            names.index(cell.variant),
            rounds.index(cell.repeat),
            on.index(cell.core) if together else 0,
        )
        forward[where] = times
        total[where] = times + found["tokenize_ns"]
        tokens = found.get("tokens", tokens)
    cores = np.full(forward.shape[:2], -1, dtype=np.int64)
    for cell in cells:
        cores[names.index(cell.variant), rounds.index(cell.repeat)] = 0 if together else cell.core
    cores[~np.isfinite(forward).all(axis=(2, 3))] = -1
    assert documents is not None
    which = groups.shared_by(documents)
    times_of = Measured(forward, cores, which), Measured(total, cores, which)
    return LengthTimes(names, max_length, tuple(rounds), *times_of, tokens)


def _check_documents(table: pd.DataFrame, documents: int) -> None:
    sizes = table.groupby(CELL).size()
    short = sizes[sizes < documents]
    if len(short):
        which = ", ".join(f"{name} {value}" for name, value in zip(CELL, short.index[0], strict=True))
        raise ValueError(f"times: the cell of {which} has {short.iloc[0]} of {documents} documents")
