"""The flow ``retention``: old rows go, a machine that measures keeps its cache for the next time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State

from ptdq.errors import UserError
from ptdq.flows.retention import describe, retention
from ptdq.host.lock import MachineLock
from ptdq.store.layout import RunFiles
from ptdq.store.prune import Pruned
from tests.support.runs import make_run

pytestmark = [pytest.mark.slow, pytest.mark.long]

OLD = {"ended_at": "2026-01-01T00:00:00+00:00"}


def run(results: Path, **values: Any) -> State[Any]:
    return cast(State[Any], retention(results_dir=str(results), return_state=True, **values))


@pytest.fixture
def files(prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFiles:
    """An old run, and a cache with an entry that no run has used."""
    monkeypatch.setenv("PTDQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PTDQ_LOCK", str(tmp_path / "lock"))
    return make_run(tmp_path / "results", "old", record=OLD, repeats=2, documents=20, lengths=(128,))


def test_old_rows_go_and_it_is_said(files: RunFiles, tmp_path: Path) -> None:
    results = files.directory.parent
    would = run(results, dry_run=True)
    assert would.is_completed()
    assert str(would.message).startswith("would free ")
    assert files.table("predictions").is_file()
    # While a run has the machine its cache is left, and the runs are not.
    with MachineLock() as lock:
        lock.acquire("nightly")
        state = run(results)
    assert state.is_completed()
    assert str(state.message) == str(would.message).replace("would free", "freed")
    assert not files.table("predictions").exists()
    assert files.table("cells").is_file()
    missing = run(tmp_path / "nowhere")
    assert missing.is_failed()
    assert isinstance(missing.result(raise_on_failure=False), UserError)


def test_what_is_said_is_plain_text() -> None:
    assert describe(Pruned("a\x1b[2J", 2_000_000)) == "a [2J: 2.0 MB"
    assert describe(Pruned("a", 0, "it is\nyounger")) == "a: kept, it is younger"
