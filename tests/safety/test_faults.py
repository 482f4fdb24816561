"""Faults: after each no process and no socket is left, and no finished cell is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from ptdq.store.disk import file_digest
from tests.safety.scene import DONE_CELL, HELD_CELL, LONG, SECONDS, SERVER, WAIT, Scene, ended
from tests.support.running import wait_for
from tests.support.small_disk import fill, small_file_system

pytestmark = LONG


@dataclass(frozen=True)
class Fault:
    """Something that befalls a run in the middle.

    Attributes:
        inject: does it.
        record: status of the run afterwards, as who reads its record finds it.
        statuses: exit statuses of the run; negative for a signal.
    """

    inject: Callable[[Scene], object]
    record: str
    statuses: tuple[int, ...]


def to_run(number: int) -> Callable[[Scene], object]:
    return lambda scene: scene.process.send_signal(number)


def to_session(number: int) -> Callable[[Scene], object]:
    """As a terminal that is closed, or Ctrl-C, does it: to every process of the session."""
    return lambda scene: os.killpg(scene.process.pid, number)


def to_worker(number: int) -> Callable[[Scene], object]:
    return lambda scene: scene.worker().send_signal(number)


def to_server(number: int) -> Callable[[Scene], object]:
    def inject(scene: Scene) -> None:
        scene.server().send_signal(number)
        scene.hold.unlink()

    return inject


def to_server_and_run(scene: Scene) -> None:
    scene.server().kill()
    scene.process.kill()


def to_all_at_once(scene: Scene) -> None:
    """As the machine does that is short of memory, or loses its power."""
    for process in scene.processes():
        process.kill()


def stopped_and_killed(scene: Scene) -> None:
    scene.process.send_signal(signal.SIGSTOP)
    scene.process.kill()


def twice(number: int) -> Callable[[Scene], object]:
    def inject(scene: Scene) -> None:
        scene.process.send_signal(number)
        scene.process.send_signal(number)

    return inject


def remove_results(scene: Scene) -> None:
    """Somebody removes what is not finished yet, and the run goes on."""
    for path in (scene.files.requests, scene.files.logs):
        for file in path.iterdir():
            if file.name != f"{HELD_CELL}.log":
                file.unlink()
    scene.hold.unlink()


BROKEN, DONE = "broken off", "completed"
SIGNALS = (
    signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT,
    signal.SIGSEGV,
)  # fmt: skip
MIDDLE: dict[str, Fault] = {
    **{
        f"{number.name} to the run": Fault(to_run(number), BROKEN, (1, 130, -number))
        for number in SIGNALS
    },
    **{
        f"{number.name} to the run and all of its session": Fault(
            to_session(number), BROKEN, (1, 130, -number)
        )
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL)
    },
    "SIGTERM twice": Fault(twice(signal.SIGTERM), BROKEN, (1, -15)),
    "SIGINT twice": Fault(twice(signal.SIGINT), BROKEN, (1, 130, -2)),
    "SIGSTOP, then SIGKILL to the run": Fault(stopped_and_killed, BROKEN, (-9,)),
    "SIGKILL to every process at once": Fault(to_all_at_once, BROKEN, (-9,)),
    "SIGKILL to the server and the run": Fault(to_server_and_run, BROKEN, (-9,)),
    "SIGKILL to a worker": Fault(to_worker(signal.SIGKILL), DONE, (1,)),
    "SIGTERM to a worker": Fault(to_worker(signal.SIGTERM), DONE, (1,)),
    "SIGSEGV to a worker": Fault(to_worker(signal.SIGSEGV), DONE, (1,)),
    "SIGKILL to the temporary server": Fault(to_server(signal.SIGKILL), DONE, (1,)),
    "SIGTERM to the temporary server": Fault(to_server(signal.SIGTERM), DONE, (1,)),
    "requests and logs removed": Fault(remove_results, DONE, (0,)),
}


@pytest.mark.parametrize("fault", MIDDLE, ids=MIDDLE.keys())
def test_a_fault_in_the_middle(fault: str, scene: Scene) -> None:
    chosen = MIDDLE[fault]
    scene.start_new()
    scene.wait_until("middle", scene.in_the_middle)
    assert set(scene.before[2]) == {DONE_CELL}
    assert scene.before[1]
    chosen.inject(scene)
    status = scene.process.wait(timeout=SECONDS * 3)
    assert status in chosen.statuses, scene.output()
    wait_for("end of all", lambda: not scene.processes(), seconds=WAIT)
    assert scene.status() == chosen.record, scene.output()
    ended(scene, fault, f"exit status {status}")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_fault_while_the_server_starts(name: str, scene: Scene) -> None:
    scene.start_new()
    scene.wait_until("server", lambda: any(SERVER in p.cmdline() for p in scene.processes()))
    scene.process.send_signal(getattr(signal, name))
    status = scene.process.wait(timeout=SECONDS)
    assert status != 0
    assert scene.status() == "none"
    ended(scene, f"{name} while the server starts", f"exit status {status}")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """In the data of the largest column: what pages say of themselves is not what is read."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    largest = max(columns, key=lambda column: column.total_compressed_size)
    content = bytearray(path.read_bytes())
    content[largest.data_page_offset + largest.total_compressed_size // 2] ^= 1
    path.write_bytes(content)


def copied_from_the_other(path: Path) -> None:
    other = path.with_name(f"{HELD_CELL}.parquet")
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a cell's file cut short": ("cell", truncate),
    "a cell's file empty": ("cell", lambda path: path.write_bytes(b"")),
    "a bit of a cell's file flipped": ("cell", flip),
    "a cell's file in the place of another's": ("cell", copied_from_the_other),
    "the documents' file cut short": ("documents", truncate),
    "the documents' file gone": ("documents", lambda path: path.unlink()),
}


def test_files_that_are_damaged_are_mended_when_the_run_goes_on(scene: Scene) -> None:
    """One run, damaged again and again, and resumed each time."""
    scene.start_new()
    scene.wait_until("middle", scene.in_the_middle)
    scene.process.kill()
    scene.process.wait()
    wait_for("end of all", lambda: not scene.processes(), seconds=WAIT)
    scene.resume()
    assert scene.process.wait(timeout=SECONDS * 3) == 0, scene.output()
    sound = file_digest(scene.files.table("documents"))
    for fault, (kind, damage) in DAMAGES.items():
        path = scene.files.cell(DONE_CELL) if kind == "cell" else scene.files.table("documents")
        damage(path)
        scene.before = ([], set(), {HELD_CELL: scene.cells()[HELD_CELL]})
        scene.resume()
        assert scene.process.wait(timeout=SECONDS * 3) == 0, scene.output()
        assert file_digest(scene.files.table("documents")) == sound
        assert set(scene.cells()) == {DONE_CELL, HELD_CELL}
        assert scene.status() == DONE
        again = "measured again" in scene.output()
        assert again == (kind == "cell"), scene.output()
        ended(scene, fault, "resumed: the cell is measured again" if again else "resumed: copied anew")


def test_a_disk_that_is_full(scene: Scene) -> None:
    with small_file_system(scene.files.directory.parent) as results:
        scene.start_new()
        scene.wait_until("middle", scene.in_the_middle)
        ballast = fill(results)
        scene.hold.unlink()
        assert scene.process.wait(timeout=SECONDS * 3) == 1, scene.output()
        assert "no space left" in scene.output().splitlines()[-1]
        assert scene.status() == BROKEN
        ballast.unlink()
        ended(scene, "the disk is full", "exit status 1, one line")


def test_a_results_directory_that_turns_read_only(scene: Scene) -> None:
    results = scene.files.directory.parent
    with small_file_system(results):
        scene.start_new()
        scene.wait_until("middle", scene.in_the_middle)
        # Over the other, which has files that are being written and would stay as it is.
        for options in (["--bind", str(results)], ["-o", "remount,bind,ro"]):
            subprocess.run(["mount", *options, str(results)], check=True)
        try:
            scene.hold.unlink()
            assert scene.process.wait(timeout=SECONDS * 3) == 1, scene.output()
            assert scene.status() == BROKEN
            assert '"status": "running"' in scene.files.record.read_text(encoding="utf-8")
            ended(scene, "the results directory turns read-only", "exit status 1")
        finally:
            subprocess.run(["umount", "--lazy", str(results)], check=True)


def test_an_api_that_is_silent_or_gone(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_port = silent.getsockname()[1]
        for fault, port in (("an API that never answers", silent_port), ("an API that is gone", 9)):
            scene.settings = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
            scene.start_new()
            assert scene.process.wait(timeout=SECONDS) == 1, scene.output()
            (line,) = scene.output().splitlines()
            assert "does not answer" in line
            scene.before = ([psutil.Process()], set(), {})
            ended(scene, fault, "exit status 1, one line, nothing begun")


def test_there_are_enough() -> None:
    assert len(MIDDLE) + 3 + len(DAMAGES) + 4 >= 30
