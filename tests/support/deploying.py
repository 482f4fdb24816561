"""A whole Prefect installation on loopback, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from tests.support.running import ROOT, hear_signals, wait_for

POOL = "bench"
FLOW = "quantization-benchmark"
FILE = "deployments/prefect.yaml"
HERE = Path(sys.executable).parent
PASSWORD = "ptdq:not-a-secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """Server, work pool and worker, as a user starts them: by their commands.

    Every process of it, and every one that those start, has the same PREFECT_HOME in its
    environment, by which it is found whoever its parent is.

    Args:
        home: directory for Prefect's files.
        bin: where the commands are.
        directory: what they are run in.
    """

    def __init__(self, home: Path, bin: Path = HERE, directory: Path = ROOT) -> None:
        port = free_port()
        self.home, self.bin, self.directory = home, bin, directory
        self.api = f"http://127.0.0.1:{port}/api"
        environment = {k: v for k, v in os.environ.items() if k != "PTDQ_ROOT"}
        self.environment = environment | {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            # As docs/operations/security.md has it for a server that others reach.
            "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
            "PREFECT_API_AUTH_STRING": PASSWORD,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.api.removesuffix("/api"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLI_COLORS": "false",
            "PYTHONFAULTHANDLER": "1",
            # Wide enough that the tables of the command line do not cut what is looked for.
            "COLUMNS": "200",
        }
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self.port = port
        self.start_server()
        self.prefect("work-pool", "create", POOL, "--type", "process")

    def start_server(self) -> None:
        """Start the server; again after it was killed, on the same port and with its database."""
        self.start("server", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        wait_for("healthy server", self._healthy)

    def kill(self, name: str) -> None:
        """Kill the server or the worker, with what it has started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._started[name].pid, signal.SIGKILL)
        self._started[name].wait()

    def start(self, name: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Run a prefect command in the background, in a session of its own."""
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.bin / "python", "-m", "prefect", *arguments],
                cwd=self.directory,
                env=self.environment | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=hear_signals,
            )
        self._started[name] = process
        return process

    def start_worker(self, allowed: str = "tests.support") -> subprocess.Popen[bytes]:
        """A worker on whose machine parameters may name code of the modules ``allowed``."""
        arguments = ("worker", "start", "--pool", POOL, "--type", "process", "--limit", "1")
        # The shortest interval of heartbeats that Prefect allows.
        variables = {
            "PTDQ_ROOT": str(ROOT),
            "PTDQ_ALLOW_CODE": allowed,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }
        return self.start("worker", *arguments, **variables)

    def kill_worker(self) -> None:
        """Kill the Prefect worker, which cannot tell the server any more."""
        self._started["worker"].kill()
        self._started["worker"].wait()

    def prefect(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a prefect command to its end."""
        done = subprocess.run(
            [self.bin / "python", "-m", "prefect", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    @contextlib.contextmanager
    def client(self):  # type: ignore[no-untyped-def]
        settings = {PREFECT_API_URL: self.api, PREFECT_API_AUTH_STRING: PASSWORD}
        with temporary_settings(settings), get_client(sync_client=True) as client:
            assert isinstance(client, SyncPrefectClient)
            yield client

    def processes(self) -> list[psutil.Process]:
        """All processes that belong to this installation, orphans included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("PREFECT_HOME") == str(self.home):
                    found.append(process)
        return found

    def stop(self) -> list[psutil.Process]:
        """End all in order, the worker before the server; returns what did not end by itself.

        What did not is made to write where it hangs into its log.
        """
        for name in ("worker", "server"):
            process = self._started.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=60)
        left: list[psutil.Process]
        _, left = psutil.wait_procs(self.processes(), timeout=30)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGABRT)
        for process in psutil.wait_procs(left, timeout=5)[1]:
            with contextlib.suppress(psutil.Error):
                process.kill()
        for started in self._started.values():
            started.wait()
        return left

    def last_words(self, lines: int = 80) -> str:
        """The ends of the logs of worker and server."""
        texts = {path.name: path.read_text(errors="replace") for path in self.home.glob("*.log")}
        return "\n".join(
            f"--- {name}\n" + "\n".join(text.splitlines()[-lines:]) for name, text in texts.items()
        )

    def _healthy(self) -> bool:
        server = self._started["server"]
        assert server.poll() is None, (self.home / "server.log").read_text()
        with contextlib.suppress(Exception), self.client() as client:
            return client.api_healthcheck() is None
        return False


def parameters(model: Path, data: Path, results: Path, **values: Any) -> dict[str, Any]:
    """Parameters of a run that takes seconds."""
    small = {"max_length": [16], "repeats": 1, "control_documents": 0, "load_wait": 0}
    files = {"model": str(model), "data": str(data), "results_dir": str(results)}
    return small | files | values


def run_deployment(
    installation: Installation, name: str, values: dict[str, Any], *options: str, flow: str = FLOW
) -> subprocess.CompletedProcess[str]:
    given = [word for key, value in values.items() for word in ("--param", f"{key}={json.dumps(value)}")]
    return installation.prefect("deployment", "run", f"{flow}/{name}", *given, *options, check=False)


def deployment(installation: Installation, name: str, flow: str = FLOW) -> DeploymentResponse:
    with installation.client() as client:
        found: DeploymentResponse = client.read_deployment_by_name(f"{flow}/{name}")
        return found


def runs_of(installation: Installation, deployment_id: UUID) -> list[FlowRun]:
    with installation.client() as client:
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        found: list[FlowRun] = client.read_flow_runs(deployment_filter=only)
        return found


def latest_started(installation: Installation, deployment_id: UUID) -> FlowRun | None:
    """The run that began last; of a schedule there may be hundreds that have not."""
    with installation.client() as client:
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        begun = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
        found: list[FlowRun] = client.read_flow_runs(
            deployment_filter=only, flow_run_filter=begun, sort=FlowRunSort.START_TIME_DESC, limit=1
        )
        return found[0] if found else None


def read_run(installation: Installation, run_id: UUID) -> FlowRun:
    with installation.client() as client:
        found: FlowRun = client.read_flow_run(run_id)
        return found


def deploy_on_schedule(
    installation: Installation, name: str, values: dict[str, Any], scratch: Path, cron: str
) -> None:
    """Deploy the nightly deployment under another name, with another schedule (in UTC)."""
    content = yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8"))
    (copy,) = [d for d in content["deployments"] if d["name"] == "nightly"]
    copy["name"] = name
    copy["schedules"][0] |= {"cron": cron, "timezone": "UTC", "slug": name}
    copy["parameters"] = values
    content["deployments"] = [copy]
    file = scratch / "prefect.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    installation.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))


def run_of_schedule(installation: Installation, name: str) -> FlowRun:
    """The first run that the schedule started, at its end; the schedule is paused then."""
    deployed = deployment(installation, name)

    def started() -> FlowRun | None:
        runs = runs_of(installation, deployed.id)
        return next((run for run in runs if run.start_time is not None), None)

    run = wait_for("scheduled run that started", started, seconds=600)
    assert run.auto_scheduled
    # One is enough; those that are planned already go with the schedule.
    (schedule,) = deployed.schedules
    installation.prefect("deployment", "schedule", "pause", f"{FLOW}/{name}", str(schedule.id))
    return wait_for("end of the scheduled run", lambda: ended(installation, run.id), seconds=400)


def ended(installation: Installation, run_id: UUID) -> FlowRun | None:
    """The flow run, once it is in a final state."""
    run = read_run(installation, run_id)
    return run if run.state is not None and run.state.is_final() else None


def events_of(installation: Installation, run_id: UUID) -> list[dict[str, Any]]:
    """The events of ptdq that a flow run of a deployment has emitted."""

    def stored() -> list[dict[str, Any]]:
        asked = {
            "event": {"prefix": ["ptdq."]},
            "related": {"resources_in_roles": [[f"prefect.flow-run.{run_id}", "flow-run"]]},
        }
        answer = httpx.post(
            f"{installation.api}/events/filter",
            json={"filter": asked},
            auth=httpx.BasicAuth(*PASSWORD.split(":")),
            timeout=30,
        )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    return wait_for("events", stored, seconds=60)


def artifacts_of(installation: Installation, run_id: UUID) -> dict[str, str]:
    """Key and data of the flow run's artifacts."""
    with installation.client() as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        found = client.read_artifacts(artifact_filter=of_run)
        return {artifact.key: str(artifact.data) for artifact in found}
