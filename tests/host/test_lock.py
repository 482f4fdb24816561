"""The machine's lock, held and waited for by real processes that end in every way."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptdq.errors import UserError
from ptdq.host.lock import MachineLock, describe, holder, lock_path
from ptdq.host.machine import usable_cores
from ptdq.host.quiet import Load, busiest, wait_for_quiet

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
    import time
    lock.acquire("first")
    print("held", flush=True)
    time.sleep(600)
"""
WAIT = """
    lock.acquire("second", lambda text: print(text, flush=True), pause=0.05)
    print("held", flush=True)
"""

Process = subprocess.Popen[str]


class Machine:
    """Processes that share a lock; none outlives the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.processes: list[Process] = []

    def start(self, script: str) -> Process:
        text = "from ptdq.host.lock import MachineLock\nlock = MachineLock()\n" + textwrap.dedent(script)
        process = subprocess.Popen(
            [sys.executable, "-c", text],
            cwd=ROOT,
            env=os.environ | {"PTDQ_LOCK": str(self.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.processes.append(process)
        return process


def line(process: Process) -> str:
    """The next line that a process writes."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "lock")
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_waits_says_for_whom_and_goes_on_when_the_holder_dies(
    machine: Machine, end: signal.Signals
) -> None:
    first = machine.start(HOLD)
    assert line(first) == "held"
    second = machine.start(WAIT)
    said = line(second)
    assert said.startswith(f"waiting: run first (pid {first.pid} ")
    assert "since 2" in said
    first.send_signal(end)
    assert line(second).startswith("the machine is free")
    assert line(second) == "held"
    assert second.wait() == 0
    assert holder(machine.path) is None


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_wait_can_be_ended(machine: Machine, end: signal.Signals) -> None:
    first = machine.start(HOLD)
    assert line(first) == "held"
    second = machine.start(WAIT)
    assert line(second).startswith("waiting")
    second.send_signal(end)
    assert second.wait(timeout=60) != 0
    found = holder(machine.path)
    assert found is not None
    assert (found["run_id"], found["pid"]) == ("first", first.pid)


def test_children_of_the_holder_do_not_inherit_it(machine: Machine) -> None:
    first = machine.start(
        """
        import subprocess, time
        lock.acquire("first")
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        print(child.pid, flush=True)
        time.sleep(600)
        """
    )
    orphan = int(line(first))
    try:
        first.kill()
        first.wait()
        os.kill(orphan, 0)  # it lives on
        assert holder(machine.path) is None
        MachineLock(machine.path).acquire("second", max_wait=0)
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_never_two_at_a_time(machine: Machine, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    script = f"""
        import pathlib, time
        inside = pathlib.Path({str(inside)!r})
        for _ in range(5):
            lock.acquire("one of many", pause=0.002)
            inside.touch(exist_ok=False)
            time.sleep(0.01)
            inside.unlink()
            lock.release()
    """
    processes = [machine.start(script) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_without_waiting_it_refuses_and_names_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with MachineLock(path) as first:
        first.acquire("nightly")
        first.acquire("nightly")  # held already: nothing to wait for
        with pytest.raises(UserError, match=rf"run nightly \(pid {os.getpid()} .*max_wait"):
            MachineLock(path).acquire("mine", max_wait=0)
    second = MachineLock(path)
    second.acquire("mine", max_wait=0)
    assert second.held
    second.release()
    second.release()


def test_a_removed_file_does_not_let_two_in(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second, third = (MachineLock(path) for _ in range(3))
    first.acquire("first")
    path.unlink()  # a cleaner of temporary files
    second.acquire("second", max_wait=0)  # nothing can be done about this one
    with pytest.raises(UserError, match="run second"):
        third.acquire("third", max_wait=0)
    first.release()
    with pytest.raises(UserError, match="run second"):
        third.acquire("third", max_wait=0)
    second.release()
    third.acquire("third", max_wait=0)
    third.release()


def test_the_file_is_for_all_users_and_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with MachineLock(tmp_path / "lock") as lock:
        lock.acquire("mine")
        assert lock.path.stat().st_mode & 0o777 == 0o666
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="PTDQ_LOCK"):
        MachineLock(tmp_path / "link").acquire("mine")
    assert not (tmp_path / "victim").exists()
    with pytest.raises(UserError, match="No such file"):
        MachineLock(tmp_path / "missing" / "lock").acquire("mine")
    monkeypatch.delenv("PTDQ_LOCK")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # differs between users, the lock must not
    assert lock_path() == Path("/tmp/ptdq.lock")


def test_a_holder_that_left_no_text_is_still_one() -> None:
    assert describe({}) == describe(None) == "another run"


def test_load_of_others_is_waited_for_and_then_flagged() -> None:
    shares = iter([0.9, 0.5, 0.1])
    said: list[str] = []
    quiet = wait_for_quiet([0], 0.2, 60, said.append, look=0, busy=lambda cores, look: next(shares))
    assert (quiet.share, quiet.quiet, quiet.note) == (0.1, True, None)
    assert len(said) == 1
    assert "90%" in said[0]
    loud = wait_for_quiet([0], 0.2, 0, said.append, look=0, busy=lambda cores, look: 0.9)
    assert (
        loud.note == "when the run started, others used up to 90% of a core: its timings may be disturbed"
    )
    assert "after waiting 7 s" in str(Load(0.9, 7.0, False).note)


def test_a_busy_core_is_seen() -> None:
    core = usable_cores()[0]
    burn = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE, text=True)
    try:
        line(process)
        assert busiest([core], 0.5) > 0.5
    finally:
        process.kill()
        process.communicate()


def test_a_shared_lock_of_another_program_does_not_defeat_the_time_limit(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(UserError, match="a program that is not ptdq is using this machine"):
            MachineLock(path).acquire("mine", max_wait=0.3)
        said: list[str] = []
        with pytest.raises(UserError):
            MachineLock(path).acquire("mine", said.append, max_wait=2.5)
        assert said[0].startswith("waiting: a program that is not ptdq")
    MachineLock(path).acquire("mine", max_wait=0)


def test_a_pipe_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    os.mkfifo(path)
    with pytest.raises(UserError, match="not a regular file"):
        MachineLock(path).acquire("mine", max_wait=0)
    assert holder(path) is None


def test_a_file_behind_a_hard_link_keeps_its_content(tmp_path: Path) -> None:
    precious, path = tmp_path / "precious", tmp_path / "lock"
    precious.write_text("kept")
    path.hardlink_to(precious)
    with pytest.raises(UserError, match="hard link"):
        MachineLock(path).acquire("mine", max_wait=0)
    assert precious.read_text() == "kept"


@pytest.mark.parametrize(
    "text", ["[" * 4096, '{"run_id": "\\u001b[2Jx"}', "\x00\xff", '{"run_id": [[[1]]]}'], ids=range(4)
)
def test_what_a_stranger_wrote_is_shown_as_plain_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text, encoding="utf-8")
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError) as caught:
            MachineLock(path).acquire("mine", max_wait=0)
    assert str(caught.value).isprintable()
    assert "is using this machine" in str(caught.value)


def test_a_lock_of_another_user_is_left_to_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = tmp_path / "ptdq.lock"
    shared.touch()
    monkeypatch.delenv("PTDQ_LOCK", raising=False)
    monkeypatch.setattr("ptdq.host.lock._SHARED", shared)
    assert lock_path() == shared
    monkeypatch.setattr("ptdq.host.lock._owner", lambda path: os.getuid() + 1)
    own = lock_path()
    assert own == tmp_path / f"ptdq-{os.getuid()}" / "lock"
    assert own.parent.stat().st_mode & 0o777 == 0o700
    own.parent.chmod(0o777)
    with pytest.raises(UserError, match="only you can write"):
        lock_path()
