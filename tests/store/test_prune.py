"""Retention: what goes, what stays, and what can still be done with the rest."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.host.cleaning import prune_cache
from ptdq.host.lock import MachineLock
from ptdq.report import build_report, show
from ptdq.report.summary import write_summary
from ptdq.store import baseline as baseline_run
from ptdq.store.cache import mark_used
from ptdq.store.disk import read_json, write_json, write_text
from ptdq.store.layout import RunFiles, ShardFiles
from ptdq.store.prune import prune
from tests.support.runs import make_run

NOW = datetime(2026, 12, 1, tzinfo=UTC)
MONTH, DAY = timedelta(days=30), timedelta(days=1)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for run_id, ended in (("old", "2026-10-01"), ("young", "2026-11-30"), ("marked", "2026-09-01")):
        build_report(make_run(tmp_path, run_id, record={"ended_at": f"{ended}T00:00:00+00:00"}))
    broken = {"status": "running", "ended_at": None}
    make_run(tmp_path, "broken", record=broken)
    baseline_run.mark(tmp_path, "marked")
    return tmp_path


def contents(directory: Path) -> dict[str, int]:
    return {
        str(p.relative_to(directory)): p.stat().st_mtime_ns for p in directory.rglob("*") if p.is_file()
    }


def test_only_rows_of_documents_of_old_runs_go(results: Path) -> None:
    before = {name: contents(results / name) for name in ("old", "young", "marked", "broken")}
    found = {run.run_id: run for run in prune(results, MONTH, now=NOW)}
    assert {name: run.kept for name, run in found.items() if name != "broken"} == {
        "old": None,
        "young": "it is younger",
        "marked": "it is the baseline",
    }
    assert "not complete" in str(found["broken"].kept)
    gone = set(before["old"]) - set(contents(results / "old"))
    assert gone == {"predictions.parquet", "documents.parquet", "cells/a-cell.parquet"}
    assert found["old"].freed > 1000
    for name in ("young", "marked", "broken"):
        assert contents(results / name) == before[name]
    record = read_json(results / "old" / "run.json")
    assert record["pruned"]["freed_bytes"] == found["old"].freed


def test_a_dry_run_changes_nothing_and_tells_the_same(results: Path) -> None:
    before = contents(results)
    would = prune(results, MONTH, dry_run=True, now=NOW)
    assert contents(results) == before
    assert would == prune(results, MONTH, now=NOW)
    assert [run.run_id for run in prune(results, MONTH, now=NOW)] == ["broken", "marked", "young"]


def test_a_pruned_run_still_shows_and_reports(results: Path) -> None:
    files = RunFiles(results / "old")
    plots = {path.name for path in (files.directory / "plots").iterdir()}
    prune(results, MONTH, now=NOW)
    console = Console(record=True, width=200)
    show(files, console)
    assert "Speed-up over fp32" in console.export_text()
    report = build_report(files)
    for section in ("## Verdict", "## Figures", "## Comparison with", "## Sizes", "## Environment"):
        assert section in report.markdown
    assert "rows of its documents were pruned" in report.markdown
    assert {path.name for path in report.plots} == plots  # those of before are kept
    write_summary(files)
    assert "predictions.parquet" not in report.markdown


def test_pruning_that_was_broken_off_is_finished(results: Path) -> None:
    files = RunFiles(results / "old")
    files.cells.rename(files.directory / ".cells-pruned")
    files.table("documents").unlink()
    (run,) = (run for run in prune(results, MONTH, now=NOW) if run.run_id == "old")
    assert run.freed > 0
    assert not (files.directory / ".cells-pruned").exists()
    assert not files.table("predictions").exists()


def test_without_a_readable_baseline_nothing_is_dropped(results: Path) -> None:
    (results / "baseline.json").write_text("{")
    before = contents(results)
    with pytest.raises(UserError, match="not valid JSON"):
        prune(results, DAY, now=NOW)
    assert contents(results) == before


def aged(directory: Path, moment: datetime) -> None:
    """Everything in it as if last written then."""
    for path in directory.rglob("*"):
        os.utime(path, (moment.timestamp(), moment.timestamp()))


def of(results: Path, age: timedelta = MONTH, **options: bool) -> dict[str, str | None]:
    return {run.run_id: run.kept for run in prune(results, age, now=NOW, **options)}


def test_a_baseline_of_others_keeps_its_rows(tmp_path: Path) -> None:
    old = {"ended_at": "2026-10-01T00:00:00+00:00"}
    for run_id in ("by-id", "by-path", "of-none"):
        make_run(tmp_path, run_id, documents=20, record=old)
    young = {"ended_at": "2026-11-30T00:00:00+00:00"}
    for run_id, baseline_of in (("a", "by-id"), ("b", str(tmp_path / "by-path")), ("c", "none")):
        record = young | {"parameters": {"baseline": baseline_of}}
        make_run(tmp_path, run_id, documents=20, record=record)
    kept = of(tmp_path)
    assert kept["by-id"] == "it is the baseline of a"
    assert kept["by-path"] == "it is the baseline of b"
    assert kept["of-none"] is None


def test_runs_of_a_matrix_are_runs(tmp_path: Path) -> None:
    old = {"ended_at": "2026-10-01T00:00:00+00:00"}
    files = make_run(tmp_path / "rent" / "runs", "child", documents=20, record=old)
    (tmp_path / "rent" / "matrix.json").write_text("{}")
    (tmp_path / "rent" / "matrix.parquet").write_bytes(b"the rows of the report")
    assert of(tmp_path) == {"rent/runs/child": None}
    assert not files.table("predictions").exists()
    assert files.table("cells").is_file()
    assert (tmp_path / "rent" / "matrix.parquet").is_file()


def test_predictions_of_an_evaluation_go_and_its_quality_stays(tmp_path: Path) -> None:
    for name, ended in (("old", "2026-10-01T00:00:00+00:00"), ("young", "2026-11-30T00:00:00+00:00")):
        files = ShardFiles(tmp_path / name)
        write_json(files.record, {"run_id": name, "asked": {}, "f1_weighted": 0.9, "ended_at": ended})
        write_text(files.report, "# Evaluation")
        files.shards.mkdir()
        files.shard(0).write_bytes(b"rows of a shard")
        files.documents.write_bytes(b"documents")
    before = contents(tmp_path / "young")
    assert of(tmp_path) == {"old": None, "young": "it is younger"}
    assert contents(tmp_path / "young") == before
    assert set(contents(tmp_path / "old")) == {"evaluation.json", "report.md"}
    record = read_json(ShardFiles(tmp_path / "old").record)
    assert (record["f1_weighted"], record["pruned"]["freed_bytes"]) == (0.9, 24)
    assert of(tmp_path) == {"young": "it is younger"}


def test_cells_of_a_run_that_was_broken_off_go_once_nothing_is_written_any_more(tmp_path: Path) -> None:
    broken = {"status": "running", "ended_at": None}
    for name, last in (("dead", NOW - 2 * MONTH), ("late", NOW - 2 * MONTH), ("alive", NOW - DAY / 2)):
        make_run(tmp_path, name, documents=20, record=broken)
        aged(tmp_path / name, last)
    # A cell that ended yesterday, of a run that is old.
    os.utime(tmp_path / "late" / "cells" / "a-cell.parquet", ((NOW - DAY).timestamp(),) * 2)
    words = "it is not complete (status: running), and was written to since"
    assert of(tmp_path) == {"dead": None, "late": words, "alive": words}
    assert not (tmp_path / "dead" / "cells").exists()
    (note,) = read_json(tmp_path / "dead" / "run.json")["notes"]
    assert note.startswith("it was broken off, and the cells that it had finished were pruned")
    # Whatever is asked for: it may still run.
    assert of(tmp_path, timedelta(0))["alive"] == words


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with an old and a young entry of each kind, and a lock of its own."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("PTDQ_CACHE", str(cache))
    monkeypatch.setenv("PTDQ_LOCK", str(tmp_path / "lock"))
    for name, last in (("old", NOW - 2 * MONTH), ("young", NOW - DAY / 2)):
        for kind in ("models", "artifacts"):
            (cache / kind / name).mkdir(parents=True)
            (cache / kind / name / "weights").write_bytes(b"weights")
            os.utime(cache / kind / name, (last.timestamp(),) * 2)
        (cache / "documents").mkdir(exist_ok=True)
        (cache / "documents" / f"{name}.parquet").write_bytes(b"documents")
        os.utime(cache / "documents" / f"{name}.parquet", (last.timestamp(),) * 2)
    (cache / "demo").mkdir()
    return cache


def test_what_no_run_has_used_goes_from_the_cache(cache: Path) -> None:
    would = prune_cache(MONTH, dry_run=True, now=NOW)
    assert len(list(cache.glob("*/*"))) == 6
    assert {entry.run_id for entry in would} == {"artifacts/old", "documents/old.parquet", "models/old"}
    assert prune_cache(MONTH, now=NOW) == would
    left = {str(path.relative_to(cache)) for path in cache.glob("*/*")}
    assert left == {"artifacts/young", "documents/young.parquet", "models/young"}
    assert (cache / "demo").is_dir()
    assert prune_cache(timedelta(0), now=NOW) == []


def test_use_of_an_entry_is_noted(cache: Path) -> None:
    mark_used(cache / "models" / "old")
    now = datetime.now(UTC)
    assert "models/old" not in {e.run_id for e in prune_cache(DAY, dry_run=True, now=now)}
    mark_used(cache / "models" / "none")  # of no consequence


def test_the_cache_of_a_machine_that_measures_is_left_alone(cache: Path) -> None:
    command = ["prune", "--cache", "--older-than", "30", "--results-dir", str(cache)]
    with MachineLock() as lock:
        lock.acquire("nightly")
        error = CliRunner().invoke(cli, command).exception
    assert isinstance(error, UserError)
    assert "run nightly" in str(error)
    assert len(list(cache.glob("*/*"))) == 6


def test_command(results: Path) -> None:
    arguments = ["prune", "--older-than", "0", "--results-dir", str(results)]
    dry = CliRunner().invoke(cli, [*arguments, "--dry-run"])
    assert dry.exit_code == 0, dry.exception
    assert "marked: kept, it is the baseline" in dry.output
    assert dry.output.splitlines()[-1].startswith("would free 0.")
    assert (results / "old" / "predictions.parquet").is_file()
    wet = CliRunner().invoke(cli, arguments)
    assert wet.output.splitlines()[-1].startswith("freed 0.")
    assert not (results / "old" / "predictions.parquet").exists()
    shutil.rmtree(results)
    assert isinstance(CliRunner().invoke(cli, arguments).exception, UserError)
