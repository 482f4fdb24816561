"""``python -m deployments.serve``: the deployments of the file, without pool and worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import DeploymentStatus, FlowRun

from deployments import serve
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from tests.support.deploying import FLOW, parameters
from tests.support.running import ROOT, wait_for


def test_what_is_served_is_what_the_file_declares() -> None:
    for name, declared in serve.declared().items():
        made = serve.served(declared)
        assert (made.name, made.flow_name) == (name, "retention" if name == "retention" else FLOW)
        assert made.parameters == declared["parameters"]
        assert [s.schedule.cron for s in made.schedules or []] == [  # type: ignore[union-attr]
            s["cron"] for s in declared.get("schedules", [])
        ]
        assert made.concurrency_limit == 1


def test_a_name_that_is_not_there_is_refused() -> None:
    result = CliRunner().invoke(serve.main, ["monthly"])
    assert result.exit_code == 2
    assert "no deployment monthly; there are demo, nightly" in result.output


@pytest.mark.slow
@pytest.mark.long
def test_a_served_deployment_runs(
    prefect_server: str, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deployments.serve", "demo"],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": prefect_server},
        start_new_session=True,
    )
    try:
        with get_client(sync_client=True) as client:

            def ready() -> bool:
                assert process.poll() is None
                found = [d for d in client.read_deployments() if d.name == "demo"]
                return any(d.status == DeploymentStatus.READY for d in found)

            wait_for("served deployment", ready)
            deployment = client.read_deployment_by_name(f"{FLOW}/demo")
            asked = parameters(tiny_model, tiny_data, tmp_path, run_id="served")
            run = client.create_flow_run_from_deployment(deployment.id, parameters=asked)

            def ended() -> FlowRun | None:
                found: FlowRun = client.read_flow_run(run.id)
                return found if found.state is not None and found.state.is_final() else None

            state = wait_for("its end", ended).state
            assert state is not None
            assert state.is_completed(), state.message
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    record = read_json(RunFiles(tmp_path / "served").record)
    assert record["status"] == "completed"
