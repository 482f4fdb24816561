"""Times as arrays: read a cell at a time, they are those of a table of all rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptdq.analysis.document_groups import read_groups, with_groups
from ptdq.analysis.timing import analyse, analyse_lengths
from ptdq.analysis.timing_table import TIMES, cell_times
from ptdq.store.cell_rows import CellRows
from ptdq.store.tables import read_table
from tests.support.factory import Factory

VARIANTS = ("fp32", "int8-dynamic", "onnx-int8-dynamic")


def same(factory: Factory) -> None:
    """Each round on both cores at once."""
    rows = [row | {"core": 0} for row in factory.tables["predictions"]]
    again = [row | {"core": 1, "forward_ns": row["forward_ns"] + 1000} for row in rows]
    factory.tables["predictions"] = rows + again


def failed(factory: Factory) -> None:
    """One cell is not there."""
    lost = ("int8-dynamic", 128, 2)
    factory.tables["predictions"] = [
        row
        for row in factory.tables["predictions"]
        if (row["variant"], row["max_length"], row["repeat"]) != lost
    ]


def batches(factory: Factory) -> None:
    """The documents in pairs, in the same order in each round."""
    for row in factory.tables["predictions"]:
        if not row["warmup"]:
            row["position"] = factory.ids.index(row["doc_id"])
            row["batch"] = row["position"] // 2 + 100
    key = ("variant", "max_length", "repeat", "position")
    factory.tables["predictions"].sort(key=lambda row: tuple(row[name] for name in key))


def copies(factory: Factory) -> None:
    """Each text three times, but for one: fewer documents than there are rows."""
    for number, row in enumerate(factory.tables["documents"]):
        row["text"] = f"text {number // 3}"


CHANGES: dict[str, Callable[[Factory], Any]] = {
    "as it is": lambda factory: None, "same": same, "failed": failed, "batches": batches,
    "copies": copies,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_read_by_cell_is_what_the_whole_table_says(
    change: Callable[[Factory], Any], tmp_path: Path
) -> None:
    made = Factory(tmp_path / "r", variants=VARIANTS, documents=40)
    change(made)
    files = made.write()
    groups = read_groups(files)
    frame = with_groups(read_table(files.table("predictions"), TIMES).to_pandas(), groups)
    assert ("group" in frame) == (change is copies)
    rows = CellRows(files.table("predictions"))
    by_length = {length: times for length in rows.lengths if (times := cell_times(rows, length, groups))}
    for names in (list(VARIANTS), list(VARIANTS[1:])):
        expected = analyse(frame[frame["variant"].isin(names)], names[0])
        found = analyse_lengths(by_length, names, names[0])
        for table in ("comparisons", "buckets", "best_set", "winner"):
            one, other = getattr(expected, table), getattr(found, table)
            keys = [name for name in ("measure", "variant", "max_length", "tokens_from") if name in one]
            one, other = (each.sort_values(keys, ignore_index=True) for each in (one, other))
            assert list(one.columns) == list(other.columns)
            for name in one.columns:
                if one[name].dtype.kind == "f":
                    assert np.allclose(one[name], other[name], rtol=1e-9, equal_nan=True), name
                else:
                    assert one[name].tolist() == other[name].tolist(), name
        assert set(expected.notes) == set(found.notes)


def test_other_documents_in_a_cell_are_refused(tmp_path: Path) -> None:
    made = Factory(tmp_path / "r", documents=20)
    made.tables["predictions"] = made.tables["predictions"][:-1]
    files = made.write()
    rows = CellRows(files.table("predictions"))
    with pytest.raises(ValueError, match="other documents"):
        cell_times(rows, 256, read_groups(files))
