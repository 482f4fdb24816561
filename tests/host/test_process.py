"""Children end when they should, and never outlive the call. Real processes throughout."""

from __future__ import annotations

import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ptdq.errors import RunFailed
from ptdq.host.process import (
    THREAD_VARIABLES,
    Ended,
    child_environment,
    kill_children,
    own_children,
    run_child,
)

MODULES = {
    "good": "print('done')",
    "fails": "import sys; print('first'); sys.exit('what went wrong')",
    "sleeps": "import time; time.sleep(600)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "reports": """
from ptdq.host.child import read_request
import sys
request, report = read_request(sys.argv[1:])
for done in range(request['count']): report(done + 1)
""",
    "environment": "import os, json, sys; print(json.dumps(dict(os.environ)))",
    "leaves": """
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(child.pid)
""",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, source in MODULES.items():
        (tmp_path / f"child_{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def start(
    directory: Path,
    name: str,
    timeout: float = 60.0,
    request: dict[str, object] | None = None,
    seen: list[int] | None = None,
) -> Ended:
    return run_child(
        f"child_{name}",
        request or {},
        directory / "request.json",
        directory / "child.log",
        threads=1,
        timeout=timeout,
        on_progress=(seen if seen is not None else []).append,
    )


def in_this_context(function: Callable[[], object]) -> threading.Thread:
    """A thread as Prefect's task runner makes it: with a copy of the flow's context."""
    return threading.Thread(target=contextvars.copy_context().run, args=(function,))


def test_a_good_child(modules: Path) -> None:
    ended = start(modules, "good")
    assert (ended.returncode, ended.reason, ended.timed_out) == (0, None, False)
    assert ended.log_tail == "done"


def test_a_failing_child_says_why(modules: Path) -> None:
    ended = start(modules, "fails")
    assert ended.reason == "what went wrong"
    assert "first" in ended.log_tail


def test_a_killed_child_says_so(modules: Path) -> None:
    assert "SIGKILL" in (start(modules, "killed").reason or "")


def test_a_time_limit_ends_the_child(modules: Path) -> None:
    before = psutil.Process().children(recursive=True)
    ended = start(modules, "sleeps", timeout=1.0)
    assert ended.timed_out
    assert "time limit" in (ended.reason or "")
    assert psutil.Process().children(recursive=True) == before


def test_cancelling_ends_the_child_at_once(modules: Path) -> None:
    # Libraries of tests that ran before in this process may have children of their own.
    before = set(psutil.Process().children())
    found: list[Ended] = []
    with own_children():
        thread = in_this_context(lambda: found.append(start(modules, "sleeps", timeout=300)))
        thread.start()
        end = time.monotonic() + 60
        while set(psutil.Process().children()) <= before and time.monotonic() < end:
            time.sleep(0.05)
        kill_children()
        assert set(psutil.Process().children()) <= before
        thread.join(timeout=30)
    assert not thread.is_alive()
    assert found[0].returncode == -signal.SIGKILL
    assert "ended with its run" in (found[0].reason or "")


def test_a_task_that_comes_after_the_end_starts_no_child(modules: Path) -> None:
    """As one that was submitted, and had not yet come to its child when the run was cancelled."""
    before = set(psutil.Process().children())
    go, refused = threading.Event(), []

    def late() -> None:
        go.wait()
        try:
            start(modules, "sleeps", timeout=5)
        except RunFailed as error:
            refused.append(str(error))

    with own_children():
        thread = in_this_context(late)
        thread.start()
    go.set()
    thread.join(timeout=60)
    assert len(refused) == 1
    assert set(psutil.Process().children()) <= before
    assert not (modules / "child.log").read_bytes()
    # The next run of this process has children of its own.
    with own_children():
        assert start(modules, "good").reason is None
    assert start(modules, "good").reason is None


def test_progress_arrives_in_order(modules: Path) -> None:
    seen: list[int] = []
    start(modules, "reports", request={"count": 500}, seen=seen)
    assert seen == sorted(seen)
    assert seen[-1] == 500


def test_grandchildren_are_ended(modules: Path) -> None:
    pid = int(start(modules, "leaves").log_tail)
    end = time.monotonic() + 30
    while psutil.pid_exists(pid) and time.monotonic() < end:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_environment_has_one_thread_and_nothing_that_moves_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOMP_CPU_AFFINITY", "0-1")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    environment = child_environment(1)
    assert {environment[name] for name in THREAD_VARIABLES} == {"1"}
    assert "GOMP_CPU_AFFINITY" not in environment


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_worker_dies_with_a_parent_that_is_killed(modules: Path) -> None:
    (modules / "child_waits.py").write_text(
        "from ptdq.host.child import die_with_parent\n"
        "import time\ndie_with_parent()\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    (modules / "parent.py").write_text(
        "from pathlib import Path\nfrom ptdq.host.process import run_child\n"
        f"run_child('child_waits', {{}}, Path({str(modules)!r}) / 'r.json', "
        f"Path({str(modules)!r}) / 'w.log', threads=1, timeout=600)\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(root), str(modules)))}
    parent = subprocess.Popen([sys.executable, str(modules / "parent.py")], env=environment)
    try:
        log = modules / "w.log"
        end = time.monotonic() + 60
        while not (log.exists() and "ready" in log.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
        parent.wait()
        assert child.wait(timeout=30) is not None or not child.is_running()
    finally:
        parent.kill()
        parent.wait()


def test_waiting_uses_no_processor_time(modules: Path) -> None:
    before = time.thread_time()
    start(modules, "sleeps", timeout=2.0)
    # Two seconds of waiting; a loop that polls or spins would use a good part of them.
    assert time.thread_time() - before < 0.5
