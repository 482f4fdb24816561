"""Many short texts in little memory: as Python objects, those of a million documents take 200 MB more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import pyarrow as pa


class CompactTexts(Sequence[str]):
    """Texts in a row, of which each is a Python object only while somebody looks at it.

    Attributes:
        column: the same as a column of a table.
    """

    def __init__(self, pieces: Iterable[pa.StringArray] = ()) -> None:
        """Args: ``pieces``: the texts, some at a time."""
        self.column = pa.chunked_array(list(pieces), pa.string())

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            found: list[str] = self.column[place].to_pylist()
            return found
        return str(self.column[place].as_py())

    def __iter__(self) -> Iterator[str]:
        for piece in self.column.chunks:
            yield from piece.to_pylist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def as_column(texts: Sequence[str] | None) -> list[str] | pa.ChunkedArray | None:
    """Texts as a table takes them."""
    return texts.column if isinstance(texts, CompactTexts) else None if texts is None else list(texts)
