"""The temporary server of a run: for its run alone, and gone with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.running import ROOT, wait_for

pytestmark = pytest.mark.slow

RUNS = """
import os, time
from prefect import flow
from ptdq.orchestration.server import api

@flow
def one():
    return 1

with api() as address:
    assert one() == 1
    print(address, os.environ["PREFECT_API_AUTH_STRING"], flush=True)
    time.sleep(600)
"""

STOPS = """
import httpx, psutil
from ptdq.orchestration.server import api

with api() as address:
    for process in psutil.Process().children(recursive=True):
        process.suspend()
    httpx.get(f"{address}/health", timeout=2)
"""


def start(tmp_path: Path) -> tuple[subprocess.Popen[str], str, str, list[psutil.Process]]:
    """A process with a temporary server: its address, its password, and the processes below."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNS],
        cwd=ROOT,
        env=os.environ | {"PREFECT_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    address, password = process.stdout.readline().split()
    return process, address, password, psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_it_answers_its_run_and_ends_with_it(number: int, tmp_path: Path) -> None:
    process, address, password, below = start(tmp_path)
    try:
        assert below
        count = f"{address}/flows/count"
        auth = httpx.BasicAuth(*password.split(":"))
        evil = {"Origin": "http://evil.example"}
        assert httpx.post(count, json={}, timeout=30).status_code == 401
        answer = httpx.post(count, json={}, auth=auth, headers=evil, timeout=30)
        assert (answer.status_code, answer.json()) == (200, 1)
        assert "access-control-allow-origin" not in answer.headers
    finally:
        process.send_signal(number)
        process.communicate()
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []

    def refused() -> bool:
        try:
            httpx.get(f"{address}/health", timeout=5)
        except httpx.TransportError:
            return True
        return False

    wait_for("closed port", refused, seconds=10)


def test_one_that_answers_no_more_is_said_to(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STOPS],
        cwd=ROOT,
        env=os.environ | {"PREFECT_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )
    line = "ptdq.errors.RunFailed: Prefect's temporary server does not answer any more"
    assert ended.stderr.splitlines()[-1] == line
