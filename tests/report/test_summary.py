"""``summary.json`` is what its schema says, no more and no less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ptdq.analysis.since import change_since
from ptdq.report.summary import SCHEMA_FILE, summarize, summary_path, summary_schema, write_summary
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from tests.support.runs import make_run


def strict(schema: Any) -> Any:
    """The schema with every undeclared field forbidden: readers must bear them, we must not add them."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def validate(summary: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(strict(summary_schema())).validate(summary)


def referred(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """The object that a field is, where that is declared on its own."""
    found: dict[str, Any] = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
    return found


def undescribed(schema: dict[str, Any]) -> list[str]:
    """Fields that say neither what they mean nor, by a single value, what they are."""
    return [
        f"{part.get('title', 'summary')}.{name}"
        for part in (schema, *schema["$defs"].values())
        for name, field in part["properties"].items()
        if not {"description", "const"} & {*field, *referred(schema, field)}
    ]


def test_the_schema_is_one_and_explains_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(summary_schema())
    assert undescribed(summary_schema()) == []


def test_the_committed_schema_is_what_the_code_makes() -> None:
    committed = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert committed == summary_schema(), "run python -m ptdq.report.summary"


def test_a_summary_is_valid_and_has_the_figures(tmp_path: Path) -> None:
    gate = {"name": "min_speedup", "variant": "int8-dynamic", "threshold": 2.0, "value": 2.4}
    gate |= {"bound": 2.3, "passed": True, "text": "fast enough"}
    files = make_run(tmp_path, "run", record={"gates": [gate]})
    write_summary(files)
    summary = read_json(summary_path(files))
    validate(summary)
    assert (summary["run_id"], summary["status"]) == ("run", "completed")
    assert summary["verdict"]["decision"] == "can't tell"
    assert summary["gates"] == [gate]
    assert [(f["variant"], f["max_length"]) for f in summary["figures"]] == [
        ("fp32", 128), ("int8-dynamic", 128), ("fp32", 256), ("int8-dynamic", 256),
    ]  # fmt: skip
    assert all(row["speedup"] > 2 for row in summary["comparisons"])
    assert summary["machine"]["cores"] == 2
    assert summary["since"] is None
    assert summary_path(files).stat().st_size < 20_000


def test_with_a_baseline(tmp_path: Path) -> None:
    make_run(tmp_path, "good", seed=1)
    files = make_run(tmp_path, "tonight", seed=2, wrong={"int8-dynamic": 15}, record={"since": "good"})
    for change in (change_since(files), {"old": "gone", "error": "no such run"}):
        write_json(files.record, read_json(files.record) | {"baseline": change})
        summary = summarize(load(files))
        validate(summary)
        assert summary["since"]["run_id"] in ("good", "gone")
        assert len(summary["since"]["regressions"]) == (2 if summary["since"]["error"] is None else 0)


def test_random_weights_and_runs_without_an_end(tmp_path: Path) -> None:
    summary = summarize(load(make_run(tmp_path, "random", random_weights=True)))
    validate(summary)
    assert {f["f1_weighted"] for f in summary["figures"]} == {None}
    bare = RunFiles(tmp_path / "bare")
    bare.directory.mkdir()
    write_json(bare.record, {"schema_version": 1, "run_id": "bare", "status": "running"})
    validate(summarize(load(bare)))


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"verdict": {"decision": "perhaps"}}, {"figures": None}]
)
def test_the_schema_refuses_what_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    summary = summarize(load(make_run(tmp_path, "run")))
    with pytest.raises(jsonschema.ValidationError):
        validate(summary | change)
