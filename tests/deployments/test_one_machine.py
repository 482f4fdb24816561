"""The way from nothing to a report on one machine, for real: server, pool, worker, deployments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule

from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from tests.support.deploying import (
    FILE,
    FLOW,
    PASSWORD,
    Installation,
    artifacts_of,
    deploy_on_schedule,
    deployment,
    ended,
    events_of,
    parameters,
    read_run,
    run_deployment,
    run_of_schedule,
    runs_of,
)
from tests.support.held import HELD, WAITS
from tests.support.running import ROOT, broken_files, log_of, wait_for

pytestmark = pytest.mark.slow


def test_the_form_explains_each_parameter(installation: Installation) -> None:
    schema = deployment(installation, "nightly").parameter_openapi_schema
    assert schema is not None
    properties = schema["properties"]
    assert {"model", "data", "variant", "max_length", "min_speedup"} <= properties.keys()
    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_deployments_are_those_of_the_file(installation: Installation) -> None:
    for declared in yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8"))["deployments"]:
        own = "retention" if declared["name"] == "retention" else FLOW
        found = deployment(installation, declared["name"], own)
        assert found.parameters == declared["parameters"]
        assert found.tags == declared["tags"]
        assert found.work_pool_name == "bench"
        assert found.global_concurrency_limit is not None
        assert found.global_concurrency_limit.limit == 1
        # No path of the machine that deployed is in it.
        assert found.path in (None, "", ".")
        assert str(ROOT) not in json.dumps(found.pull_steps)
    (schedule,) = deployment(installation, "nightly").schedules
    assert schedule.active
    assert isinstance(schedule.schedule, CronSchedule)
    assert schedule.schedule.cron == "0 2 * * *"


@pytest.mark.parametrize("bad", [{"repeats": 0}, {"max_length": [2]}, {"no_such": 1}])
def test_bad_parameters_start_no_run(installation: Installation, bad: dict[str, Any]) -> None:
    before = runs_of(installation, deployment(installation, "demo").id)
    done = run_deployment(installation, "demo", {"model": "demo", "data": "demo"} | bad)
    assert done.returncode != 0
    assert next(iter(bad)) in done.stdout + done.stderr
    assert runs_of(installation, deployment(installation, "demo").id) == before


def asked(
    installation: Installation, path: str, origin: str, password: str | None = PASSWORD
) -> httpx.Response:
    """A POST as a page of a browser sends it."""
    auth = None if password is None else httpx.BasicAuth(*password.split(":"))
    headers = {"Origin": origin}
    return httpx.post(f"{installation.api}{path}", json={}, headers=headers, auth=auth, timeout=30)


def test_the_api_answers_those_who_know_the_password(installation: Installation) -> None:
    own = installation.api.removesuffix("/api")
    assert asked(installation, "/flows/filter", own).status_code == 200
    for wrong in (None, "ptdq:guessed"):
        for path in ("/flows/filter", "/work_pools/", "/deployments/"):
            assert asked(installation, path, own, wrong).status_code == 401
    # What a probe of a container asks is free.
    assert httpx.get(f"{installation.api}/health", timeout=30).status_code == 200


def test_the_api_lets_no_page_of_another_origin_ask(installation: Installation) -> None:
    own, foreign = installation.api.removesuffix("/api"), "http://evil.example"
    allowed = {
        origin: asked(installation, "/flows/filter", origin).headers.get("access-control-allow-origin")
        for origin in (own, foreign)
    }
    assert allowed == {own: own, foreign: None}
    preflight = httpx.options(
        f"{installation.api}/flows/filter",
        headers={"Origin": foreign, "Access-Control-Request-Method": "POST"},
        timeout=30,
    )
    assert preflight.status_code in (400, 401)
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.long
@pytest.mark.parametrize(
    "code",
    [
        {"model_loader": "runpy:run_path"},
        pytest.param({"variant": ["runpy:run_path"]}, marks=pytest.mark.long),
        pytest.param({"trust_remote_code": True}, marks=pytest.mark.long),
    ],
    ids=lambda code: next(iter(code)),
)
def test_a_deployment_runs_no_code_that_its_machine_does_not_allow(
    installation: Installation, code: dict[str, Any], tiny_data: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "__main__.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\n")
    name = next(iter(code)).replace("_", "-")
    values = parameters(model, tiny_data, tmp_path / "results", run_id=name, **code)
    assert run_deployment(installation, "demo", values, "--watch").returncode != 0
    (run,) = [
        run
        for run in runs_of(installation, deployment(installation, "demo").id)
        if run.parameters.get("run_id") == name
    ]
    assert run.state is not None
    assert run.state.is_failed()
    assert str(run.state.message).startswith(next(iter(code)))
    assert "PTDQ_ALLOW_CODE=tests.support," in str(run.state.message)
    assert not (tmp_path / "was run").exists()
    assert not (tmp_path / "results").exists()


@pytest.mark.long
def test_a_run_completes_and_its_artifacts_are_there(
    installation: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    done = run_deployment(
        installation, "demo", parameters(tiny_model, tiny_data, tmp_path, run_id="deployed"), "--watch"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = [
        run
        for run in runs_of(installation, deployment(installation, "demo").id)
        if run.parameters.get("run_id") == "deployed"
    ]
    # What the run was not given is the deployment's.
    declared = deployment(installation, "demo").parameters
    assert {"limit", "data"} <= declared.keys()
    assert (run.parameters["limit"], run.parameters["data"]) == (declared["limit"], str(tiny_data))
    assert run.state is not None
    assert run.state.is_completed()
    (event,) = events_of(installation, run.id)
    artifacts = artifacts_of(installation, run.id)
    assert [event["payload"]["verdict"]] == json.loads(artifacts["ptdq-verdict"])
    assert event["payload"]["comparisons"] == json.loads(artifacts["ptdq-comparisons"])
    assert artifacts["ptdq-report"].startswith("# ")
    (verdict,) = json.loads(artifacts["ptdq-verdict"])
    assert (verdict["run_id"], verdict["deployment"]) == ("deployed", "demo")
    client = subprocess.run(
        [sys.executable, "examples/latest_verdict.py", "--deployment", "demo"],
        cwd=ROOT, env=installation.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert json.loads(client.stdout) == verdict | {
        "comparisons": json.loads(artifacts["ptdq-comparisons"])
    }
    figures = json.loads(artifacts["ptdq-figures"])
    assert {row["variant"] for row in figures} == {"fp32", "int8-dynamic"}
    assert read_json(RunFiles(tmp_path / "deployed").record)["flow_run_id"] == str(run.id)


@pytest.mark.long
def test_a_retry_goes_on_with_the_run(
    installation: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    # No variant is a thousand times as fast: the run fails, and is retried as somebody does who sees it.
    values = parameters(
        tiny_model, tiny_data, tmp_path, min_speedup=1000, variant=["fp32", "int8-dynamic"]
    )
    assert run_deployment(installation, "demo", values, "--watch").returncode != 0
    (directory,) = tmp_path.iterdir()
    files = RunFiles(directory)
    run_id = UUID(read_json(files.record)["flow_run_id"])
    cells = {path: path.stat().st_mtime_ns for path in files.cells.iterdir()}
    assert len(cells) == 2

    installation.prefect("flow-run", "retry", str(run_id))
    wait_for("retry", lambda: len(read_json(files.record)["resumed_at"]) == 1, seconds=300)
    again = wait_for("its end", lambda: ended(installation, run_id), seconds=300)
    assert again.state is not None
    assert str(again.state.message).startswith("gate min_speedup failed")
    assert {path: path.stat().st_mtime_ns for path in files.cells.iterdir()} == cells
    assert list(tmp_path.iterdir()) == [directory]


@pytest.mark.long
def test_a_schedule_starts_runs(
    installation: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    values = parameters(tiny_model, tiny_data, tmp_path / "results")
    deploy_on_schedule(installation, "every-minute", values, tmp_path, "* * * * *")
    run = run_of_schedule(installation, "every-minute")
    assert run.state is not None
    assert run.state.is_completed(), run.state.message
    (directory,) = (tmp_path / "results").iterdir()
    assert RunFiles(directory).report.is_file()


@pytest.mark.long
def test_a_cancelled_run_leaves_nothing(
    installation: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    files = RunFiles(tmp_path / "cancelled")
    values = parameters(tiny_model, tiny_data, tmp_path, run_id="cancelled", variant=[HELD])
    before = {process.pid for process in installation.processes()}
    assert run_deployment(installation, "demo", values).returncode == 0
    wait_for("waiting worker", lambda: WAITS in log_of(files, "tests.support.held-Held-L16-r0"))
    of_run = [process for process in installation.processes() if process.pid not in before]
    assert any("ptdq.measure.worker" in process.cmdline() for process in of_run)

    (run,) = [
        run
        for run in runs_of(installation, deployment(installation, "demo").id)
        if run.parameters.get("run_id") == "cancelled"
    ]
    installation.prefect("flow-run", "cancel", str(run.id))
    _, alive = psutil.wait_procs(of_run, timeout=120)
    assert alive == []
    assert broken_files(tmp_path) == []

    def cancelled() -> bool:
        state = read_run(installation, run.id).state
        return state is not None and state.is_cancelled()

    wait_for("state Cancelled", cancelled, seconds=120)
