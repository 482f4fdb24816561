"""Prefect's API does not answer: one line, and only where it is Prefect's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from ptdq.orchestration.api import not_answering
from tests.support.deploying import free_port
from tests.support.running import ROOT


def refused(port: int) -> BaseException:
    """What is raised where nobody listens, with what it was raised from."""
    try:
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/health")
        except httpx.TransportError as error:
            raise RuntimeError("no luck") from error
    except RuntimeError as error:
        return error
    raise AssertionError(f"something listens on port {port}")


def test_the_api_is_named_and_no_other_server() -> None:
    api, hub = free_port(), free_port()
    assert api != hub
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{api}/api"}):
        line = not_answering(refused(api))
        assert line is not None
        assert f"http://127.0.0.1:{api}/api does not answer" in line
        assert not_answering(refused(hub)) is None
        assert not_answering(ValueError("a bug")) is None


@pytest.mark.slow
def test_a_run_says_so_in_one_line(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> None:
    api = f"http://127.0.0.1:{free_port()}/api"
    ended = subprocess.run(
        [Path(sys.executable).with_name("ptdq"), "run", "--model", tiny_model, "--data", tiny_data,
         "--max-length", "16", "--results-dir", tmp_path],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": api, "PREFECT_CLIENT_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"ptdq: Prefect's API at {api} does not answer")
    assert list(tmp_path.iterdir()) == []
