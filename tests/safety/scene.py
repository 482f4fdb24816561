"""A run as a user starts it, with a temporary server and all that belongs to it, to be broken."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from ptdq.host.machine import usable_cores
from ptdq.store import record
from ptdq.store.disk import file_digest
from ptdq.store.layout import RunFiles
from tests.safety.table import tell
from tests.support.held import HELD, HOLD, WAITS
from tests.support.running import PATIENCE, ROOT, hear_signals, log_of, wait_for, worker

HELD_CELL = "tests.support.held-Held-L16-r0"
DONE_CELL = "fp32-L16-r0"
SERVER = "ptdq.orchestration.server"

WAIT = 120
"""Seconds for a run to end, and all that belongs to it, on a machine that is idle."""

SECONDS = WAIT * PATIENCE

LONG = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(len(usable_cores()) < 2, reason="one cell ends while another waits: two cores"),
]
"""Marks of the tests that break a run."""


@dataclass
class Scene:
    """A run of two cells, of which one is finished and the other waits in the middle.

    Attributes:
        home: of Prefect, the same for every process of the scene and of no other.
        directory: what the command is run in.
        before: processes, listening sockets and finished cells at the moment of the fault.
    """

    files: RunFiles
    scratch: Path
    home: Path
    model: Path
    data: Path
    process: subprocess.Popen[bytes]
    directory: Path = ROOT
    settings: dict[str, str] = field(default_factory=dict)
    before: tuple[list[psutil.Process], set[int], dict[str, str]] = field(default=([], set(), {}))

    @property
    def hold(self) -> Path:
        return self.scratch / "hold"

    def start(self, *arguments: object, command: str = "run") -> None:
        """``ptdq run``, or another command, in a session of its own."""
        with (self.scratch / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ptdq", command, *map(str, arguments)],
                cwd=self.directory,
                env=os.environ
                | {
                    "PYTHONPATH": str(ROOT),
                    "PREFECT_HOME": str(self.home),
                    "PTDQ_LOCK": str(self.scratch / "lock"),
                    "PREFECT_CLIENT_MAX_RETRIES": "1",
                    HOLD: str(self.hold),
                }
                | self.settings,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=hear_signals,
            )

    def start_new(self, *arguments: object) -> None:
        """A new run of both cells."""
        self.hold.touch()
        self.start(
            "--model", self.model, "--data", self.data, "--variant", "fp32", "--variant", HELD,
            "--max-length", 16, "--repeats", 1, "--control-documents", 0, "--load-wait", 0,
            "--results-dir", self.files.directory.parent, "--run-id", self.files.run_id, *arguments,
        )  # fmt: skip

    def resume(self) -> None:
        """Go on with the run."""
        self.hold.unlink(missing_ok=True)
        self.start("--resume", self.files.run_id, "--results-dir", self.files.directory.parent)

    def output(self) -> str:
        """What the last process wrote."""
        return (self.scratch / "output").read_text(encoding="utf-8", errors="replace")

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for something of a run that goes on; note what there is then."""

        def reached() -> bool:
            assert self.process.poll() is None, self.output()
            return condition()

        wait_for(what, reached, seconds=400)
        alive = self.processes()
        self.before = (alive, listening(alive), self.cells())

    def in_the_middle(self) -> bool:
        return WAITS in log_of(self.files, HELD_CELL) and self.files.cell(DONE_CELL).is_file()

    def processes(self) -> list[psutil.Process]:
        """All processes of the scene, orphans included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.environ().get("PREFECT_HOME") == str(self.home)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found

    def server(self) -> psutil.Process:
        """The temporary server."""
        (found,) = [p for p in self.processes() if SERVER in p.cmdline()]
        return found

    def worker(self) -> psutil.Process:
        """The process of the cell that waits."""
        found = worker(self.files, HELD_CELL)
        assert found is not None
        return found

    def cells(self) -> dict[str, str]:
        """Finished cells with the hash of their files."""
        return {path.stem: file_digest(path) for path in self.files.cells.glob("*.parquet")}

    def status(self) -> str:
        """The run's status, as who reads its record finds it."""
        if not self.files.record.is_file():
            return "none"
        return str(record.read(self.files).status)

    def end(self) -> None:
        """End what is left."""
        self.hold.unlink(missing_ok=True)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait()


def ended(scene: Scene, fault: str, then: str = "") -> None:
    """Nothing is left of the run, and nothing is lost; told to the table."""
    before, ports, cells = scene.before
    _, left = psutil.wait_procs(scene.processes(), timeout=SECONDS)
    assert scene.processes() == left == []
    wait_for("closed sockets", lambda: not open_ports(ports), seconds=WAIT)
    after = scene.cells()
    assert {cell: after.get(cell) for cell in cells} == cells
    tell(
        "faults",
        fault=fault,
        processes=[len(before), 0],
        sockets=[len(ports), 0],
        cells=[len(cells), len([cell for cell in cells if cell in after])],
        record=scene.status(),
        then=then,
    )


def listening(processes: list[psutil.Process]) -> set[int]:
    """Ports on which any of these processes listens."""
    ports = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            ports |= {
                found.laddr.port
                for found in process.net_connections(kind="inet")
                if found.status == psutil.CONN_LISTEN
            }
    return ports


def open_ports(ports: set[int]) -> set[int]:
    """Those of some ports of this machine on which anybody listens."""
    found = psutil.net_connections(kind="inet")
    return {c.laddr.port for c in found if c.status == psutil.CONN_LISTEN} & ports
