"""Two runs compared: what was planted is found, what was not is not, and what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from ptdq.analysis.changes import AGAIN, BETWEEN, SAME, Change, Comparison
from ptdq.analysis.compare_runs import compare_runs
from ptdq.analysis.nights import log_speedup
from ptdq.analysis.since import change_since
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.report import build_report
from ptdq.store import baseline as baseline_run
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.results import all_runs
from ptdq.store.run import load
from ptdq.store.tables import read_table, write_table
from tests.support.factory import Factory
from tests.support.runs import confound, make_run

NIGHTS = 9


def compared(old: RunFiles, new: RunFiles, history: Path | None = None) -> Comparison:
    runs = [] if history is None else all_runs(history)[0]
    return compare_runs(load(old), load(new), runs)


def rows(found: Comparison, variant: str) -> list[Change]:
    return [change for change in found.changes if change.variant == variant]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nights of the same code, of which the first is ``old``, and runs with something planted."""
    path = tmp_path_factory.mktemp("results")
    make_run(path, "old", seed=100)
    rng = np.random.default_rng(7)
    for night in range(1, NIGHTS):
        mood = {"int8-dynamic": float(np.exp(rng.normal(0, 0.005))), "fp32": 1.0}
        shared = float(np.exp(rng.normal(0, 0.1)))
        slower = {name: factor * shared for name, factor in mood.items()}
        make_run(path, f"night-{night}", seed=night, slower=slower)
    make_run(path, "same", seed=2, slower={"int8-dynamic": 1.2, "fp32": 1.2})
    other = {"git_commit": "beef" * 10}
    make_run(path, "slower", seed=3, slower={"int8-dynamic": 1.3}, record=other)
    make_run(path, "worse", seed=5, wrong={"int8-dynamic": 15}, record={"git_commit": "feed" * 10})
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, results: Path) -> Path:
    """Two runs without a history."""
    path = tmp_path_factory.mktemp("alone")
    make_run(path, "old", seed=100)
    make_run(path, "slower", seed=3, slower={"int8-dynamic": 1.3})
    return path


def run(results: Path, name: str) -> RunFiles:
    return RunFiles(results / name)


def test_nothing_is_found_where_nothing_was_planted(results: Path) -> None:
    found = compared(run(results, "old"), run(results, "same"), results)
    assert found.timings_refused is None
    assert found.regressions == []
    assert [c.max_length for c in found.changes] == [128, 128, 256, 256]
    for change in rows(found, "int8-dynamic"):
        assert change.latency_verdict in ("can't tell", "the same")
        assert change.quality_verdict == SAME
        assert change.speedup_low is not None
        assert change.speedup_high is not None
        assert change.speedup_low < 1 < change.speedup_high
        assert (change.how, change.runs, change.documents) == (BETWEEN, NIGHTS, 60)


def test_the_machines_mood_is_no_change(results: Path) -> None:
    """All variants are slower by a fifth: the ratio to the run's own baseline variant does not move."""
    change = rows(compared(run(results, "old"), run(results, "same"), results), "int8-dynamic")[0]
    assert change.new_ms == pytest.approx(1.2 * (change.old_ms or 0), rel=0.05)
    assert change.speedup == pytest.approx(1, rel=0.02)


def test_a_planted_slow_down_is_found_with_its_size(results: Path) -> None:
    found = compared(run(results, "old"), run(results, "slower"), results)
    for change in rows(found, "int8-dynamic"):
        assert change.latency_verdict == "slower"
        assert change.speedup == pytest.approx(1 / 1.3, rel=0.03)
    assert len(found.regressions) == 2
    assert "int8-dynamic at 128 tokens is slower" in found.regressions[0]
    assert f"{NIGHTS + 1} runs like the old one" in found.regressions[0]


def test_the_baseline_variant_is_shown_and_not_judged(results: Path) -> None:
    for change in rows(compared(run(results, "old"), run(results, "slower"), results), "fp32"):
        assert (change.how, change.latency_verdict, change.quality_verdict) == (None, None, SAME)
        assert change.new_ms is not None


def test_without_a_history_nothing_is_slower(alone: Path) -> None:
    found = compared(run(alone, "old"), run(alone, "slower"), alone)
    assert found.regressions == []
    for change in rows(found, "int8-dynamic"):
        assert (change.latency_verdict, change.speedup_low, change.speedup_p) == (
            "can't tell",
            None,
            None,
        )
        assert change.speedup == pytest.approx(1 / 1.3, rel=0.03)
        assert "1 run to tell how much runs differ, of 8" in str(change.speedup_refused)
    assert any("`ptdq run --baseline old`" in note for note in found.notes)
    done = ptdq("compare", "old", "slower", "--results-dir", alone)
    assert done.exit_code == 0
    assert "can't be told from how much runs differ" in done.output


def test_runs_of_other_machines_and_other_content_are_no_history(tmp_path: Path) -> None:
    make_run(tmp_path, "old", seed=100)
    new = make_run(tmp_path, "new", seed=3, slower={"int8-dynamic": 1.3})
    nights: list[dict[str, Any]] = [
        {"machine": {"cpu": "Another CPU"}},
        {"status": "broken off"},
        *({"versions": {"torch": f"2.{version}"}} for version in range(3)),
        {},
    ]
    for night, record in enumerate(nights):
        make_run(tmp_path, f"night-{night}", lengths=[128], record=record)
    change = rows(compared(run(tmp_path, "old"), new, tmp_path), "int8-dynamic")[0]
    assert (change.runs, change.latency_verdict) == (2, "can't tell")
    assert "5 runs to tell" in str(change.speedup_refused)


def test_runs_of_another_version_tell_how_much_runs_differ(results: Path, tmp_path: Path) -> None:
    """The first night of a new version has a mean of its own, and the variance of all the others."""
    changed = {"versions": {"torch": "2.14.0", "ptdq": "0.1.0"}}
    first = make_run(tmp_path, "first", seed=11, record=changed)
    second = make_run(tmp_path, "second", seed=12, record=changed, slower={"int8-dynamic": 1.3})
    found = compared(first, second, results)
    for change in rows(found, "int8-dynamic"):
        assert (change.runs, change.latency_verdict) == (1, "slower")


def again(factory: Factory, slowdown: float, low: float, high: float, p_value: float) -> None:
    """The artifact of the run ``old`` was measured again beside the new one."""
    earlier = "int8-dynamic@baseline"
    for name in ("cells", "predictions"):
        own = [row for row in factory.tables[name] if row["variant"] == "int8-dynamic"]
        factory.tables[name] += [{**row, "variant": earlier} for row in own]
    for length in factory.lengths:
        pair = next(
            row
            for row in factory.tables["comparisons"]
            if (row["variant"], row["max_length"]) == ("int8-dynamic", length)
        )
        factory.tables["comparisons"].append(
            {
                **pair,
                "baseline": earlier,
                "speedup_total": 1 / slowdown,
                "speedup_total_low": low,
                "speedup_total_high": high,
                "speedup_total_p": p_value,
                "total_verdict": "can't tell",
            }
        )


def test_what_was_measured_again_is_compared_within_the_run(tmp_path: Path) -> None:
    def plant(factory: Factory) -> None:
        again(factory, 1.1, 0.88, 0.94, 0.001)

    make_run(tmp_path, "old", seed=100)
    new = make_run(tmp_path, "new", seed=3, record={"since": "old"}, change=plant)
    found = compared(run(tmp_path, "old"), new)
    assert {c.variant for c in found.changes} == {"fp32", "int8-dynamic"}
    for change in rows(found, "int8-dynamic"):
        assert (change.how, change.runs, change.latency_verdict) == (AGAIN, None, "slower")
        assert change.speedup_p == pytest.approx(0.002)  # Holm over two lengths
    assert "both measured in this run" in found.regressions[0]
    assert "measured again within new: int8-dynamic" in found.notes


def test_all_tests_of_a_comparison_are_one_family(tmp_path: Path) -> None:
    """Each test at 3 % would be significant alone."""

    def plant(factory: Factory) -> None:
        again(factory, 1.1, 0.88, 0.98, 0.03)

    make_run(tmp_path, "old", seed=100)
    new = make_run(tmp_path, "new", record={"since": "old"}, change=plant)
    found = compared(run(tmp_path, "old"), new)
    assert found.regressions == []
    assert {c.speedup_p for c in rows(found, "int8-dynamic")} == {0.06}
    worse = make_run(tmp_path, "worse", wrong={"fp32": 3}, record={"since": "old"}, change=plant)
    corrected = {c.speedup_p for c in rows(compared(run(tmp_path, "old"), worse), "int8-dynamic")}
    assert corrected == {0.12}


def test_why_an_artifact_was_not_measured_again_is_said(tmp_path: Path) -> None:
    make_run(tmp_path, "old", seed=100)
    why = {"int8-dynamic": "its artifact is no longer in the cache"}
    new = make_run(tmp_path, "new", record={"since": "old", "not_again": why})
    found = compared(run(tmp_path, "old"), new)
    assert {c.how for c in rows(found, "int8-dynamic")} == {BETWEEN}
    assert any("was not measured again: its artifact is no longer" in note for note in found.notes)


@pytest.mark.parametrize("which", [0, 1])
def test_confounded_timings_are_no_regression(results: Path, tmp_path: Path, which: int) -> None:
    changes: list[dict[str, Any]] = [{}, {}]
    changes[which] = {"change": confound("a step")}
    pair = [
        make_run(tmp_path, "first", **changes[0]),
        make_run(tmp_path, "second", **changes[1], seed=1, slower={"int8-dynamic": 1.3}),
    ]
    found = compared(pair[0], pair[1], results)
    by_length = {c.max_length: c for c in rows(found, "int8-dynamic")}
    assert by_length[128].latency_verdict is None
    assert by_length[256].latency_verdict == "slower"
    name = ("first", "second")[which]
    assert any("int8-dynamic at 128 tokens: no verdict" in n and f"{name}: a step" in n
               for n in found.notes)  # fmt: skip


def busy(factory: Factory) -> None:
    """Others had a third of the cores' time: the run says of itself that its times decide nothing."""
    for cell in factory.tables["cells"]:
        cell |= {"other_seconds": 3.0, "steal_seconds": 0.5, "measure_seconds": 10.0}


@pytest.mark.parametrize("which", [0, 1])
def test_times_of_a_busy_machine_are_no_regression(results: Path, tmp_path: Path, which: int) -> None:
    changes: list[dict[str, Any]] = [{}, {}]
    changes[which] = {"change": busy}
    pair = [
        make_run(tmp_path, "first", **changes[0]),
        make_run(tmp_path, "second", **changes[1], seed=1, slower={"int8-dynamic": 1.3}),
    ]
    found = compared(pair[0], pair[1], results)
    assert found.regressions == []
    assert {c.latency_verdict for c in rows(found, "int8-dynamic")} == {None}
    name = ("first", "second")[which]
    assert any(f"{name}: the machine was too busy" in note and "35% of the time" in note
               for note in found.notes)  # fmt: skip


def test_what_was_measured_again_on_a_busy_machine_is_no_regression(tmp_path: Path) -> None:
    def plant(factory: Factory) -> None:
        again(factory, 1.1, 0.88, 0.94, 0.001)
        busy(factory)

    make_run(tmp_path, "old", seed=100)
    new = make_run(tmp_path, "new", seed=3, record={"since": "old"}, change=plant)
    found = compared(run(tmp_path, "old"), new)
    assert found.regressions == []
    assert {(c.how, c.latency_verdict) for c in rows(found, "int8-dynamic")} == {(AGAIN, None)}


def test_a_busy_night_is_no_point_of_the_history(tmp_path: Path) -> None:
    place = ("int8-dynamic", 128)
    assert log_speedup(load(make_run(tmp_path, "calm")), place, "speedup_total") is not None
    assert log_speedup(load(make_run(tmp_path, "busy", change=busy)), place, "speedup_total") is None


def test_a_planted_drop_in_quality_is_found(results: Path) -> None:
    found = compared(run(results, "old"), run(results, "worse"))
    for change in rows(found, "int8-dynamic"):
        assert change.quality_verdict == "worse"
        assert change.worse is not None
        assert change.worse > 10
        assert change.better == 0
        assert change.f1_difference is not None
        assert change.f1_difference < -0.1
    assert {c.quality_verdict for c in rows(found, "fp32")} == {SAME}
    assert "predicts worse" in found.regressions[0]
    back = compared(run(results, "worse"), run(results, "old"))
    assert {c.quality_verdict for c in rows(back, "int8-dynamic")} == {"better"}


def test_copies_of_a_text_count_once(tmp_path: Path) -> None:
    """Fifteen documents that are wrong now are one text."""
    texts = ["a text that is there fifteen times"] * 15 + [f"text {i}" for i in range(45)]
    old = make_run(tmp_path, "old", texts=texts)
    worse = make_run(tmp_path, "worse", texts=texts, wrong={"int8-dynamic": 15})
    assert compared(old, worse).regressions == []


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ({"cpu": "Another CPU"}, "different CPU models: Imaginary CPU @ 2.80GHz and Another CPU"),
        ({"cores_usable": [0, 1, 2, 3]}, "different numbers of cores: 2 and 4"),
        ({"cores": [0]}, "different numbers of cores in use: 2 and 1"),
    ],
)
def test_timings_of_other_machines_are_refused_and_quality_is_not(
    results: Path, tmp_path: Path, machine: dict[str, Any], text: str
) -> None:
    other = make_run(
        tmp_path, "other", slower={"int8-dynamic": 9}, wrong={"fp32": 15}, record={"machine": machine}
    )
    found = compared(run(results, "old"), other, results)
    assert found.timings_refused == text
    assert {c.latency_verdict for c in found.changes} == {None}
    assert {c.speedup for c in found.changes} == {None}
    assert all("fp32" in text for text in found.regressions)
    assert len(found.regressions) == 2


def test_pruned_runs_are_compared_in_time(results: Path, tmp_path: Path) -> None:
    slower = make_run(tmp_path, "slower", seed=3, slower={"int8-dynamic": 1.3})
    slower.table("predictions").unlink()
    found = compared(run(results, "old"), slower, results)
    for change in rows(found, "int8-dynamic"):
        assert change.latency_verdict == "slower"
        assert change.quality_verdict is None
        assert "pruned" in str(change.quality_refused)


def test_only_common_documents_count(results: Path, tmp_path: Path) -> None:
    fewer = make_run(tmp_path, "fewer", seed=7)
    table = read_table(fewer.table("predictions"))
    gone = pa.array(sorted(set(table["doc_id"].to_pylist()))[:10])
    write_table(
        fewer.table("predictions"),
        table.filter(pa.compute.invert(pa.compute.is_in(table["doc_id"], gone))),
    )
    for found in (compared(run(results, "old"), fewer), compared(fewer, run(results, "old"))):
        assert {c.documents for c in found.changes} == {50}


def test_one_round_gives_no_verdict(results: Path, tmp_path: Path) -> None:
    short = make_run(tmp_path, "short", repeats=1, slower={"int8-dynamic": 3})
    change = rows(compared(run(results, "old"), short, results), "int8-dynamic")[0]
    assert (change.speedup, change.latency_verdict) == (None, "can't tell")
    assert "no speed-up with an interval" in str(change.speedup_refused)


@pytest.mark.parametrize("unknown", [("old", "new"), ("old",), ("new",)])
def test_a_commit_that_is_not_known_is_said(tmp_path: Path, unknown: tuple[str, ...]) -> None:
    change = {"git_commit": None}
    old = make_run(tmp_path, "old", record=change if "old" in unknown else None)
    new = make_run(tmp_path, "new", seed=1, record=change if "new" in unknown else None)
    found = compared(old, new)
    (code,) = (text for text in found.differences if text.startswith("code of ptdq: "))
    assert ("neither run" in code) == (len(unknown) == 2)
    assert "unknown" in code or len(unknown) == 2


def ptdq(*arguments: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_command_and_status(results: Path) -> None:
    good = ptdq("compare", "old", "same", "--results-dir", results)
    assert good.exit_code == 0
    assert "**Nothing is decidedly worse than before.**" in good.output
    bad = ptdq("compare", "old", "slower", "--results-dir", results)
    assert bad.exit_code == 3
    assert "**Worse than before:**" in bad.output
    assert "| `int8-dynamic` | 128 | between runs, 10 like the old one |" in bad.output
    as_json = ptdq("compare", "old", "worse", "--results-dir", results, "--json")
    assert as_json.exit_code == 3
    found = json.loads(as_json.stdout)
    assert (found["old"], found["new"], len(found["regressions"])) == ("old", "worse", 2)
    missing = ptdq("compare", "old", "nowhere", "--results-dir", results)
    assert isinstance(missing.exception, UserError)


def test_the_record_says_what_a_run_is_compared_with(results: Path, tmp_path: Path) -> None:
    assert change_since(run(results, "old")) is None
    slower = run(results, "slower")
    record = read_json(slower.record)
    write_json(slower.record, record | {"since": "old"})
    found = change_since(slower)
    assert found is not None
    assert len(found["regressions"]) == 2
    write_json(slower.record, read_json(slower.record) | {"baseline": found})
    text = build_report(slower).markdown
    assert "## Change since run `old`" in text
    assert "int8-dynamic at 128 tokens is slower" in text
    write_json(slower.record, record)
    assert "## Change since" not in build_report(run(results, "old")).markdown


def test_a_baseline_that_has_gone_is_said_and_fails_nothing(tmp_path: Path) -> None:
    tonight = make_run(tmp_path, "tonight", record={"since": "gone"})
    found = change_since(tonight)
    assert found is not None
    assert "ptdq baseline RUN" in found["error"]
    write_json(tonight.record, read_json(tonight.record) | {"baseline": found})
    assert "Not compared: baseline: run 'gone'" in build_report(tonight).markdown
    with pytest.raises(UserError, match="baseline: run 'nowhere'"):
        baseline_run.choose(tmp_path, "nowhere")


def test_what_cannot_be_a_baseline(tmp_path: Path) -> None:
    make_run(tmp_path, "broken", record={"status": "running"})
    with pytest.raises(UserError, match="not complete"):
        baseline_run.mark(tmp_path, "broken")
    make_run(tmp_path, "pruned").table("predictions").unlink()
    with pytest.raises(UserError, match="pruned"):
        baseline_run.mark(tmp_path, "pruned")
    elsewhere = make_run(tmp_path / "elsewhere", "good")
    with pytest.raises(UserError, match="is not in"):
        baseline_run.mark(tmp_path, str(elsewhere.directory))
    with pytest.raises(UserError, match="needs a local path"):
        raise ptdq("baseline", "good", "--results-dir", "memory://results").exception
    assert ptdq("baseline", make_run(tmp_path, "good").run_id, "--results-dir", tmp_path).exit_code == 0
    assert baseline_run.marked(tmp_path) == "good"


def test_what_was_measured_again_of_another_run_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """The run was compared with ``old`` while it ran; now somebody compares it with a third."""

    def plant(factory: Factory) -> None:
        again(factory, 1.1, 0.88, 0.94, 0.001)

    make_run(tmp_path, "old", seed=100)
    third = make_run(tmp_path, "third", seed=4)
    new = make_run(tmp_path, "new", seed=3, record={"since": "old"}, change=plant)
    found = compared(third, new)
    assert {c.how for c in rows(found, "int8-dynamic")} == {BETWEEN}
    assert found.regressions == []


def test_another_commit_of_ptdq_decides_nothing(results: Path, tmp_path: Path) -> None:
    """Identical code otherwise: how sure one is comes of the nights before, as without it."""
    same, other = (
        make_run(tmp_path, name, seed=8, record=record)
        for name, record in (("tonight", {}), ("moved", {"git_commit": "cafe" * 10}))
    )
    before, after = (
        rows(compared(run(results, "old"), new, results), "int8-dynamic") for new in (same, other)
    )
    assert before == after
    assert {change.latency_verdict for change in after} <= {"can't tell", "the same"}


def test_predictions_that_change_with_the_instructions_are_named(tmp_path: Path) -> None:
    make_run(tmp_path, "whole", seed=1, record={"machine": {"flags": ["avx2", "avx512_vnni"]}})
    less = {"machine": {"flags": ["avx2"]}}
    make_run(tmp_path, "less", seed=2, wrong={"int8-dynamic": 15}, record=less)
    make_run(
        tmp_path, "also", seed=2, wrong={"int8-dynamic": 15}, record=less | {"git_commit": "beef" * 10}
    )
    named = [
        note for note in compared(run(tmp_path, "whole"), run(tmp_path, "less")).notes if "instr" in note
    ]
    assert len(named) == 2, "one for each length, of one variant"
    assert all(note.startswith("predictions of int8-dynamic at ") for note in named)
    # Of another commit as well nobody can tell what it was; and without another CPU it was not that.
    assert not any("instr" in n for n in compared(run(tmp_path, "whole"), run(tmp_path, "also")).notes)
    assert not any("instr" in n for n in compared(run(tmp_path, "less"), run(tmp_path, "also")).notes)


def test_a_capped_cpu_s_times_are_not_compared_with_the_whole_one_s(tmp_path: Path) -> None:
    make_run(tmp_path, "whole", seed=1)
    make_run(
        tmp_path, "capped", seed=2, change=lambda made: made.record["parameters"].update({"isa": "avx2"})
    )
    refused = compared(run(tmp_path, "whole"), run(tmp_path, "capped")).timings_refused
    assert refused == "different caps of the instructions: none and avx2"


def at_task(task: str, spoiled: float) -> Callable[[Factory], None]:
    """A run at a task without classes, whose int8 answers are off by so much noise."""
    rng = np.random.default_rng(1)

    def change(factory: Factory) -> None:
        count = len(factory.ids)
        of_task = {
            "regression": rng.normal(size=(count, 1)),
            "rerank": (np.arange(count)[:, None] % 5 == 0).astype(float),
            "multi-label": rng.integers(0, 2, (count, 3)).astype(float),
        }
        truth = of_task[task]
        right = 4 * truth - 2 + 0.1 * rng.normal(size=truth.shape)
        noise = rng.normal(size=truth.shape)
        answers = {"fp32": right, "int8-dynamic": right + spoiled * noise}
        places = {name: place for place, name in enumerate(factory.ids)}
        for row in factory.tables["documents"]:
            place = places[row["doc_id"]]
            row |= {"label": None, "target": truth[place].tolist(), "group": None}
            if task == "rerank":
                row["group"] = f"query {place // 5}"
        for row in factory.tables["predictions"]:
            logits = answers[row["variant"]][places[row["doc_id"]]].tolist()
            row |= {"label": None, "prediction": None, "logits": logits}
        for cell in factory.tables["cells"]:
            cell |= dict.fromkeys(("accuracy", "f1_weighted", "f1_macro"))
        main = {"regression": "spearman", "rerank": "ndcg_at_10", "multi-label": "f1_micro"}[task]
        factory.tables["measures"] = [
            {"run_id": factory.run_id, "variant": name, "max_length": length, "measure": main,
             "value": 0.9 - 0.1 * spoiled * (name != "fp32")}
            for name in factory.variants
            for length in factory.lengths
        ]  # fmt: skip
        factory.record["model"]["task"] = task

    return change


@pytest.mark.parametrize(
    ("task", "words"), [("regression", "Spearman"), ("rerank", "NDCG@10"), ("multi-label", "micro F1")]
)
def test_the_main_measure_of_the_task_is_judged(tmp_path: Path, task: str, words: str) -> None:
    shape: dict[str, Any] = {"documents": 120, "lengths": [128]}
    old = make_run(tmp_path, "old", change=at_task(task, 0), **shape)
    same = make_run(tmp_path, "same", change=at_task(task, 0), **shape)
    worse = make_run(tmp_path, "worse", change=at_task(task, 4), **shape)
    for change in compared(old, same).changes:
        assert (change.documents, change.quality_verdict, change.measure) == (120, SAME, words)
        assert (change.main_difference, change.main_p) == (0, None)
    found = compared(old, worse)
    (change,) = rows(found, "int8-dynamic")
    assert change.quality_verdict == "worse"
    assert change.main_p is not None
    assert change.main_p < 0.05
    assert change.main_difference is not None
    assert change.main_difference < -0.1
    assert (change.main_difference_high or 0) < 0
    assert (change.main_old, change.main_new) == (0.9, 0.5)
    assert [c.quality_verdict for c in rows(found, "fp32")] == [SAME]
    (line,) = found.regressions
    assert f"int8-dynamic at 128 tokens predicts worse: {words} 0.9000 to 0.5000" in line
    (back,) = rows(compared(worse, old), "int8-dynamic")
    assert back.quality_verdict == "better"
    shown = ptdq("compare", "old", "worse", "--results-dir", tmp_path)
    assert shown.exit_code == 3
    assert f"| {words} | 0.9000 | 0.5000 |" in shown.output.replace("`", "")
    assert words in ptdq("history", "--results-dir", tmp_path).output
    worse.table("documents").unlink()
    (pruned,) = rows(compared(old, worse), "int8-dynamic")
    assert pruned.quality_verdict is None
    assert "pruned" in str(pruned.quality_refused)
