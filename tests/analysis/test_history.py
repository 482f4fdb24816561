"""Runs as one data set, read as it lies and from elsewhere; trends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from ptdq.analysis import history
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.store.results import SUMMARIES, all_runs, readable
from tests.support.runs import make_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results")
    for day, (run_id, machine) in enumerate([("b", {}), ("a", {}), ("c", {"cpu": "Another CPU"})]):
        record = {"started_at": f"2026-11-2{day}T02:00:00+00:00", "machine": machine}
        make_run(path, run_id, seed=day, record=record, slower={"fp32": 1 + day / 10})
    (path / "died").mkdir()
    (path / "died" / "run.json").write_text('{"schema_version": 1, "status": "running"}')
    (path / "newer").mkdir()
    (path / "newer" / "run.json").write_text('{"schema_version": 99}')
    (path / "notes").mkdir()
    return path


def ptdq(*arguments: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


@pytest.mark.parametrize("table", ["cells", "comparisons", "predictions"])
def test_pandas_reads_the_data_set_as_it_lies(results: Path, table: str) -> None:
    frame = pd.concat(map(pd.read_parquet, results.glob(f"*/{table}.parquet")))
    assert set(frame["run_id"]) == {"a", "b", "c"}


def test_duckdb_reads_the_data_set_as_it_lies(results: Path) -> None:
    import duckdb

    for table in SUMMARIES:
        query = f"select distinct run_id from '{results}/*/{table}.parquet' order by 1"
        assert duckdb.connect().execute(query).fetchall() == [("a",), ("b",), ("c",)]


def test_runs_come_in_the_order_of_time_and_the_others_are_named(results: Path) -> None:
    runs, left_out = all_runs(results)
    assert [run.files.run_id for run in runs] == ["b", "a", "c"]
    assert len(left_out) == 2
    assert "died: it has not come to its figures (running)" in left_out
    assert any("schema version 99 is newer" in text for text in left_out)


def test_points_and_their_breaks(results: Path) -> None:
    found = history.select(history.points(all_runs(results)[0]), ["fp32"], [128])
    assert [p.run_id for p in found] == ["b", "a", "c"]
    assert found[1].median_ms / found[0].median_ms == pytest.approx(1.1, rel=0.05)
    assert all(p.low_ms <= p.median_ms <= p.high_ms for p in found)
    assert [p.place for p in found] == ["Imaginary CPU @ 2.80GHz, 2 cores"] * 2 + ["Another CPU, 2 cores"]
    assert {p.speedup for p in found} == {None}
    others = history.select(history.points(all_runs(results)[0]), ["int8-dynamic"], [])
    assert all(p.speedup is not None and p.speedup > 2 for p in others)


def test_command_prints_trends_and_draws(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "trend.png"
    done = ptdq("history", "--results-dir", results, "--variant", "fp32", "--plot", path)
    assert done.exit_code == 0, done.exception
    assert done.stdout.splitlines()[-1] == str(path)
    assert "fp32, at most 128 tokens" in done.stdout
    assert "other machine" in done.stdout
    assert "int8-dynamic, at most" not in done.stdout
    assert "left out: died" in done.stderr
    with Image.open(path) as image:
        assert image.width > 500
    assert isinstance(ptdq("history", "--results-dir", tmp_path / "no").exception, UserError)
    none = ptdq("history", "--results-dir", results, "--variant", "int4")
    assert "no run with figures" in str(none.exception)


@pytest.fixture
def in_memory(results: Path) -> str:
    system = fsspec.filesystem("memory")
    system.put(str(results), "/results", recursive=True)
    return "memory://results"


def test_history_and_compare_read_urls(results: Path, in_memory: str, tmp_path: Path) -> None:
    for url in (in_memory, f"file://{results}"):
        path = tmp_path / "trend.png"
        done = ptdq("history", "--results-dir", url, "--plot", path)
        assert done.exit_code == 0, done.exception
        assert "│ a " in done.stdout
        assert path.is_file()
        compared = ptdq("compare", "b", "a", "--results-dir", url, "--json")
        assert compared.exit_code in (0, 3)
        assert '"documents": 60' in compared.stdout
        missing = ptdq("compare", "b", "nowhere", "--results-dir", url)
        assert "run 'nowhere': no run.json" in str(missing.exception)


def test_only_summaries_are_copied(in_memory: str) -> None:
    with readable(in_memory) as copy:
        assert (copy / "a" / "cells.parquet").is_file()
        assert not (copy / "a" / "predictions.parquet").exists()
    assert not copy.exists()


@pytest.mark.parametrize("url", ["nosuch://results", "memory://nowhere"])
def test_urls_that_cannot_be_read(url: str) -> None:
    with pytest.raises(UserError, match="results_dir"), readable(url):
        pass
