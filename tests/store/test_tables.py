"""Files of a run: whole or not there, typed, and of a version that can be read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptdq.errors import UserError
from ptdq.store import disk as store
from ptdq.store import layout, rows, schema, tables
from ptdq.store.record_model import RunRecord
from ptdq.store.run import Run


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "file.txt"
    store.write_text(target, "first")

    def broken_off() -> None:
        with store.replacing(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_files_are_readable_by_others(tmp_path: Path) -> None:
    store.write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").stat().st_mode & 0o044 == 0o044


def test_an_undeclared_column_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="undeclared columns"):
        tables.make_table("cells", [{"latency": 1.0}])


def test_a_row_is_merged_from_declared_columns_only() -> None:
    row = schema.merge(rows.CellRow, {"variant": "fp32"}, {"forward_p50_ms": 1.5})
    assert row == {"variant": "fp32", "forward_p50_ms": 1.5}
    with pytest.raises(ValueError, match="forward_p50_msec"):
        schema.merge(rows.CellRow, {"variant": "fp32"}, {"forward_p50_msec": 1.5})


def test_a_column_that_an_older_file_lacks_reads_as_none(tmp_path: Path) -> None:
    files = layout.RunFiles(tmp_path)
    table = tables.make_table("variants", [{"variant": "fp32", "cached": True}])
    pq.write_table(table.drop_columns(["engine"]), files.table("variants"))
    (row,) = Run(files, RunRecord()).rows(rows.VariantRow)
    assert (row["variant"], row["engine"], row["cached"]) == ("fp32", None, True)


def test_tables_come_back_as_they_were(tmp_path: Path) -> None:
    documents = [{"doc_id": "1", "text": "文", "pair": None, "label": 2, "target": None, "group": None}]
    path = tmp_path / "documents.parquet"
    tables.write_table(path, tables.make_table("documents", documents, {"note": "值"}))
    table = tables.read_table(path)
    assert table.to_pylist() == documents
    assert tables.table_metadata(table) == {"note": "值"}


def test_logits_are_lists_of_float32() -> None:
    assert schema.schema("predictions").field("logits").type == pa.list_(pa.float32())


@pytest.mark.parametrize("name", schema.tables())
def test_every_column_says_what_it_is(name: str) -> None:
    for field in schema.schema(name):
        assert field.metadata[b"description"], field.name


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    table = tables.make_table("documents", [])
    newer = {**table.schema.metadata, b"ptdq_schema": str(schema.SCHEMA_VERSION + 1).encode()}
    pq.write_table(table.replace_schema_metadata(newer), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"newer .* upgrade ptdq"):
        tables.read_table(tmp_path / "t.parquet")
    store.write_json(tmp_path / "run" / "run.json", {"schema_version": schema.SCHEMA_VERSION + 1})
    with pytest.raises(UserError, match="newer"):
        layout.open_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such file"), (b"text", "not a readable Parquet")]
)
def test_unreadable_tables_are_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "cells.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        tables.read_table(path)
    assert str(path) in str(error.value)


def test_a_parquet_file_of_others_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="not a table of ptdq"):
        tables.read_table(tmp_path / "t.parquet")


def test_an_unknown_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run 'nightly-7'"):
        layout.open_run("nightly-7", tmp_path)


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert store.digest_of({"a": 1, "b": [2]}) == store.digest_of({"b": [2], "a": 1})
    assert store.digest_of({"a": 1}) != store.digest_of({"a": 2})
