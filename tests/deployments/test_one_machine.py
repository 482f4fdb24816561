"""The way from nothing to a report on one machine, for real: server, pool, worker, deployments."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
import yaml
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    DeploymentFilter,
    DeploymentFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from tasks.store import RunFiles, read_json
from tests.deployments.support import Installation
from tests.flows.slow import WAITS
from tests.flows.support import ROOT, SLOW, broken_files, log_of, wait_for

pytestmark = pytest.mark.slow

FLOW = "quantization-benchmark"
FILE = ROOT / "deployments" / "prefect.yaml"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Server, pool and worker, with both deployments of the file; ended whatever happens."""
    running = Installation(tmp_path_factory.mktemp("prefect"))
    try:
        running.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(FILE.relative_to(ROOT)))
        running.start_worker()
        yield running
    finally:
        left = running.stop()
    assert left == []
    assert running.processes() == []


def parameters(model: Path, data: Path, results: Path, **values: Any) -> dict[str, Any]:
    """Parameters of a run that takes seconds."""
    small = {"max_length": [16], "repeats": 1, "control_documents": 0}
    files = {"model": str(model), "data": str(data), "results_dir": str(results)}
    return small | files | values


def run_deployment(
    installation: Installation, name: str, values: dict[str, Any], *options: str
) -> subprocess.CompletedProcess[str]:
    return installation.prefect(
        "deployment", "run", f"{FLOW}/{name}", "--param", f"parameters={json.dumps(values)}", *options,
        check=False,
    )  # fmt: skip


def deployment(installation: Installation, name: str) -> DeploymentResponse:
    with installation.client() as client:
        found: DeploymentResponse = client.read_deployment_by_name(f"{FLOW}/{name}")
        return found


def runs_of(installation: Installation, deployment_id: UUID) -> list[FlowRun]:
    with installation.client() as client:
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        found: list[FlowRun] = client.read_flow_runs(deployment_filter=only)
        return found


def read_run(installation: Installation, run_id: UUID) -> FlowRun:
    with installation.client() as client:
        found: FlowRun = client.read_flow_run(run_id)
        return found


def test_the_form_explains_each_parameter(installation: Installation) -> None:
    schema = deployment(installation, "nightly").parameter_openapi_schema
    assert schema is not None
    properties = schema["definitions"]["Parameters"]["properties"]
    assert {"model", "data", "variant", "max_length", "min_speedup"} <= properties.keys()
    assert [name for name, field in properties.items() if not field.get("description")] == []


def test_deployments_are_those_of_the_file(installation: Installation) -> None:
    for declared in yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]:
        found = deployment(installation, declared["name"])
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
        if run.parameters["parameters"].get("run_id") == "deployed"
    ]
    assert run.state is not None
    assert run.state.is_completed()
    with installation.client() as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        artifacts = {a.key: a for a in client.read_artifacts(artifact_filter=of_run)}
    assert str(artifacts["ptdq-report"].data).startswith("# ")
    (verdict,) = json.loads(str(artifacts["ptdq-verdict"].data))
    assert verdict["run_id"] == "deployed"
    figures = json.loads(str(artifacts["ptdq-figures"].data))
    assert {row["variant"] for row in figures} == {"fp32", "int8-dynamic"}
    assert read_json(RunFiles(tmp_path / "deployed").record)["flow_run_id"] == str(run.id)


def test_a_schedule_starts_runs(
    installation: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    # The nightly deployment under another name, every minute and with a tiny model.
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    (copy,) = [d for d in content["deployments"] if d["name"] == "nightly"]
    copy["name"] = "every-minute"
    copy["schedules"][0] |= {"cron": "* * * * *", "slug": "every-minute"}
    copy["parameters"] = {"parameters": parameters(tiny_model, tiny_data, tmp_path)}
    content["deployments"] = [copy]
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    installation.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
    found = deployment(installation, "every-minute")

    def started() -> FlowRun | None:
        runs = [run for run in runs_of(installation, found.id) if run.start_time is not None]
        return runs[0] if runs else None

    run = wait_for("scheduled run that started", started, seconds=400)
    # One is enough; those that are planned already would only queue up.
    installation.prefect("deployment", "delete", f"{FLOW}/every-minute")
    assert run.auto_scheduled

    def ended() -> FlowRun | None:
        now = read_run(installation, run.id)
        return now if now.state is not None and now.state.is_final() else None

    last = wait_for("end of the scheduled run", ended, seconds=400).state
    assert last is not None
    assert last.is_completed(), last.message
    (directory,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert RunFiles(directory).report.is_file()


def test_a_cancelled_run_leaves_nothing(
    installation: Installation, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    files = RunFiles(tmp_path / "cancelled")
    values = parameters(tiny_model, tiny_data, tmp_path, run_id="cancelled", variant=[SLOW])
    before = {process.pid for process in installation.processes()}
    assert run_deployment(installation, "demo", values).returncode == 0
    wait_for("waiting worker", lambda: WAITS in log_of(files, "tests.flows.slow-Slow-L16-r0"))
    of_run = [process for process in installation.processes() if process.pid not in before]
    assert any("tasks.measure.worker" in process.cmdline() for process in of_run)

    (run,) = [
        run
        for run in runs_of(installation, deployment(installation, "demo").id)
        if run.parameters["parameters"].get("run_id") == "cancelled"
    ]
    installation.prefect("flow-run", "cancel", str(run.id))
    _, alive = psutil.wait_procs(of_run, timeout=120)
    assert alive == []
    assert broken_files(tmp_path) == []

    def cancelled() -> bool:
        state = read_run(installation, run.id).state
        return state is not None and state.is_cancelled()

    wait_for("state Cancelled", cancelled, seconds=120)
