"""A run whose process ended and left no message is broken off, for whoever reads its record."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ptdq.errors import UserError
from ptdq.store import record
from ptdq.store.in_use import has_ended, in_use, this_process
from ptdq.store.layout import RunFiles
from ptdq.store.record_model import ProcessFacts
from tests.store.test_record import beginning
from tests.support.running import ROOT

WORKS = """
import sys, time
from pathlib import Path
from ptdq.orchestration.ending import breaks_recorded
from ptdq.store.layout import RunFiles
with breaks_recorded(RunFiles(Path(sys.argv[1]))):
    print("works", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    files = RunFiles(tmp_path / "run")
    record.begin(files, beginning())
    return files


def works_on(files: RunFiles) -> subprocess.Popen[str]:
    """Another process that works on the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, str(files.directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_run_whose_process_is_gone_is_broken_off(files: RunFiles, number: int) -> None:
    process = works_on(files)
    try:
        running = record.read(files)
        assert running.status == "running"
        assert running.process is not None
        assert running.process.pid == process.pid
        with pytest.raises(UserError, match="another process is working on it"), in_use(files.directory):
            pass
    finally:
        process.send_signal(number)
        process.communicate()
    before = files.record.read_bytes()
    broken = record.read(files)
    assert broken.status == "broken off"
    assert f"pid {process.pid} on {socket.gethostname()}" in str(broken.broken_off)
    assert files.record.read_bytes() == before  # seen, not written: the directory may be another's

    resumed = record.resume(files, beginning())
    assert (resumed.status, resumed.process) == ("running", None)
    with in_use(files.directory) as mine:
        record.amend(files, process=mine)
        assert record.read(files).status == "running"


def test_a_directory_that_cannot_be_written_any_more_leaves_no_running_run(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptdq.orchestration.ending import breaks_recorded
    from ptdq.store import record_file

    def refuse(path: Path, value: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    def work() -> None:
        with breaks_recorded(files):
            monkeypatch.setattr(record_file, "write_json", refuse)
            record.amend(files, note="a sentence")

    with pytest.raises(OSError, match="Read-only"):
        work()
    assert record.read(files).status == "broken off"


def test_of_other_machines_nothing_is_known(files: RunFiles) -> None:
    here = this_process()
    assert has_ended(files.directory, here)  # nobody has the directory
    assert not has_ended(files.directory, here.model_copy(update={"boot_id": None}))
    other_boot = {"boot_id": "11111111-2222-3333-4444-555555555555"}
    assert has_ended(files.directory, here.model_copy(update=other_boot))
    assert not has_ended(files.directory, ProcessFacts(pid=1, node="another", **other_boot))


def test_a_process_of_another_container_counts_by_its_lock(files: RunFiles) -> None:
    """Its process id means nothing here; the lock is of the same kernel."""
    with in_use(files.directory) as process:
        assert process is not None
        elsewhere = process.model_copy(update={"pid": 1, "node": "container"})
        assert not has_ended(files.directory, elsewhere)
    assert has_ended(files.directory, elsewhere)
    assert os.getpid() != 1
