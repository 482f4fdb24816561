"""The soak's plan, and what it calls wrong; the soak itself takes hours (``make soak``)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ptdq.store.layout import RunFiles
from tests.safety import table, test_faults, test_faults_around
from tests.safety.befalls import FAULTS, FULL, SLOWER, WORSE
from tests.safety.nights import date
from tests.safety.soak import planned, wrong
from tests.support.runs import make_run

WELL: dict[str, Any] = {
    "processes_left": [], "sockets_left": 0, "unaccounted": [], "worse_told": 1,
    "worse_regressions": [["fp32 is worse"]], "slower_regressions": [[]],
    "quiet_states": {"COMPLETED": 5}, "with_rows": 15,
}  # fmt: skip


def test_a_third_of_the_nights_is_befallen_and_the_ends_are_quiet() -> None:
    plan = planned(200, seed=0, small_disk=True)
    events = Counter(plan)
    assert (events[WORSE], events[SLOWER]) == (1, 1)
    assert 100 < events[None] < 160
    assert (plan[0], plan[1], plan[-1]) == (None, None, None)
    assert planned(200, seed=0, small_disk=True) == plan != planned(200, seed=1, small_disk=True)
    assert FULL not in planned(200, seed=0, small_disk=False)
    assert {WORSE, SLOWER} < set(planned(6, seed=0, small_disk=True))


def test_faults_are_those_of_the_tests() -> None:
    source = Path(str(test_faults_around.__file__)).read_text(encoding="utf-8")
    known = {*test_faults.MIDDLE}
    others = {"SIGKILL to the server"}  # there, of the temporary one
    assert [name for name in FAULTS if name not in known | others and f'"{name}"' not in source] == []


def test_all_well_is_nothing_wrong() -> None:
    assert wrong(WELL) == []


@pytest.mark.parametrize(
    "change",
    [
        {"processes_left": ["a"]}, {"sockets_left": 1}, {"unaccounted": ["a"]}, {"worse_told": 0},
        {"worse_told": 2}, {"worse_regressions": [[]]}, {"slower_regressions": [["slower"]]},
        {"quiet_states": {"COMPLETED": 4, "FAILED": 1}}, {"with_rows": 60},
    ],
    ids=str,
)  # fmt: skip
def test_each_promise_that_is_broken_is_named(change: dict[str, Any]) -> None:
    assert len(wrong(WELL | change)) == 1


def test_a_night_is_dated_to_its_day(tmp_path: Path) -> None:
    files = make_run(tmp_path, "night", repeats=1, documents=20, lengths=(128,))
    day = datetime(2026, 3, 1, 2, tzinfo=UTC)
    date(files, day)
    record = json.loads(RunFiles(tmp_path / "night").record.read_text(encoding="utf-8"))
    assert record["started_at"] == day.isoformat()
    assert files.table("predictions").stat().st_mtime == day.timestamp()


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    assert table.soak(tmp_path / "soak.json") == table.NOT_KEPT
    assert table.faults({"faults": []}) == table.NOT_KEPT
    found = WELL | {
        "nights": 6, "asked": 6, "hours": 0.2, "states": {"COMPLETED": 6}, "events": {"a fault": 1},
        "results_bytes": 1, "prefect_bytes": 1, "cache_bytes": 1, "git_commit": "abc",
        "machine": {"cpu": "a CPU"}, "ended_at": "2026-03-01",
    }  # fmt: skip
    (tmp_path / "soak.json").write_text(json.dumps(found), encoding="utf-8")
    assert "| nights | 6 of 6, in 0.2 hours |" in table.soak(tmp_path / "soak.json")
