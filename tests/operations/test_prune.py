"""Retention: what goes, what stays, and what can still be done with the rest."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from flows.cli import cli
from tasks import baseline
from tasks.errors import UserError
from tasks.prune import prune
from tasks.report import build_report, show
from tasks.store import RunFiles, read_json
from tasks.summary import write_summary
from tests.operations.runs import make_run

NOW = datetime(2026, 12, 1, tzinfo=UTC)
MONTH, DAY = timedelta(days=30), timedelta(days=1)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for run_id, ended in (("old", "2026-10-01"), ("young", "2026-11-30"), ("marked", "2026-09-01")):
        build_report(make_run(tmp_path, run_id, record={"ended_at": f"{ended}T00:00:00+00:00"}))
    broken = {"status": "running", "ended_at": None}
    make_run(tmp_path, "broken", record=broken)
    baseline.mark(tmp_path, "marked")
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
