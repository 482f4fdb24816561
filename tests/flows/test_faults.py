"""A run that is broken off for real, and what is left of it: processes, cells, the way on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ptdq.host.machine import usable_cores
from ptdq.store.disk import file_digest, read_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from tests.support.deploying import free_port
from tests.support.held import HELD, HOLD, WAITS
from tests.support.running import ROOT, broken_files, log_of, wait_for, worker
from tests.support.small_disk import fill, small_file_system

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(len(usable_cores()) < 2, reason="one cell ends while another waits: two cores"),
]

HELD_CELL = "tests.support.held-Held-L16-r0"
DONE_CELL = "fp32-L16-r0"


class Server:
    """A Prefect server of this module's own, which may be killed and come back."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("prefect"), "server", "start",
                 "--host", "127.0.0.1", "--port", str(self.port)],
                env=os.environ | {"PREFECT_HOME": str(self.home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        wait_for("healthy server", self.healthy)

    def healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.api}/health", timeout=5).status == 200)
        return False

    def state_of(self, files: RunFiles) -> dict[str, Any]:
        """The state of the flow run that the run's record names."""
        run: dict[str, Any] = self._ask(f"/flow_runs/{read_json(files.record)['flow_run_id']}")
        state: dict[str, Any] = run["state"]
        return state

    def artifacts_of(self, files: RunFiles) -> set[str]:
        """Keys of the artifacts of that flow run."""
        wanted = {"flow_run_id": {"any_": [read_json(files.record)["flow_run_id"]]}}
        return {found["key"] for found in self._ask("/artifacts/filter", {"artifacts": wanted})}

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            self.api + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    try:
        made.start()
        yield made
    finally:
        made.kill()


@dataclass
class Scene:
    """A run of two cells, of which one is finished and the other waits in the middle."""

    files: RunFiles
    scratch: Path
    api: str
    arguments: list[object]
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def hold(self) -> Path:
        return self.scratch / "hold"

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """``ptdq run``, in a session of its own."""
        # To a file: a pipe that nobody reads meanwhile would stop it when it is full.
        with (self.scratch / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("ptdq"), "run", *map(str, arguments)],
                cwd=ROOT,
                env=os.environ | self.settings | {"PREFECT_API_URL": self.api, HOLD: str(self.hold)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process

    def output(self) -> str:
        """What the last process wrote."""
        return (self.scratch / "output").read_text(encoding="utf-8")

    def break_in_the_middle(self) -> list[psutil.Process]:
        """Start, and return the run's child processes once one cell is finished and the other waits."""
        self.hold.touch()
        process = self.start(*self.arguments)

        def in_the_middle() -> bool:
            assert process.poll() is None, self.output()
            return WAITS in log_of(self.files, HELD_CELL) and self.files.cell(DONE_CELL).is_file()

        wait_for("run in the middle", in_the_middle)
        children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
        assert worker(self.files, HELD_CELL) in children
        assert self.cells() == {DONE_CELL}
        return children

    def resume(self) -> None:
        """``ptdq run --resume``, to its good end."""
        process = self.start("--resume", self.files.run_id, "--results-dir", self.files.directory.parent)
        assert process.wait(timeout=300) == 0, self.output()

    def cells(self) -> set[str]:
        """Ids of the cells that are finished."""
        return {path.stem for path in self.files.cells.glob("*.parquet")}

    def end(self) -> None:
        self.hold.unlink(missing_ok=True)
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def scene(server: Server, tiny_model: Path, tiny_data: Path, tmp_path: Path) -> Iterator[Scene]:
    results = tmp_path / "results"
    results.mkdir(exist_ok=True)
    arguments: list[object] = [
        "--model", tiny_model, "--data", tiny_data, "--variant", "fp32", "--variant", HELD,
        "--max-length", 16, "--repeats", 1, "--control-documents", 0, "--load-wait", 0,
        "--results-dir", results, "--run-id", "broken",
    ]  # fmt: skip
    made = Scene(RunFiles(results / "broken"), tmp_path, server.api, arguments)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes, in the place of the results directory."""
    with small_file_system(tmp_path / "results") as results:
        yield results


def identity(path: Path) -> tuple[Any, ...]:
    """What is another if the file was written again, even with the same content."""
    return path.stat().st_ino, path.stat().st_mtime_ns, file_digest(path)


def complete(scene: Scene, resumed: int) -> None:
    """The run is whole: both cells with all documents, each once, and nothing half-written."""
    record = read_json(scene.files.record)
    assert (record["status"], record["failures"], len(record["resumed_at"])) == ("completed", [], resumed)
    assert scene.cells() == {DONE_CELL, HELD_CELL}
    cells = read_table(scene.files.table("cells")).to_pylist()
    assert [(cell["status"], cell["documents"]) for cell in cells] == [("ok", 40), ("ok", 40)]
    predictions = read_table(scene.files.table("predictions")).to_pandas()
    assert len(predictions[~predictions.warmup]) == 80
    assert broken_files(scene.files.directory) == []
    assert not list(scene.files.cells.glob("*.failed.json"))
    assert scene.files.report.is_file()


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=60)
    return not alive


def test_a_killed_run_goes_on_where_it_was(scene: Scene) -> None:
    children = scene.break_in_the_middle()
    assert scene.process is not None
    scene.process.kill()
    scene.process.wait()
    assert gone(children)
    before = identity(scene.files.cell(DONE_CELL))
    asked = identity(scene.files.requests / f"{DONE_CELL}.json")
    assert scene.cells() == {DONE_CELL}
    assert read_json(scene.files.record)["status"] == "running"
    assert broken_files(scene.files.directory) == []

    scene.hold.unlink()
    scene.resume()
    assert identity(scene.files.cell(DONE_CELL)) == before
    assert identity(scene.files.requests / f"{DONE_CELL}.json") == asked  # no worker was started for it
    complete(scene, resumed=1)
    assert "resumed" in scene.files.report.read_text(encoding="utf-8")


def test_a_full_disk_loses_nothing(small_disk: Path, server: Server, scene: Scene) -> None:
    children = scene.break_in_the_middle()
    assert scene.process is not None
    before = identity(scene.files.cell(DONE_CELL))
    ballast = fill(small_disk)
    scene.hold.unlink()
    assert scene.process.wait(timeout=300) == 1, scene.output()
    *_, last = scene.output().splitlines()
    assert last.startswith("ptdq: no space left")
    assert last.endswith(f"ptdq run --resume {scene.files.directory}")
    assert "Traceback" not in scene.output()
    state = server.state_of(scene.files)
    assert (state["type"], f"ptdq: {state['message']}") == ("FAILED", last)
    assert gone(children)
    assert scene.cells() == {DONE_CELL}
    assert broken_files(scene.files.directory) == []

    ballast.unlink()
    scene.resume()
    assert identity(scene.files.cell(DONE_CELL)) == before
    complete(scene, resumed=1)


def test_a_server_that_dies_and_comes_back_costs_nothing(server: Server, scene: Scene) -> None:
    children = scene.break_in_the_middle()
    assert scene.process is not None
    before = identity(scene.files.cell(DONE_CELL))
    server.kill()
    assert not server.healthy()
    scene.hold.unlink()
    wait_for("second cell", lambda: len(scene.cells()) == 2)
    assert not server.healthy()
    server.start()
    assert scene.process.wait(timeout=300) == 0, scene.output()
    assert gone(children)
    assert identity(scene.files.cell(DONE_CELL)) == before
    complete(scene, resumed=0)
    assert server.state_of(scene.files)["type"] == "COMPLETED"
    assert {"ptdq-report", "ptdq-verdict"} <= server.artifacts_of(scene.files)


def test_a_server_that_stays_away_costs_no_cell_and_no_traceback(server: Server, scene: Scene) -> None:
    # Prefect asks again for a minute, each time; here for seconds.
    scene.settings["PREFECT_CLIENT_MAX_RETRIES"] = "1"
    children = scene.break_in_the_middle()
    assert scene.process is not None
    server.kill()
    scene.hold.unlink()
    assert scene.process.wait(timeout=400) == 1
    *_, last = scene.output().splitlines()
    assert last.startswith(f"ptdq: Prefect's API at {server.api} does not answer")
    assert last.endswith(f"ptdq run --resume {scene.files.directory}")
    assert gone(children)
    assert broken_files(scene.files.directory) == []
    finished = {cell: identity(scene.files.cell(cell)) for cell in scene.cells()}
    assert DONE_CELL in finished

    server.start()
    scene.resume()
    assert all(identity(scene.files.cell(cell)) == found for cell, found in finished.items())
    complete(scene, resumed=1)
