"""Changes of level over a history of runs: found where they were planted, said in every form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from ptdq.analysis.history import Point
from ptdq.analysis.past import past
from ptdq.analysis.shifts import TIME, Shift, trend
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.report import build_report
from ptdq.report.summary import summarize, summary_schema
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from tests.support.runs import make_run

NIGHTS = 10
STEP = 6  # nights before it

POINT = Point(
    run_id="",
    started_at="",
    variant="int8",
    max_length=128,
    place="CPU, 2 cores",
    subject="model data",
    median_ms=10.0,
    low_ms=9.0,
    high_ms=11.0,
    p95_ms=12.0,
    speedup=2.0,
    speedup_low=1.9,
    speedup_high=2.1,
    speedup_total=2.0,
    speedup_total_error=0.01,
    f1_weighted=0.9,
    flagged=0,
    cells=4,
    decision="ship",
    series="one",
    content="same",
)


def nights(
    logs: np.ndarray[Any, np.dtype[np.float64]], variant: str = "int8", **others: Any
) -> list[Point]:
    """A point a night."""
    return [
        replace(
            POINT,
            run_id=f"night-{night:03}",
            started_at=f"2026-{1 + night // 28:02}-{1 + night % 28:02}T02:00:00+00:00",
            variant=variant,
            speedup_total=float(2 * np.exp(log)),
            **others,
        )
        for night, log in enumerate(logs)
    ]


def planted(seed: int, count: int, at: int, step: float, sd: float = 0.01) -> list[Point]:
    logs = sd * np.random.default_rng(seed).normal(size=count)
    logs[at:] -= step
    return nights(logs)


def test_a_slow_down_is_named_with_its_run_and_its_size() -> None:
    seen = trend(planted(1, 40, 25, 0.08))
    (shift,) = seen.shifts
    assert (shift.variant, shift.measure, shift.worse) == ("int8", TIME, True)
    assert (shift.last_before, shift.run_id) == ("night-024", "night-025")
    assert (shift.runs_before, shift.runs_after) == (25, 15)
    assert shift.after / shift.before == pytest.approx(np.exp(-0.08), rel=0.01)
    assert "slower, 2.0" in shift.text
    assert "since run night-025 (25 runs before, 15 from then on)" in shift.text


def test_all_series_of_a_stable_history_give_a_false_change_in_five_per_cent_of_looks() -> None:
    """Eight series, which the level is divided among."""
    looks, alarms = 40, 0
    for look in range(looks):
        rng = np.random.default_rng(look)
        shared = rng.normal(size=30)
        found = [
            point
            for number in range(8)
            for point in nights(0.01 * (shared + rng.standard_t(3, size=30)), f"variant-{number}")
        ]
        alarms += bool(trend(found).shifts)
    assert alarms <= stats.binom.ppf(0.99, looks, 0.05)


def test_what_is_not_alike_is_no_change() -> None:
    """Another design, machine or model has another ratio."""
    before, after = planted(1, 10, 10, 0), planted(2, 20, 0, 0.3)[10:]
    other = [replace(point, series="two") for point in after]
    assert trend([*before, *other]).shifts == []
    assert len(trend([*before, *after]).shifts) == 1


def test_a_loss_of_f1_is_a_change_and_a_constant_is_no_test() -> None:
    steady = planted(3, 20, 20, 0)
    lost = [replace(p, f1_weighted=0.9 if night < 12 else 0.88) for night, p in enumerate(steady)]
    seen = trend(lost)
    assert [(s.measure, s.run_id, s.before, s.after) for s in seen.shifts] == [
        ("weighted F1", "night-012", 0.9, 0.88)
    ]
    assert "weighted F1 0.9000 to 0.8800" in seen.shifts[0].text
    # The constant F1 of other variants takes nothing from the level of the one that moves.
    others = [replace(p, variant=f"v{number}") for p in steady for number in range(30)]
    constant = [replace(p, speedup_total=None, speedup_total_error=None) for p in others]
    found = trend([*planted(1, 12, 6, 0.05), *constant])
    assert [s.variant for s in found.shifts] == ["int8"]


def test_a_loss_of_the_main_measure_of_another_task_is_a_change() -> None:
    steady = planted(3, 20, 20, 0)
    lost = [
        replace(p, task="rerank", f1_weighted=None, main=0.9 if night < 12 else 0.88)
        for night, p in enumerate(steady)
    ]
    (shift,) = trend(lost).shifts
    assert (shift.measure, shift.run_id, shift.worse) == ("NDCG@10", "night-012", True)
    assert "NDCG@10 0.9000 to 0.8800" in shift.text


def test_what_all_variants_share_is_said() -> None:
    same = planted(1, 30, 15, 0.1)
    second = [replace(p, variant="other") for p in planted(2, 30, 15, 0.1)]
    shifts = trend([*same, *second]).shifts
    assert [s.together for s in shifts if s.run_id == "night-015"] == [True, True]
    still = [replace(p, variant="other") for p in planted(2, 30, 30, 0.1)]
    assert not any(s.together for s in trend([*same, *still]).shifts)


def test_how_much_runs_differ_is_without_changes_of_level_and_the_runs_own_errors() -> None:
    rng = np.random.default_rng(4)
    logs = rng.normal(0, 0.02, 60) + rng.normal(0, 0.01, 60)
    logs[30:] -= 0.2
    (spread,) = trend(nights(logs)).spreads
    assert spread.runs == 60
    assert spread.sd == pytest.approx(0.02, rel=0.3)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nights, from the seventh of which int8 is a fifth slower, with another torch."""
    path = tmp_path_factory.mktemp("results")
    for night in range(NIGHTS):
        later = night >= STEP
        record: dict[str, Any] = {"started_at": f"2026-11-{10 + night}T02:00:00+00:00"}
        if later:
            record["versions"] = {"torch": "99.0", "ptdq": "0.1.0"}
        make_run(
            path,
            f"night-{night}",
            seed=night,
            lengths=[128],
            slower={"int8-dynamic": 1.2 if later else 1.0},
            record=record,
        )
    return path


def ptdq(*arguments: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_the_command_says_where_and_what_else_changed(results: Path, tmp_path: Path) -> None:
    done = ptdq("history", "--results-dir", results, "--plot", tmp_path / "trend.png")
    assert done.exit_code == 0, done.exception
    text = " ".join(done.stdout.split())
    assert f"since run night-{STEP} (6 runs before, 4 from then on)" in text
    assert "int8-dynamic at 128 tokens: slower" in text
    assert "torch: " in text
    assert "99.0 now" in text
    assert (tmp_path / "trend.png").is_file()


def test_json_has_changes_and_points_and_nothing_is_drawn(results: Path) -> None:
    done = ptdq("history", "--results-dir", results, "--json")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    (change,) = found["changes"]
    assert (change["run_id"], change["measure"], change["worse"]) == (f"night-{STEP}", TIME, True)
    assert change["after"] / change["before"] == pytest.approx(1 / 1.2, rel=0.03)
    assert len(found["points"]) == 2 * NIGHTS
    assert {row["variant"] for row in found["spreads"]} == {"int8-dynamic"}
    assert not (results / "history.png").exists()


@pytest.mark.parametrize(
    ("name", "words"), [("h.md", "# Runs over time"), ("h.html", "<h1>Runs over time")]
)
def test_the_document_has_changes_tables_and_plot(
    results: Path, tmp_path: Path, name: str, words: str
) -> None:
    plot = tmp_path / "trend.png"
    done = ptdq("history", "--results-dir", results, "--plot", plot, "--report", tmp_path / name)
    assert done.exit_code == 0, done.exception
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert words in text
    assert f"night-{STEP}" in text
    assert "data:image/png;base64," in text
    assert "How much runs differ" in text


def test_a_document_of_another_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    done = ptdq("history", "--results-dir", tmp_path / "none", "--report", tmp_path / "h.pdf")
    assert isinstance(done.exception, UserError)
    assert ".md or .html" in str(done.exception)


def test_too_few_runs_are_said(tmp_path: Path) -> None:
    make_run(tmp_path, "only", lengths=[128])
    done = ptdq("history", "--results-dir", tmp_path)
    assert "six runs of a variant" in " ".join(done.stdout.split())
    assert past(RunFiles(tmp_path / "only")) is None


def test_the_report_of_a_night_has_the_changes_up_to_it(results: Path) -> None:
    last = RunFiles(results / f"night-{NIGHTS - 1}")
    found = past(last)
    assert found is not None
    assert (found["runs"], len(found["shifts"])) == (NIGHTS, 1)
    record = read_json(last.record)
    write_json(last.record, record | {"history": found})
    text = build_report(last).markdown
    assert f"## Over {NIGHTS} runs like this one" in text
    assert f"| `int8-dynamic` | 128 | time per document | `night-{STEP}` | 2026-11-16 02:00 |" in text
    assert "Nothing here fails the run." in text
    assert "| rounds |" in text.partition("## Where the uncertainty comes from")[2]
    summary = summarize(load(last))
    jsonschema.Draft202012Validator(summary_schema()).validate(summary)
    assert summary["history"]["runs"] == NIGHTS
    assert [row["run_id"] for row in summary["history"]["changes"]] == [f"night-{STEP}"]
    write_json(last.record, record)


def test_runs_that_came_later_or_are_not_complete_are_no_past(results: Path) -> None:
    before = past(RunFiles(results / f"night-{STEP}"))
    assert before is not None
    assert (before["runs"], before["shifts"]) == (STEP + 1, [])


def test_a_change_that_another_version_wrote_is_read(results: Path) -> None:
    """Every field of a change is in its JSON, and what is derived beside them."""
    shift = Shift("v", 128, TIME, "b", "2026", "a", 2.0, 1.8, 6, 4, 0.01)
    assert {*shift.as_json()} == {*Shift.__dataclass_fields__, "worse", "text"}
