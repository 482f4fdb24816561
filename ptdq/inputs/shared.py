"""Test documents that are among the calibration documents, or nearly: counted, and said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ptdq.inputs.pairs import COLUMNS, Texts, texts_of
from ptdq.numbers import count
from ptdq.statistics.duplicates import Shared, shared_texts
from ptdq.store.tables import read_table


@lru_cache(maxsize=8)
def shared_documents(calibration: Path, test: Path) -> Shared:
    """What two files of the schema ``documents`` share; their names are those of their content.

    Kept, since a run reads its documents twice: before Prefect starts, and in the flow.
    """
    return shared_texts(
        *(joined_texts(texts_of(read_table(path, COLUMNS))) for path in (calibration, test))
    )


def joined_texts(texts: Texts) -> Sequence[str]:
    """Each document as one text; of a pair, both of its texts."""
    if texts.second is None:
        return texts.first
    return [f"{first}\n{second}" for first, second in zip(texts.first, texts.second, strict=True)]


def any_shared(shared: Shared) -> bool:
    """Whether there is something to warn of."""
    return bool(shared.copies or shared.near)


def shared_words(shared: Shared, whose: str = "calibration") -> str:
    """How many test documents are copies, or nearly, and of how many that was found.

    Args:
        shared: what was counted.
        whose: the other documents, in a word.
    """
    of = f"of {count(shared.test)} test documents"
    near = f"{count(shared.near)} nearly (over 80 % of their text is the same)"
    if shared.compared < shared.test - shared.copies or shared.compared_with < shared.calibration:
        near += (
            f", of {count(shared.compared)} that were compared with {count(shared.compared_with)} of "
            f"{count(shared.calibration)}"
        )
    if not any_shared(shared):
        return f"none {of} is a copy of one of the {whose} documents; {near}"
    return f"{count(shared.copies)} {of} are copies of {whose} documents but for case and signs; {near}"
