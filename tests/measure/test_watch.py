"""Clocks that jump, and what is said of them."""

from __future__ import annotations

import time

import pytest

from ptdq.measure import watch


def test_a_clock_that_is_set_is_told_and_changes_no_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    found = watch.Watch(None, real(), time.monotonic_ns())
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    facts = found.facts()
    assert facts["clock_jump_seconds"] == pytest.approx(-3600, abs=1)
    assert 0 <= facts["wall_seconds"] < 60
    (flag,) = watch.clock_flags(facts)
    assert flag.startswith("the clock was set by -3600.")


def test_a_suspended_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real, clock = watch._since_boot, time.time
    if real() is None:
        pytest.skip("this system has no clock that goes on while it is suspended")
    found = watch.Watch(None, clock(), time.monotonic_ns())
    # Suspended, the clock on the wall and that since boot go on; the monotonic one does not.
    monkeypatch.setattr(watch, "_since_boot", lambda: (real() or 0) + 30)
    monkeypatch.setattr(time, "time", lambda: clock() + 30)
    facts = found.facts()
    assert facts["suspended_seconds"] == pytest.approx(30, abs=0.1)
    assert facts["clock_jump_seconds"] == 0
    assert watch.clock_flags(facts) == ["the machine was suspended for 30.0 s"]


def test_nothing_is_said_of_a_quiet_cell_or_one_of_an_older_version() -> None:
    facts = watch.Watch(None, time.time(), time.monotonic_ns()).facts()
    assert watch.clock_flags(facts) == []
    assert watch.clock_flags({}) == []
