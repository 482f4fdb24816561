"""Documents of a stored file, some at a time: the same as all of them at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ptdq.inputs.compact import CompactTexts, as_column
from ptdq.inputs.pairs import texts_of
from ptdq.inputs.stored import count_stored, stored_rows, stored_texts, write_selection
from ptdq.store.tables import make_table_of_columns, read_table, write_table

COUNT = 25
TEXTS = [f"text {number}" for number in range(COUNT)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents in several row groups."""
    monkeypatch.setattr("ptdq.store.tables.PIECE", 7)
    columns = {"doc_id": [f"{n:03d}" for n in range(COUNT)], "text": TEXTS, "label": np.arange(COUNT)}
    write_table(tmp_path / "documents.parquet", make_table_of_columns("documents", columns))
    return tmp_path / "documents.parquet"


def test_some_in_any_order(path: Path) -> None:
    places = np.random.default_rng(0).permutation(COUNT)[:9]
    assert stored_texts(path, places).first == [TEXTS[place] for place in places]
    assert stored_texts(path, range(0, COUNT, 6)).first == TEXTS[::6]
    assert count_stored(path) == COUNT


def test_a_selection_is_in_the_order_of_the_file(path: Path) -> None:
    chosen = np.array([3, 8, 9, 24])
    write_selection(path, chosen, path.with_name("some.parquet"))
    assert read_table(path.with_name("some.parquet"))["label"].to_pylist() == chosen.tolist()
    assert stored_rows(path, [])["text"].to_pylist() == []


def test_pairs_stay_pairs(tmp_path: Path) -> None:
    columns = {"doc_id": ["a", "b"], "text": ["one", "two"], "pair": ["x", "y"], "label": [0, 1]}
    table = make_table_of_columns("documents", columns)
    write_table(tmp_path / "pairs.parquet", table)
    assert stored_texts(tmp_path / "pairs.parquet", [1, 0]) == texts_of(table).at([1, 0])


def test_compact_texts_are_a_list() -> None:
    texts = CompactTexts([pa.array(TEXTS[:4]), pa.array(TEXTS[4:])])
    assert list(texts) == TEXTS
    assert (len(texts), texts[5], texts[-1], texts[2:6]) == (COUNT, TEXTS[5], TEXTS[-1], TEXTS[2:6])
    assert texts == TEXTS
    assert texts != TEXTS[1:]
    assert as_column(texts) is texts.column
    assert as_column(None) is None
    with pytest.raises(IndexError):
        texts[COUNT]
