"""Trackers: what they are given, who they are, and MLflow for real where it is installed."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ptdq import tracking
from ptdq.errors import RunFailed, UserError
from ptdq.report import build_report
from ptdq.store.layout import RunFiles
from ptdq.tracking import Tracked, send
from ptdq.tracking.tracked import tracked
from tests.support.runs import make_run

GIVEN: list[tuple[Tracked, str | None]] = []


def keep(run: Tracked, target: str | None) -> str:
    """A tracker of another package."""
    GIVEN.append((run, target))
    return "kept"


def refuse(run: Tracked, target: str | None) -> str:
    """A tracker whose server is away."""
    raise ConnectionError("no route to it")


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    verdict = {"decision": "ship", "variant": "int8-dynamic", "headline": "so it is"}
    files = make_run(tmp_path / "results", "run", record={"verdict": verdict})
    build_report(files)
    return files


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trackers that other packages have."""
    points = [
        EntryPoint(name, f"{__name__}:{function}", send.GROUP)
        for name, function in (("keep", "keep"), ("refuse", "refuse"), ("broken", "no_such"))
    ]
    monkeypatch.setattr(send, "entry_points", lambda group: points if group == send.GROUP else [])
    GIVEN.clear()


def test_a_tracker_is_given_figures_with_their_intervals(run: RunFiles, others: None) -> None:
    assert tracking.track(run, "keep:some/where") == "kept"
    ((given, target),) = GIVEN
    assert target == "some/where"
    assert (given.run_id, given.directory) == ("run", run.directory)
    assert given.tags["ptdq.decision"] == "ship"
    assert json.loads(given.parameters["variant"]) == ["fp32", "int8-dynamic"]
    for name in ("speedup", "f1_weighted_difference"):
        low, value, high = (given.metrics[f"int8-dynamic.128.{name}{e}"] for e in ("_low", "", "_high"))
        assert low < value < high
    assert given.metrics["fp32.128.total_mean_ms"] > 0
    names = {path.relative_to(run.directory).as_posix() for path in given.files}
    assert {"run.json", "report.md", "report.html", "comparisons.parquet", "plots/ratios.png"} <= names


def test_what_cannot_be_used_is_refused_before_any_work(
    others: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking.check(None)
    tracking.check("keep")
    for name, words in (
        ("nothing", "no such tracker; there are mlflow, keep, refuse, broken"),
        ("broken", "no_such"),
    ):
        with pytest.raises(UserError, match=words):
            tracking.check(name)
    monkeypatch.setattr(send.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="pip install mlflow"):
        tracking.check("mlflow:http://server:5000")


def test_a_tracker_that_fails_leaves_the_run_whole(run: RunFiles, others: None) -> None:
    with pytest.raises(RunFailed, match=r"no route to it; the report is whole: ") as caught:
        tracking.track(run, "refuse")
    assert caught.value.directory == str(run.directory)


@pytest.mark.slow
def test_mlflow_has_the_run(run: RunFiles, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracking.track(run, f"mlflow:{uri}")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("ptdq")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    given = tracked(run)
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert found.data.metrics == pytest.approx(given.metrics)
    assert found.data.params.keys() == given.parameters.keys()
    assert found.data.tags["ptdq.decision"] == "ship"
    copied = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert {"report.html", "run.json", "comparisons.parquet", "plots"} <= copied
