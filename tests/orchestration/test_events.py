"""The events of a run: which are emitted, and what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ptdq.orchestration import events
from ptdq.orchestration.artifacts import COLUMNS, COMPARISONS, VERDICT
from ptdq.store.layout import RunFiles
from tests.support.runs import make_run

REGRESSED = {
    "old": "yesterday",
    "changes": [{"variant": "int8-dynamic", "max_length": 128, "time_ratio": 1.2}],
    "regressions": ["int8-dynamic is slower at 128 tokens"],
}


def emitted(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events of a run, as they are sent."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(events, "emit_event", lambda event, **rest: said.append({"event": event, **rest}))
    events.emit_verdict(files)
    return json.loads(json.dumps(said))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("decision", "variant", "name"),
    [
        ("ship", "int8-dynamic", "ptdq.verdict.ship"),
        ("don't ship", None, "ptdq.verdict.dont-ship"),
        ("can't tell", "int8-dynamic", "ptdq.verdict.cant-tell"),
    ],
)
def test_each_verdict_has_its_event(
    decision: str, variant: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = {"decision": decision, "variant": variant, "headline": "so it is"}
    files = make_run(tmp_path, "run", record={"verdict": verdict})
    (event,) = emitted(files, monkeypatch)
    assert event["event"] == name
    assert event["resource"].keys() == events.LABELS.keys()
    assert event["resource"]["ptdq.variant"] == (variant or "")
    row = event["payload"]["verdict"]
    assert row.keys() == COLUMNS[VERDICT].keys()
    assert event["resource"]["prefect.resource.id"] == f"ptdq.model.{row['model_digest']}"
    assert row["directory"] == str(files.directory)
    rows = event["payload"]["comparisons"]
    assert {row["variant"] for row in rows} == {"int8-dynamic"}
    assert [row for row in rows if row.keys() != COLUMNS[COMPARISONS].keys()] == []


def test_a_regression_has_an_event_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, event = emitted(make_run(tmp_path, "run", record={"baseline": REGRESSED}), monkeypatch)
    assert event["event"] == "ptdq.regression"
    assert event["payload"].keys() == events.PAYLOAD.keys()
    assert event["payload"]["regressions"] == REGRESSED["regressions"]
    assert event["payload"]["baseline"] == "yesterday"


def test_no_change_for_the_worse_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_run(tmp_path, "run", record={"baseline": REGRESSED | {"regressions": []}})
    assert [event["event"].split(".")[1] for event in emitted(files, monkeypatch)] == ["verdict"]
