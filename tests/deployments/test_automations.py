"""The server's automations for real: a failing gate is told, a run that died does not stay Running."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from ptdq.store.layout import RunFiles
from tests.support.deploying import (
    FLOW,
    Installation,
    artifacts_of,
    deploy_on_schedule,
    deployment,
    ended,
    parameters,
    run_deployment,
    run_of_schedule,
    runs_of,
)
from tests.support.held import HELD, WAITS
from tests.support.receiver import Messages, receiver
from tests.support.running import ROOT, broken_files, log_of, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]

GATED = "failing-gate"


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, Messages]]:
    """A receiver on loopback: its address, and what it has received."""
    with receiver() as found:
        yield found


@pytest.fixture(scope="module")
def messages(installation: Installation, webhook: tuple[str, Messages]) -> Messages:
    """What the webhook receives, once the automations are made; twice, as a user does who edits."""
    address, received = webhook
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "deployments.automations", "--webhook", address, "--heartbeat", "30"],
            cwd=ROOT,
            env=installation.environment,
            check=True,
            timeout=300,
        )
    with installation.client() as client:
        assert len([a for a in client.read_automations() if a.name.startswith("ptdq: ")]) == 2
    return received


@pytest.fixture(scope="module")
def gated(
    installation: Installation,
    messages: Messages,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Results of a deployment with a gate that fails, on a schedule some minutes from now.

    Not sooner: Prefect holds back the events of a run that starts within five minutes of its being
    planned, for up to fifteen minutes, since its first event is not among them.
    """
    scratch = tmp_path_factory.mktemp("gated")
    # No variant is a thousand times as fast.
    values = parameters(tiny_model, tiny_data, scratch / "results", min_speedup=1000)
    start = datetime.now(UTC) + timedelta(minutes=7)
    deploy_on_schedule(installation, GATED, values, scratch, f"{start:%M %H} * * *")
    return scratch / "results"


def test_a_run_that_died_is_crashed(
    installation: Installation,
    messages: Messages,
    gated: Path,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    files = RunFiles(tmp_path / "died")
    before = {process.pid for process in installation.processes()}
    values = parameters(tiny_model, tiny_data, tmp_path, run_id="died", variant=[HELD])
    assert run_deployment(installation, "demo", values).returncode == 0
    wait_for("waiting worker", lambda: WAITS in log_of(files, "tests.support.held-Held-L16-r0"))
    (run,) = [
        run
        for run in runs_of(installation, deployment(installation, "demo").id)
        if run.parameters.get("run_id") == "died"
    ]
    # As when the machine loses its power: the Prefect worker, the flow and the cell's worker at once.
    of_run = [process for process in installation.processes() if process.pid not in before]
    assert any("ptdq.measure.worker" in process.cmdline() for process in of_run)
    flow = [process for process in of_run if "ptdq.measure.worker" not in process.cmdline()]
    installation.kill_worker()
    for process in flow:
        process.kill()
    _, alive = psutil.wait_procs(of_run, timeout=60)
    assert alive == []
    assert broken_files(tmp_path) == []

    last = wait_for("state Crashed", lambda: ended(installation, run.id), seconds=400)
    assert last.state is not None
    assert last.state.is_crashed()
    assert "heartbeat" in str(last.state.message)
    message = messages.get(timeout=120)
    assert message["subject"] == f"{FLOW}: Crashed"
    assert run.name in message["body"]
    installation.start_worker()


def test_a_failing_gate_is_told_in_the_morning(
    installation: Installation, messages: Messages, gated: Path
) -> None:
    run = run_of_schedule(installation, GATED)
    assert run.state is not None
    assert run.state.is_failed()
    assert str(run.state.message).startswith("gate ")

    message = messages.get(timeout=120)
    assert message["subject"] == f"{FLOW}: Failed"
    for part in (GATED, run.name, str(run.state.message), str(run.id)):
        assert part in message["body"]

    artifacts = artifacts_of(installation, run.id)
    assert artifacts["ptdq-report"].startswith("# ")
    (verdict,) = json.loads(artifacts["ptdq-verdict"])
    (directory,) = gated.iterdir()
    assert verdict["run_id"] == directory.name
