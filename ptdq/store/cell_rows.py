"""The rows of the documents, read a cell at a time: all of them may be more than fit into memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ptdq.store.rows import Kind
from ptdq.store.tables import arrays_of, opened

_PLACE = ("variant", "max_length", "repeat", "core")


@dataclass(frozen=True, order=True)
class CellPlace:
    """Whose rows they are."""

    variant: str
    max_length: int
    repeat: int
    core: int


class CellRows:
    """Rows of the cells of a kind; of all cells, where they are of none (schema version 1) or of one.

    Attributes:
        cells: those with rows that count, in the order in which they are in the file.
        columns: that the file has.
    """

    def __init__(self, path: Path, kind: Kind = "timing") -> None:
        """Find out which cells there are.

        Args:
            path: a file of the schema ``predictions`` or ``control``.
            kind: of the cells.

        Raises:
            UserError: as :func:`ptdq.store.tables.read_table`.
        """
        self._path = path
        self._kind: str | None = kind
        self._groups: list[set[tuple[CellPlace, str | None]]] = []
        found: dict[tuple[CellPlace, str | None], None] = {}
        with opened(path) as file:
            self.columns: list[str] = file.schema_arrow.names
            keys = [name for name in (*_PLACE, "kind", "warmup") if name in self.columns]
            for number in range(file.num_row_groups):
                # The statistics of a file are not believed: they have no checksum.
                rows = file.read_row_group(number, columns=keys, use_threads=False)
                here = rows.group_by(keys, use_threads=False).aggregate([]).to_pylist()
                pairs = [(CellPlace(*(row[k] for k in _PLACE)), row.get("kind")) for row in here]
                self._groups.append(set(pairs))
                counted = (pair for pair, row in zip(pairs, here, strict=True) if not row["warmup"])
                found.update(dict.fromkeys(counted))
        if not any(which == kind for _, which in found):
            self._kind = None
        self.cells = list(dict.fromkeys(cell for cell, which in found if self._kind in (None, which)))

    @property
    def variants(self) -> list[str]:
        """Those that have rows, in the order in which they are in the file."""
        return list(dict.fromkeys(cell.variant for cell in self.cells))

    @property
    def lengths(self) -> list[int]:
        """Maximum lengths that have rows, the shortest first."""
        return sorted({cell.max_length for cell in self.cells})

    def of(self, variant: str, max_length: int) -> list[CellPlace]:
        """Cells of a variant at a length, by round and core."""
        return sorted(c for c in self.cells if (c.variant, c.max_length) == (variant, max_length))

    def rounds(self, variant: str, max_length: int) -> list[CellPlace]:
        """One cell for each round: where a round has one on every core, the first of them."""
        return list({cell.repeat: cell for cell in reversed(self.of(variant, max_length))}.values())[::-1]

    def on(self, core: int) -> CellRows:
        """The same of the cells that ran on a core."""
        there = copy.copy(self)
        there.cells = [cell for cell in self.cells if cell.core == core]
        return there

    def read(self, cell: CellPlace, columns: Sequence[str], *, warmup: bool = False) -> pa.Table:
        """Some columns of a cell's rows.

        Args:
            cell: one of :attr:`cells`.
            columns: those that the file lacks are left out.
            warmup: also those rows that do not count.

        Raises:
            UserError: as :func:`ptdq.store.tables.read_table`.
        """
        return pa.concat_tables(self.pieces(cell, columns, warmup=warmup)).combine_chunks()

    def numbers(
        self, cell: CellPlace, columns: Sequence[str], *, warmup: bool = False
    ) -> dict[str, NDArray[np.int64]]:
        """Columns of whole numbers of a cell's rows, each [N]; null is 0."""
        return arrays_of(self.pieces(cell, columns, warmup=warmup), columns)

    def pieces(
        self, cell: CellPlace, columns: Sequence[str], *, warmup: bool = False
    ) -> Iterator[pa.Table]:
        """The same as :meth:`read`, a piece at a time, in the order of the file."""
        wanted = [name for name in columns if name in self.columns]
        with opened(self._path) as file:
            for number, there in enumerate(self._groups):
                mine = {pair for pair in there if pair[0] == cell and self._kind in (None, pair[1])}
                if not mine:
                    continue
                alone = mine == there
                keys = [] if alone else [n for n in (*_PLACE, "kind") if n in self.columns]
                keys += [] if warmup else ["warmup"]
                read = list(dict.fromkeys([*wanted, *keys]))
                rows = file.read_row_group(number, columns=read, use_threads=False)
                yield self._matching(rows, cell, keys).select(wanted)

    def _matching(self, rows: pa.Table, cell: CellPlace, keys: Sequence[str]) -> pa.Table:
        """Rows of the cell, by those columns that decide."""
        for name in keys:
            if name == "warmup":
                rows = rows.filter(pa.compute.invert(rows[name]))
            elif name != "kind":
                rows = rows.filter(pa.compute.equal(rows[name], getattr(cell, name)))
            elif self._kind is not None:
                rows = rows.filter(pa.compute.equal(rows[name], self._kind))
        return rows
