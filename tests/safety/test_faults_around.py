"""Faults of what is around a run: processes that stand still, clocks, servers, directories, Dask."""

from __future__ import annotations

import http.server
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ptdq.store.disk import read_json
from ptdq.store.layout import ShardFiles
from ptdq.store.rows import CellRow
from ptdq.store.run import load
from tests.safety.scene import DONE_CELL, HELD_CELL, LONG, SECONDS, WAIT, Scene, ended
from tests.support.held import CLOCK, HELD
from tests.support.running import PATIENCE, broken_files, wait_for

pytestmark = LONG

AWAY = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
"""A proxy that is not there."""


def in_the_middle(scene: Scene, *arguments: object) -> None:
    scene.start_new(*arguments)
    scene.wait_until("middle", scene.in_the_middle)


def to_its_end(scene: Scene, status: int = 0) -> None:
    """The run comes to its report."""
    scene.hold.unlink(missing_ok=True)
    assert scene.process.wait(timeout=SECONDS * 3) == status, scene.output()
    assert scene.status() == "completed"
    assert broken_files(scene.files.directory) == []


def flags_of_held(scene: Scene) -> list[str]:
    """What is said of the cell that waited."""
    (cell,) = [row for row in load(scene.files).rows(CellRow) if row["variant"] == HELD]
    return cell["flags"] or []


def the_line(scene: Scene, status: int) -> str:
    """The one line with which a command ended that began nothing."""
    assert scene.process.wait(timeout=SECONDS) == status, scene.output()
    (line,) = scene.output().splitlines()
    scene.before = ([psutil.Process()], set(), {})
    return line


def test_a_run_that_is_stopped_for_a_while(scene: Scene) -> None:
    in_the_middle(scene)
    scene.process.send_signal(signal.SIGSTOP)
    scene.hold.unlink()
    wait_for("cell of the worker, which goes on", lambda: HELD_CELL in scene.cells(), seconds=WAIT)
    scene.process.send_signal(signal.SIGCONT)
    to_its_end(scene)
    assert any("the run's own process was stopped" in flag for flag in flags_of_held(scene))
    ended(scene, "SIGSTOP to the run for a while", "completed, flagged in the cell")


def test_a_worker_that_is_stopped_for_a_while(scene: Scene) -> None:
    in_the_middle(scene)
    worker = scene.worker()
    worker.suspend()
    scene.hold.unlink()
    time.sleep(3)
    worker.resume()
    to_its_end(scene)
    ended(scene, "SIGSTOP to a worker for a while", "completed")


def test_a_clock_that_is_set(scene: Scene) -> None:
    scene.settings = {CLOCK: "-86400"}
    in_the_middle(scene)
    to_its_end(scene)
    assert any(flag.startswith("the clock was set by -86400.0 s") for flag in flags_of_held(scene))
    ended(scene, "the clock is set back by a day", "completed, flagged in the cell")


def test_a_worker_that_hangs(scene: Scene) -> None:
    in_the_middle(scene, "--cell-timeout", 75 * PATIENCE)
    scene.worker().suspend()
    assert scene.process.wait(timeout=SECONDS * 3) == 1, scene.output()
    assert scene.status() == "completed"
    (failed,) = load(scene.files).failed
    assert "exceeded its time limit" in str(failed["error"])
    ended(scene, "a worker that hangs", "its time is up: exit status 1, the cell is failed")


def test_a_server_that_accepts_and_never_answers_any_more(scene: Scene) -> None:
    scene.settings = {"PREFECT_API_REQUEST_TIMEOUT": "5"}
    in_the_middle(scene)
    scene.server().suspend()
    scene.hold.unlink()
    assert scene.process.wait(timeout=SECONDS * 4) == 1, scene.output()
    assert "does not answer" in scene.output().splitlines()[-1]
    assert "Traceback" not in scene.output()
    assert broken_files(scene.files.directory) == []
    ended(scene, "the server accepts and answers no more", "exit status 1, one line")


def test_a_proxy_that_is_not_there(scene: Scene) -> None:
    scene.settings = AWAY | {"NO_PROXY": "", "no_proxy": ""}
    in_the_middle(scene)
    to_its_end(scene)
    ended(scene, "a proxy that is not there", "completed: not asked for loopback")


def test_a_working_directory_that_is_removed(scene: Scene) -> None:
    scene.directory = scene.scratch / "here"
    scene.directory.mkdir()
    in_the_middle(scene)
    scene.directory.rmdir()
    to_its_end(scene)
    ended(scene, "the working directory is removed", "completed")


def test_a_working_directory_that_is_gone(scene: Scene) -> None:
    gone = scene.scratch / "gone"
    gone.mkdir()
    with (scene.scratch / "output").open("wb") as output:
        scene.process = subprocess.Popen(
            ["/bin/sh", "-c", f"rmdir {gone}; exec {sys.executable} -P -m ptdq run --model m --data d"],
            cwd=gone,
            env={"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PREFECT_HOME": str(scene.home)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    assert "the working directory is gone" in the_line(scene, 2)
    ended(scene, "started in a directory that is gone", "exit status 2, one line")


def test_a_name_that_is_too_long(scene: Scene) -> None:
    scene.start("--model", scene.model, "--data", scene.data, "--run-id", "x" * 5000)
    assert "too long" in the_line(scene, 2)
    ended(scene, "a name that is too long", "exit status 2, one line")


def test_a_server_of_an_old_version(scene: Scene) -> None:
    class Old(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps("2.20.1").encode())

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scene.settings = {"PREFECT_API_URL": f"http://127.0.0.1:{server.server_port}/api"}
        scene.start_new()
        assert "is of version 2.20.1" in the_line(scene, 1)
        server.shutdown()
    ended(scene, "a server of an old version", "exit status 1, one line, nothing begun")


def test_a_record_that_is_damaged(scene: Scene) -> None:
    in_the_middle(scene)
    scene.process.kill()
    scene.process.wait()
    wait_for("end of all", lambda: not scene.processes(), seconds=WAIT)
    whole = scene.files.record.read_text(encoding="utf-8")
    scene.files.record.write_text(whole[: len(whole) // 2], encoding="utf-8")
    before = scene.before
    scene.resume()
    assert "run.json" in the_line(scene, 2)
    scene.before = before
    scene.files.record.write_text(whole, encoding="utf-8")
    ended(
        scene, "the record is cut short, and the run resumed", "exit status 2, one line, cells are kept"
    )


def test_a_second_run_of_the_same_name(scene: Scene) -> None:
    in_the_middle(scene)
    first, before = scene.process, scene.before
    scene.start(
        "--model", scene.model, "--data", scene.data, "--max-wait", 0, "--max-length", 16,
        "--results-dir", scene.files.directory.parent, "--run-id", scene.files.run_id,
    )  # fmt: skip
    assert "exists already" in the_line(scene, 2)
    scene.process, scene.before = first, before
    to_its_end(scene)
    ended(scene, "a second run of the same name meanwhile", "refused; the first one completes")


@pytest.fixture
def shards(scene: Scene) -> ShardFiles:
    """An evaluation on two Dask workers of this machine, each of which waits in its second shard."""
    pytest.importorskip("prefect_dask")
    files = ShardFiles(scene.files.directory.parent / "shards")
    scene.hold.touch()
    evaluate(scene, files)
    scene.wait_until("two shards", lambda: len(done(files)) == 2)
    return files


def evaluate(scene: Scene, files: ShardFiles) -> None:
    scene.start(
        "--model", scene.model, "--data", scene.data, "--variant", HELD, "--max-length", 16,
        "--shard-documents", 7, "--workers", 2, "--run-id", files.run_id,
        "--results-dir", files.directory.parent, command="evaluate",
    )  # fmt: skip


def done(files: ShardFiles) -> dict[Path, int]:
    """Shards that are finished, with what is another if they were written again."""
    return {path: path.stat().st_mtime_ns for path in files.shards.glob("[0-9]*.parquet")}


def test_a_killed_driver_of_dask_workers(scene: Scene, shards: ShardFiles) -> None:
    scene.process.kill()
    scene.process.wait()
    before, kept = scene.before, done(shards)
    wait_for("end of all", lambda: not scene.processes(), seconds=WAIT)
    scene.hold.unlink()
    evaluate(scene, shards)
    assert scene.process.wait(timeout=SECONDS * 3) == 0, scene.output()
    assert {path: done(shards)[path] for path in kept} == kept
    scene.before = before
    ended(scene, "SIGKILL to the driver of Dask workers", "gone on with: finished shards are kept")


def test_a_killed_dask_worker(scene: Scene, shards: ShardFiles) -> None:
    kept = done(shards)
    workers = [p for p in scene.processes() if "spawn_main" in " ".join(p.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    scene.hold.unlink()
    assert scene.process.wait(timeout=SECONDS * 3) == 0, scene.output()
    assert {path: done(shards)[path] for path in kept} == kept
    assert read_json(shards.record)["documents"] == 40
    ended(scene, "SIGKILL to a Dask worker", "another takes its place: completed")


def test_nothing_befalls(scene: Scene) -> None:
    """What the faults are compared with."""
    in_the_middle(scene)
    assert set(scene.before[2]) == {DONE_CELL}
    to_its_end(scene)
    ended(scene, "none", "completed")
