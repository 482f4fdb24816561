"""Documents that are single texts or pairs of texts, as they go to a tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

COLUMNS = ["text", "pair"]
"""What :func:`texts_of` reads of a file of the schema ``documents``."""


class Texts(NamedTuple):
    """Documents as a tokenizer takes them.

    Attributes:
        first: texts, or first texts of pairs.
        second: second texts of pairs; None where documents are single texts.
    """

    first: Sequence[str]
    second: Sequence[str] | None

    def at(self, chosen: Iterable[int]) -> Texts:
        """Those at some places."""
        places = list(chosen)
        second = None if self.second is None else [self.second[place] for place in places]
        return Texts([self.first[place] for place in places], second)

    def between(self, start: int, stop: int) -> Texts:
        """Those from one place to before another."""
        return Texts(self.first[start:stop], None if self.second is None else self.second[start:stop])

    @property
    def contents(self) -> Sequence[str] | list[tuple[str, str]]:
        """What makes each the document that it is: two pairs differ where any of their texts do."""
        return self.first if self.second is None else list(zip(self.first, self.second, strict=True))


def texts_of(columns: Any) -> Texts:
    """The texts of a table of the schema ``documents``, or of some rows of it.

    Args:
        columns: a table or record batch of pyarrow, or columns by name. Files of earlier versions have
            no column ``pair``.
    """
    values = columns if isinstance(columns, dict) else columns.to_pydict()
    pairs = values.get("pair")
    return Texts(values["text"], None if pairs is None or None in pairs else pairs)
