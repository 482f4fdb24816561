"""The display of a run: what a person sees, and what goes to the log instead."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ptdq.errors import RunFailed, UserError
from ptdq.host import terminal
from ptdq.host.terminal import calm
from ptdq.orchestration.calm import shown

NOISE = "from the library", "from a logger", "from a child", "from C"


@contextmanager
def real_stderr() -> Iterator[None]:
    """Standard error writes to its descriptor, as in a process of its own; pytest's does not."""
    with os.fdopen(2, "w", closefd=False) as stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        yield


def fail(error: Exception) -> None:
    make_noise()
    raise error


def make_noise() -> None:
    """Write on standard error in every way that there is."""
    print(NOISE[0], file=sys.stderr, flush=True)
    handler = logging.StreamHandler(sys.stderr)
    handler.handle(logging.makeLogRecord({"msg": NOISE[1]}))
    subprocess.run([sys.executable, "-c", f"import sys; sys.stderr.write('{NOISE[2]}\\n')"], check=True)
    os.write(2, f"{NOISE[3]}\n".encode())


def test_noise_goes_to_the_log_of_the_run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "run" / "logs" / "run.log"
    with real_stderr(), calm() as display:
        print("before there is a directory", file=sys.stderr, flush=True)
        terminal.stage("reading")
        terminal.keep(log)
        make_noise()
        display.note("other programs use the cores")
        terminal.stage("measuring")
        terminal.stage("measuring")  # the same again is no news
    os.write(2, b"afterwards")
    assert capfd.readouterr().err.splitlines() == [
        "reading", "note: other programs use the cores", "measuring", "afterwards",
    ]  # fmt: skip
    kept = log.read_text()
    assert [text for text in ("before there is a directory", *NOISE) if text not in kept] == []
    assert "afterwards" not in kept


@pytest.mark.parametrize("error", [RunFailed("no server"), ValueError("a bug")])
def test_what_led_to_an_early_failure_is_shown(
    error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)), real_stderr(), calm():
        fail(error)
    said = capfd.readouterr().err
    assert [text for text in NOISE if text not in said] == []


def test_wrong_input_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError), real_stderr(), calm():
        fail(UserError("data: no such file"))
    assert capfd.readouterr().err == ""


def test_a_log_that_cannot_be_written_any_more_hides_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As on a disk that turned read-only: the error comes out, and the terminal is given back."""
    log = tmp_path / "run" / "log"

    def run() -> None:
        with real_stderr(), calm() as display:
            display.keep(log)
            log.unlink()
            log.parent.rmdir()
            raise RunFailed("read-only")

    with pytest.raises(RunFailed, match="read-only"):
        run()
    with real_stderr():
        print("afterwards", file=sys.stderr, flush=True)
    assert capfd.readouterr().err == "afterwards\n"


def test_progress_says_what_is_done_and_what_is_left(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("ptdq.host.terminal.time.monotonic", lambda: now[0])
    with calm() as display:
        for seconds, done in ((0.0, 0), (30.0, 100), (61.0, 250), (62.0, 260), (600.0, 900)):
            now[0] = seconds
            display.progress("measuring", done, 1000, f"{done // 100} of 10 cells")
    assert capfd.readouterr().err.splitlines() == [
        "measuring",
        "measuring: 2 of 10 cells, about 3 min left",
        "measuring: 9 of 10 cells, about 70 s left",
    ]


def test_warnings_of_ours_are_shown_and_those_of_prefect_are_not(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import prefect
    from prefect.settings import PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW, temporary_settings

    logger = logging.getLogger("prefect.flow_runs")
    of_prefect = logging.LogRecord(
        logger.name, logging.ERROR, str(Path(prefect.__file__).parent / "flow_engine.py"), 1,
        "Finished in state Failed()", (), None,
    )  # fmt: skip
    # Outside of a flow run, Prefect's own handlers would say that there is none.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    outside = temporary_settings({PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"})
    with outside, shown(verbose=False):
        logger.warning("waiting: run %s", "another")
        logger.info("of no interest")
        logger.handle(of_prefect)
    assert capfd.readouterr().err == "note: waiting: run another\n"
    with real_stderr(), shown(verbose=True):
        assert terminal.current() is None
        print("as it is", file=sys.stderr, flush=True)
    assert capfd.readouterr().err == "as it is\n"
