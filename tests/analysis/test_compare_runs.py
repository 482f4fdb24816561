"""Two runs compared: what was planted is found, what was not is not, and what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from ptdq.analysis.changes import SAME, Change, Comparison
from ptdq.analysis.compare_runs import compare_runs
from ptdq.analysis.since import change_since
from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.report import build_report
from ptdq.store import baseline as baseline_run
from ptdq.store.disk import read_json, write_json
from ptdq.store.layout import RunFiles
from ptdq.store.run import load
from ptdq.store.tables import read_table, write_table
from tests.support.runs import confound, make_run, swap_cores


def compared(old: RunFiles, new: RunFiles) -> Comparison:
    return compare_runs(load(old), load(new))


def rows(found: Comparison, variant: str) -> list[Change]:
    return [change for change in found.changes if change.variant == variant]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results")
    make_run(path, "old", seed=1)
    make_run(path, "same", seed=2)
    make_run(path, "slower", seed=3, slower={"int8-dynamic": 1.3})
    make_run(path, "all-slower", seed=4, slower={"int8-dynamic": 1.3, "fp32": 1.3})
    make_run(path, "worse", seed=5, wrong={"int8-dynamic": 15})
    return path


def run(results: Path, name: str) -> RunFiles:
    return RunFiles(results / name)


def test_nothing_is_found_where_nothing_was_planted(results: Path) -> None:
    found = compared(run(results, "old"), run(results, "same"))
    assert found.timings_refused is None
    assert found.regressions == []
    assert [c.max_length for c in found.changes] == [128, 128, 256, 256]
    for change in found.changes:
        assert (change.latency_verdict, change.quality_verdict) == (SAME, SAME)
        assert change.speedup_low is not None
        assert change.speedup_high is not None
        assert change.speedup_low < 1 < change.speedup_high
        assert (change.rounds, change.documents) == (4, 60)
        assert change.floor_old is not None
        assert change.floor_old > 1


def test_a_planted_slow_down_is_found_with_its_size(results: Path) -> None:
    found = compared(run(results, "old"), run(results, "slower"))
    for change in rows(found, "int8-dynamic"):
        assert change.latency_verdict == "slower"
        assert change.speedup == pytest.approx(1 / 1.3, rel=0.03)
    assert {c.latency_verdict for c in rows(found, "fp32")} == {SAME}
    assert len(found.regressions) == 2
    assert "int8-dynamic at 128 tokens is slower" in found.regressions[0]
    back = compared(run(results, "slower"), run(results, "old"))
    assert {c.latency_verdict for c in rows(back, "int8-dynamic")} == {"faster"}
    assert back.regressions == []


def test_a_change_that_all_variants_share_is_the_machines(results: Path) -> None:
    found = compared(run(results, "old"), run(results, "all-slower"))
    assert any("every variant is slower" in note for note in found.notes)
    assert sum("a change of the machine, no regression of fp32, int8" in n for n in found.notes) == 2
    assert {c.latency_verdict for c in found.changes} == {"slower"}
    assert all(c.machine for c in found.changes)
    assert found.regressions == []
    for change in rows(found, "int8-dynamic"):
        assert change.relative == pytest.approx(1, rel=0.03)
        assert change.relative_low is not None
        assert change.relative_low < 1
    assert ptdq("compare", "old", "all-slower", "--results-dir", results).exit_code == 0


def test_pruned_runs_show_a_change_of_the_machine_as_well(results: Path, tmp_path: Path) -> None:
    slower = make_run(tmp_path, "slower", seed=4, slower={"int8-dynamic": 1.3, "fp32": 1.3})
    slower.table("predictions").unlink()
    found = compared(run(results, "old"), slower)
    assert all(c.machine for c in found.changes)
    assert found.regressions == []


@pytest.mark.parametrize(
    "change", [{"versions": {"torch": "2.14.0", "ptdq": "0.1.0"}}, {"model": {"digest": "another"}}]
)
def test_a_shared_slow_down_with_other_software_is_a_regression(
    results: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    slowed = {"int8-dynamic": 1.3, "fp32": 1.3}
    found = compared(run(results, "old"), make_run(tmp_path, "new", slower=slowed, record=change))
    assert len(found.regressions) == 4


@pytest.mark.parametrize("unknown", [("old", "new"), ("old",), ("new",)])
def test_code_of_an_unknown_commit_is_not_the_same_code(tmp_path: Path, unknown: tuple[str, ...]) -> None:
    slowed = {"int8-dynamic": 1.3, "fp32": 1.3}
    change = {"git_commit": None}
    old = make_run(tmp_path, "old", record=change if "old" in unknown else None)
    new = make_run(tmp_path, "new", seed=1, slower=slowed, record=change if "new" in unknown else None)
    found = compared(old, new)
    assert not any(c.machine for c in found.changes)
    assert len(found.regressions) == 4
    (code,) = (text for text in found.differences if text.startswith("code of ptdq: "))
    assert ("neither run" in code) == (len(unknown) == 2)
    assert "unknown" in code or len(unknown) == 2


def test_what_slowed_more_than_the_machine_is_a_regression(results: Path, tmp_path: Path) -> None:
    slowed = {"int8-dynamic": 1.6, "fp32": 1.2}
    found = compared(run(results, "old"), make_run(tmp_path, "new", slower=slowed))
    for change in rows(found, "int8-dynamic"):
        assert change.relative == pytest.approx(1.2 / 1.6, rel=0.03)
        assert change.relative_verdict == "slower"
    assert "relative to the baseline variant 0.75x as fast" in str(found.regressions)
    assert len(found.regressions) == 4, "not alike: the baseline variant's is its own"


def test_what_slowed_less_than_the_machine_is_none(results: Path, tmp_path: Path) -> None:
    slowed = {"int8-dynamic": 1.2, "fp32": 1.6}
    found = compared(run(results, "old"), make_run(tmp_path, "new", slower=slowed))
    assert [text.split(" is ")[0] for text in found.regressions] == [
        "fp32 at 128 tokens", "fp32 at 256 tokens",
    ]  # fmt: skip


def test_a_baseline_variant_alone_is_compared_with_itself(tmp_path: Path) -> None:
    old = make_run(tmp_path, "old", variants=["fp32"])
    new = make_run(tmp_path, "new", variants=["fp32"], slower={"fp32": 1.3}, seed=1)
    assert len(compared(old, new).regressions) == 2


def test_cores_of_another_seed_do_not_hide_the_machine(results: Path, tmp_path: Path) -> None:
    swapped = {"int8-dynamic": 1.3, "fp32": 1.3}
    new = make_run(tmp_path, "new", slower=swapped, change=swap_cores)
    found = compared(run(results, "old"), new)
    assert all(c.machine for c in found.changes)


@pytest.mark.parametrize("which", [0, 1])
def test_confounded_timings_are_no_regression(tmp_path: Path, which: int) -> None:
    changes: list[dict[str, Any]] = [{}, {}]
    changes[which] = {"change": confound("a step")}
    pair = [
        make_run(tmp_path, "old", **changes[0]),
        make_run(tmp_path, "new", **changes[1], seed=1, slower={"int8-dynamic": 1.3}),
    ]
    found = compared(*pair)
    by_length = {c.max_length: c for c in rows(found, "int8-dynamic")}
    assert by_length[128].latency_verdict is None
    assert by_length[256].latency_verdict == "slower"
    assert [text.split(" is ")[0] for text in found.regressions] == ["int8-dynamic at 256 tokens"]
    name = ("old", "new")[which]
    assert any("int8-dynamic at 128 tokens: no verdict" in n and f"{name}: a step" in n
               for n in found.notes)  # fmt: skip


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
    found = compared(run(results, "old"), other)
    assert found.timings_refused == text
    assert {c.latency_verdict for c in found.changes} == {None}
    assert {c.speedup for c in found.changes} == {None}
    assert all("fp32" in text for text in found.regressions)
    assert len(found.regressions) == 2


def test_pruned_runs_are_compared_by_their_rounds(results: Path, tmp_path: Path) -> None:
    slower = make_run(tmp_path, "slower", seed=3, slower={"int8-dynamic": 1.3})
    slower.table("predictions").unlink()
    found = compared(run(results, "old"), slower)
    for change in rows(found, "int8-dynamic"):
        assert change.latency_verdict == "slower"
        assert change.speedup == pytest.approx(1 / 1.3, rel=0.03)
        assert change.quality_verdict is None
        assert "pruned" in str(change.quality_refused)


def test_other_documents_are_not_compared(results: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path, "other", documents=59)  # every id is another one's no more
    record = read_json(other.record)
    record["data"]["digest"] = "another"
    write_json(other.record, record)
    other.table("predictions").unlink()
    found = compared(run(results, "old"), other)
    assert {(c.speedup, c.latency_verdict) for c in found.changes} == {(None, None)}
    assert found.regressions == []
    assert any(text.startswith("data: fedcba") for text in found.differences)


def test_only_common_documents_count(results: Path, tmp_path: Path) -> None:
    fewer = make_run(tmp_path, "fewer", seed=7)
    table = read_table(fewer.table("predictions"))
    gone = pa.array(sorted(set(table["doc_id"].to_pylist()))[:10])
    write_table(
        fewer.table("predictions"),
        table.filter(pa.compute.invert(pa.compute.is_in(table["doc_id"], gone))),
    )
    for found in (compared(run(results, "old"), fewer), compared(fewer, run(results, "old"))):
        assert {(c.documents, c.speedup_refused) for c in found.changes} == {(50, None)}


def test_one_round_gives_no_verdict(results: Path, tmp_path: Path) -> None:
    short = make_run(tmp_path, "short", repeats=1, slower={"int8-dynamic": 3})
    change = rows(compared(run(results, "old"), short), "int8-dynamic")[0]
    assert change.speedup is not None
    assert (change.speedup_low, change.latency_verdict, change.rounds) == (None, SAME, 1)
    assert "rounds" in str(change.speedup_refused)


def ptdq(*arguments: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_command_and_status(results: Path) -> None:
    good = ptdq("compare", "old", "same", "--results-dir", results)
    assert good.exit_code == 0
    assert "**Nothing is decidedly worse than before.**" in good.output
    bad = ptdq("compare", "old", "slower", "--results-dir", results)
    assert bad.exit_code == 3
    assert "**Worse than before:**" in bad.output
    assert "| `int8-dynamic` | 128 |" in bad.output
    as_json = ptdq("compare", "old", "worse", "--results-dir", results, "--json")
    assert as_json.exit_code == 3
    found = json.loads(as_json.stdout)
    assert (found["old"], found["new"], len(found["regressions"])) == ("old", "worse", 2)
    missing = ptdq("compare", "old", "nowhere", "--results-dir", results)
    assert isinstance(missing.exception, UserError)


def test_baseline_is_marked_and_compared_with(results: Path, tmp_path: Path) -> None:
    make_run(tmp_path, "good", seed=1)
    slower = make_run(tmp_path, "tonight", seed=2, slower={"int8-dynamic": 1.3})
    assert change_since(slower, None) is None
    assert ptdq("baseline", "good", "--results-dir", tmp_path).exit_code == 0
    assert baseline_run.marked(tmp_path) == "good"
    found = change_since(slower, None)
    assert found is not None
    assert len(found["regressions"]) == 2
    assert change_since(slower, "none") is None
    assert change_since(run(tmp_path, "good"), None) is None  # with itself
    write_json(slower.record, read_json(slower.record) | {"baseline": found})
    text = build_report(slower).markdown
    assert "## Change since run `good`" in text
    assert "int8-dynamic at 128 tokens is slower" in text
    assert "## Change since" not in build_report(run(tmp_path, "good")).markdown


def test_a_baseline_that_has_gone_is_said_and_fails_nothing(tmp_path: Path) -> None:
    tonight = make_run(tmp_path, "tonight")
    write_json(tmp_path / "baseline.json", {"schema_version": 1, "run_id": "gone"})
    found = change_since(tonight, None)
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
