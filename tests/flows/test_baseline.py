"""A run whose baseline run's artifact is measured again, through the whole flow."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table, write_table
from tests.support.running import Finished, Run, start_ptdq

pytestmark = [pytest.mark.slow, pytest.mark.long]

OLD = "int8-dynamic@baseline"


@pytest.fixture(scope="module")
def first(run_tiny: Run, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The first run."""
    return run_tiny("first", results_dir=str(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def nights(first: Finished, run_tiny: Run) -> dict[str, Finished]:
    """The first run; one with another int8 artifact, and one with the same."""
    results = str(first.files.directory.parent)
    other: dict[str, Any] = {"keep_float": ["bert.encoder.layer.0"]}
    return {
        "first": first,
        "changed": run_tiny("changed", results_dir=results, baseline="first", **other),
        "same": run_tiny("same", results_dir=results, baseline="first"),
    }


def test_the_old_artifact_is_a_variant_of_the_new_run(nights: dict[str, Finished]) -> None:
    run = nights["changed"]
    assert run.state.is_completed()
    record = read_json(run.files.record)
    assert {cell["variant"] for cell in record["design"]["cells"]} == {"fp32", "int8-dynamic", OLD}
    rows = {row["variant"]: row for row in read_table(run.files.table("variants")).to_pylist()}
    before = {
        row["variant"]: row["digest"]
        for row in read_table(nights["first"].files.table("variants")).to_pylist()
    }
    assert rows[OLD]["digest"] == before["int8-dynamic"] != rows["int8-dynamic"]["digest"]
    pairs = read_table(run.files.table("comparisons")).to_pylist()
    assert {(row["baseline"], row["variant"]) for row in pairs} == {
        ("fp32", "int8-dynamic"), (OLD, "int8-dynamic"),
    }  # fmt: skip
    assert record["verdict"]["variant"] == "int8-dynamic"


def test_old_and_new_are_compared_within_the_run(nights: dict[str, Finished]) -> None:
    run = nights["changed"]
    found = read_json(run.files.record)["baseline"]
    how = {change["variant"]: change["how"] for change in found["changes"]}
    assert how == {"fp32": None, "int8-dynamic": "measured again"}
    assert any("measured again within changed: int8-dynamic" in note for note in found["notes"])
    text = run.files.report.read_text(encoding="utf-8")
    assert "## Change since run `first`" in text
    assert "| `int8-dynamic` | 16 | measured again |" in text


def test_the_same_artifact_is_not_measured_twice(nights: dict[str, Finished]) -> None:
    run = nights["same"]
    record = read_json(run.files.record)
    assert {cell["variant"] for cell in record["design"]["cells"]} == {"fp32", "int8-dynamic"}
    assert record["not_again"] == {"int8-dynamic": "its artifact is the same, byte for byte"}
    assert {change["how"] for change in record["baseline"]["changes"]} == {None, "between runs"}
    assert record["baseline"]["regressions"] == []


def test_the_old_artifact_is_no_run_of_its_own_in_the_history(nights: dict[str, Finished]) -> None:
    from ptdq.analysis.history import points
    from ptdq.store.results import all_runs

    results: Path = nights["first"].files.directory.parent
    assert {point.variant for point in points(all_runs(results)[0])} == {"fp32", "int8-dynamic"}


def test_a_regression_fails_the_night_with_the_status_of_a_gate(
    first: Finished, prefect_server: str, tmp_path: Path
) -> None:
    """The night before is made one in which int8 was always right."""
    before = RunFiles(tmp_path / "before")
    shutil.copytree(first.files.directory, before.directory)
    path = before.table("predictions")
    table = read_table(path)
    place = table.column_names.index("prediction")
    write_table(path, table.set_column(place, table.schema.field(place), table["label"]))
    asked = read_json(before.record)["parameters"]
    night = start_ptdq(
        "run", "--model", asked["model"], "--data", asked["data"], "--max-length", 16, "--repeats", 1,
        "--control-documents", 0, "--load-wait", 0, "--results-dir", tmp_path, "--run-id", "night",
        "--fail-on-regression",
        server=prefect_server,
    )  # fmt: skip
    out, errors = night.communicate(timeout=300)
    last = errors.decode().splitlines()[-1]
    assert night.returncode == 3, last
    assert "since before: " in last
    assert "int8-dynamic at 16 tokens predicts worse: of 40 documents" in last
    assert out.decode().splitlines()[-1] == str(tmp_path / "night")
    record = read_json(tmp_path / "night" / "run.json")
    assert record["status"] == "completed"
    assert len(record["baseline"]["regressions"]) >= 1
