"""Running the flow and the command line, and looking at the processes that they start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import psutil
import pyarrow.parquet as pq
from prefect.client.schemas.objects import State

from ptdq.store.layout import RunFiles

ROOT = Path(__file__).resolve().parents[2]

T = TypeVar("T")


@dataclass(frozen=True)
class Finished:
    """A flow run at its end."""

    state: State[Any]
    files: RunFiles

    @property
    def flow_run_id(self) -> UUID:
        found = self.state.state_details.flow_run_id
        assert found is not None
        return found


Run = Callable[..., Finished]


def run_flow(**values: Any) -> State[Any]:
    """Run the flow in this process; its final state."""
    from ptdq.flows.benchmark import quantization_benchmark

    return cast(State[Any], quantization_benchmark(**values, return_state=True))


def hear_signals() -> None:
    """In a child before its program: the shell that began this in the background had us deaf to these.

    Prefect's worker is one that would not end: it answers SIGTERM by sending itself a SIGINT.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start_ptdq(*arguments: object, server: str) -> subprocess.Popen[bytes]:
    """``ptdq`` as a user starts it, in a session of its own, against a running server."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("ptdq"), *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": server},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


PATIENCE = float(os.environ.get("PTDQ_TEST_PATIENCE", "1"))
"""What time limits of tests are multiplied by: more on a machine that is busy."""


def wait_for(what: str, condition: Callable[[], T | None], seconds: float = 300, every: float = 0.1) -> T:
    """What ``condition`` gives as soon as it is true; it is asked again after so many seconds."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every)
    raise AssertionError(f"no {what} within {seconds:.0f} s")


def worker(files: RunFiles, cell_id: str) -> psutil.Process | None:
    """The process that measures a cell, if there is one."""
    request = str(files.requests / f"{cell_id}.json")
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if "ptdq.measure.worker" in arguments and request in arguments:
            return process
    return None


def log_of(files: RunFiles, cell_id: str) -> str:
    """What the worker of a cell has written so far."""
    path = files.logs / f"{cell_id}.log"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def broken_files(directory: Path) -> list[Path]:
    """Files that are not whole: temporary ones, and tables that cannot be read."""
    broken = []
    for path in directory.rglob("*"):
        if path.name.startswith("."):
            broken.append(path)
        elif path.suffix == ".parquet":
            try:
                pq.ParquetFile(path).read()
            except Exception:
                broken.append(path)
    return broken
