"""A whole Prefect installation on loopback, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.flows.support import ROOT, wait_for

POOL = "bench"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """Server, work pool and worker, as a user starts them: by their commands.

    Every process of it, and every one that those start, has the same PREFECT_HOME in its
    environment, by which it is found whoever its parent is.
    """

    def __init__(self, home: Path) -> None:
        port = free_port()
        self.home = home
        self.api = f"http://127.0.0.1:{port}/api"
        environment = {k: v for k, v in os.environ.items() if k != "PTDQ_ROOT"}
        self.environment = environment | {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLI_COLORS": "false",
            # Wide enough that the tables of the command line do not cut what is looked for.
            "COLUMNS": "200",
        }
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self.start("server", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        wait_for("healthy server", self._healthy)
        self.prefect("work-pool", "create", POOL, "--type", "process")

    def start(self, name: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        """Run a prefect command in the background, in a session of its own."""
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [_prefect(), *arguments],
                cwd=ROOT,
                env=self.environment | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started[name] = process
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        arguments = ("worker", "start", "--pool", POOL, "--type", "process", "--limit", "1")
        return self.start("worker", *arguments, PTDQ_ROOT=str(ROOT))

    def prefect(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a prefect command to its end."""
        done = subprocess.run(
            [_prefect(), *arguments],
            cwd=ROOT,
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
        with temporary_settings({PREFECT_API_URL: self.api}), get_client(sync_client=True) as client:
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
        """End all in order, the worker before the server; returns what did not end by itself."""
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
                process.kill()
        for process in self._started.values():
            process.wait()
        return left

    def _healthy(self) -> bool:
        server = self._started["server"]
        assert server.poll() is None, (self.home / "server.log").read_text()
        with contextlib.suppress(Exception), self.client() as client:
            return client.api_healthcheck() is None
        return False


def _prefect() -> str:
    return str(Path(sys.executable).with_name("prefect"))
