"""``--group-column``: read, checked, carried to the documents and to the shards of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ptdq.errors import UserError
from ptdq.evaluation.collect import count_groups
from ptdq.inputs.documents import RawDocuments, store_documents
from ptdq.inputs.load import read_data
from ptdq.inputs.stream import check_beginning, split_documents
from ptdq.parameters import make_parameters
from ptdq.store.layout import ShardFiles
from ptdq.store.tables import read_table

ROWS = {
    "text": ["one", "two", "ONE!", "three", "four", "five"],
    "label": ["0", "1", "0", "1", "0", "1"],
    "author": ["ann", "bob", "cid", "ann", "dan", "bob"],
}


def write(path: Path, **changes: Any) -> Path:
    pd.DataFrame(ROWS | changes).to_csv(path, index=False)
    return path


def read(path: Path, **values: Any) -> RawDocuments:
    given: dict[str, Any] = {"model": "m", "data": str(path), "group_column": "author"}
    return read_data(make_parameters(given | values))


def complaint(path: Path, column: str = "author") -> list[str]:
    """What is said of a file, read whole and piece by piece."""
    parameters = make_parameters({"model": "m", "data": str(path), "group_column": column})
    said = []
    for function in (
        lambda: read(path, group_column=column),
        lambda: check_beginning(parameters),
        lambda: split_documents(parameters, ["0", "1"], 4, path.parent / "documents.parquet"),
    ):
        with pytest.raises(UserError) as caught:
            function()
        said.append(str(caught.value))
        assert len(said[-1].splitlines()) == 1
    return said


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    for text in complaint(write(tmp_path / "data.csv"), "ticket"):
        assert "no column 'ticket'" in text
        assert "--group-column" in text
    assert "text, label, author" in complaint(write(tmp_path / "data.csv"), "ticket")[0]


def test_empty_values_are_an_error_with_their_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", author=["ann", "", "cid", "ann", "  ", "bob"])
    for text in complaint(path):
        assert f"{path}: column 'author' has 2 empty values, in rows 2, 5" in text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_missing_value_is_empty_and_a_number_is_a_name(tmp_path: Path, kind: str) -> None:
    path, frame = (
        tmp_path / f"data.{kind}",
        pd.DataFrame(ROWS | {"author": [1.0, 2.0, 3.0, 1.0, 4.0, 2.0]}),
    )

    def put() -> None:
        if kind == "parquet":
            frame.to_parquet(path)
        else:
            frame.to_json(path, orient="records", lines=True)

    put()
    assert read(path).groups == ["1", "2", "3", "1", "4", "2"]
    frame.loc[2, "author"] = None
    put()
    assert "in rows 3" in complaint(path)[0]


def test_groups_go_with_a_sample_into_the_file_of_the_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv")
    raw = read(path, limit=4)
    assert raw.groups is not None
    by_text = dict(zip(ROWS["text"], ROWS["author"], strict=True))
    assert raw.groups == [by_text[text] for text in raw.texts]
    stored = store_documents(raw, [int(label) for label in raw.labels], ["0", "1"])
    assert read_table(stored.path)["group"].to_pylist() == raw.groups


def test_groups_are_counted_with_the_texts_that_are_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv")
    with_groups, without = (read(path, group_column=column) for column in ("author", None))
    stored = [store_documents(raw, [0] * 6, ["0", "1"]) for raw in (with_groups, without)]
    # "one" and "ONE!" are one text, so ann and cid are one group.
    assert [each.counts.texts for each in stored] == [5, 5]
    assert [each.counts.groups for each in stored] == [3, None]
    # The documents are the same, and runs on them compare; the files differ.
    assert stored[0].digest == stored[1].digest
    assert stored[0].path != stored[1].path
    other = read(write(tmp_path / "data.csv", author=[*"abcdef"]))
    assert store_documents(other, [0] * 6, ["0", "1"]).path != stored[0].path


def test_shards_carry_groups_and_count_them_once(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv")
    parameters = make_parameters({"model": "m", "data": str(path), "group_column": "author"})
    files = ShardFiles(tmp_path / "evaluation")
    files.directory.mkdir()
    split_documents(parameters, ["0", "1"], 4, files.documents)
    assert pq.ParquetFile(files.documents).metadata.num_row_groups == 2
    assert read_table(files.documents)["group"].to_pylist() == ROWS["author"]
    assert count_groups(files) == 4
    split_documents(parameters.model_copy(update={"group_column": None}), ["0", "1"], 4, files.documents)
    assert count_groups(files) is None
