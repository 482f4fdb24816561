"""Runs that somebody else made: one line that names the run, and the others are shown."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptdq.cli import main as command_line
from ptdq.errors import UserError
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from tests.support.runs import make_run

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
OLD = {"ended_at": "2026-01-01T00:00:00+00:00", "started_at": "2026-01-01T00:00:00+00:00"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound runs."""
    results = tmp_path_factory.mktemp("made")
    for number, run_id in enumerate(("good", "evil")):
        make_run(results, run_id, seed=number, record=OLD, repeats=2, documents=20, lengths=(128,))
    return results


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


def ptdq(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """Status, output and errors of a command, as its entry point gives them."""
    monkeypatch.setattr("sys.argv", ["ptdq", *map(str, arguments)])
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    monkeypatch.setenv("PYTHONPATH", "")
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    written = capsys.readouterr()
    return int(ended.value.code or 0), written.out, written.err


def set_record(**changes: Any) -> Callable[[RunFiles], None]:
    def damage(files: RunFiles) -> None:
        files.record.write_text(json.dumps({**read_json(files.record), **changes}))

    return damage


def set_column(table: str, column: str, value: Any) -> Callable[[RunFiles], None]:
    """Every row of a column is another value, of its declared type or not."""

    def damage(files: RunFiles) -> None:
        path = files.table(table)
        found = pq.read_table(path, partitioning=None)
        place, kind = found.column_names.index(column), found.schema.field(column).type
        values = pa.array([value] * found.num_rows, kind if value is None else None)
        changed = found.set_column(place, pa.field(column, values.type), values)
        pq.write_table(changed.replace_schema_metadata(found.schema.metadata), path)

    return damage


def flip(files: RunFiles) -> None:
    content = bytearray(files.table("cells").read_bytes())
    content[len(content) // 3] ^= 0xFF
    files.table("cells").write_bytes(content)


def pipe(name: str) -> Callable[[RunFiles], None]:
    def damage(files: RunFiles) -> None:
        (files.directory / name).unlink()
        os.mkfifo(files.directory / name)

    return damage


def deep(files: RunFiles) -> None:
    files.record.write_text("[" * 100_000)


def deep_values(files: RunFiles) -> None:
    value: Any = 1
    for _ in range(400):
        value = [value]
    set_record(parameters={"model": value})(files)


DAMAGES: dict[str, Callable[[RunFiles], object]] = {
    "flipped Parquet": flip,
    "empty table": lambda files: files.table("cells").write_bytes(b""),
    "a column of another type": set_column("cells", "forward_p50_ms", "fast"),
    "no variant in any row": set_column("cells", "variant", None),
    "negative times": set_column("cells", "forward_p50_ms", -1.0),
    "deep JSON": deep,
    "deep values": deep_values,
    "a list for a record": lambda files: files.record.write_text("[]"),
    "wrong types in the record": set_record(machine="fast", status=3),
    "no table of ptdq": lambda files: pq.write_table(pa.table({"a": [1]}), files.table("cells")),
    "a pipe for a table": pipe("cells.parquet"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_one_bad_run_is_named_and_the_others_are_shown(
    damage: Callable[[RunFiles], object],
    results: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage(RunFiles(results / "evil"))
    run = (capsys, monkeypatch)
    plot = results / "history.png"
    status, out, err = ptdq(*run, "history", "--results-dir", results, "--plot", plot)
    assert status == 0, err
    assert "good" in out
    assert [line for line in err.splitlines() if "evil" not in line] == []

    status, out, err = ptdq(*run, "prune", "--results-dir", results, "--older-than", 30)
    assert (status, err) == (0, "")
    assert "good: " in out
    assert not RunFiles(results / "good").table("predictions").exists()

    # Two sound runs are compared, whatever lies beside them; here a run with itself.
    status, out, err = ptdq(*run, "compare", "good", "good", "--results-dir", results)
    assert (status, err) == (0, "")
    for command in (["show", "evil"], ["report", "evil"], ["compare", "good", "evil"]):
        status, out, err = ptdq(*run, *command, "--results-dir", results)
        assert status in (0, 2, 3), err
        if status == 2:
            (line,) = err.splitlines()
            assert line.startswith("ptdq: ")
            assert "evil" in line


def test_a_record_that_is_a_pipe_is_no_run(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe("run.json")(RunFiles(results / "evil"))
    for command in (["history", "--plot", results / "h.png"], ["prune", "--older-than", "30"]):
        status, out, _ = ptdq(capsys, monkeypatch, *command, "--results-dir", results)
        assert status == 0
        assert "good" in out
    status, _, err = ptdq(capsys, monkeypatch, "show", "evil", "--results-dir", results)
    assert (status, len(err.splitlines())) == (2, 1)


def test_no_control_character_reaches_the_terminal(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = RunFiles(results / "evil")
    set_record(
        status="broken off",
        broken_off=ESCAPE,
        verdict={"decision": ESCAPE, "variant": ESCAPE, "headline": ESCAPE, "reasons": [ESCAPE]},
    )(evil)
    for column in ("variant", "error", "status"):
        set_column("cells", column, f"{ESCAPE}\x9b2J")(evil)
    named = results / f"named{ESCAPE}"
    shutil.copytree(results / "good", named)
    (named / "run.json").write_text("{")
    for command in (
        ["show", "evil"],
        ["show", named],
        ["show", ESCAPE],
        ["report", "evil"],
        ["compare", "good", "evil"],
        ["compare", "good", "evil", "--json"],
        ["history", "--plot", results / "h.png"],
        ["prune", "--older-than", "30", "--dry-run"],
    ):
        _, out, err = ptdq(capsys, monkeypatch, *command, "--results-dir", results)
        assert [char for char in out + err if not char.isprintable() and char != "\n"] == [], command


def test_nothing_is_written_through_a_link(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (results / "evil" / "plots").symlink_to(outside)
    status, _, err = ptdq(capsys, monkeypatch, "report", "evil", "--results-dir", results)
    assert status == 2
    assert "is a link" in err
    (results / "evil" / "plots").unlink()

    victim = outside / "notes.txt"
    victim.write_text("mine")
    for name in ("report.md", "summary.json"):
        (results / "evil" / name).unlink(missing_ok=True)
        (results / "evil" / name).symlink_to(victim)
    status, _, _ = ptdq(capsys, monkeypatch, "report", "evil", "--results-dir", results)
    assert status == 0
    assert victim.read_text() == "mine"
    assert list(outside.iterdir()) == [victim]


def test_nothing_is_pruned_through_a_link(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path(shutil.copytree(results / "good", tmp_path / "outside" / "run"))
    before = sorted(path.name for path in outside.iterdir())
    (results / "linked").symlink_to(outside)
    shutil.rmtree(results / "evil" / "cells")
    (results / "evil" / "cells").symlink_to(outside)
    (results / "evil" / "predictions.parquet").unlink()
    (results / "evil" / "predictions.parquet").symlink_to(tmp_path / "nowhere")
    matrix = results / "matrix"
    matrix.mkdir()
    (matrix / "matrix.json").write_text("{}")
    (matrix / "runs").symlink_to(outside.parent)
    status, out, err = ptdq(capsys, monkeypatch, "prune", "--results-dir", results, "--older-than", "30")
    assert (status, err) == (0, "")
    assert sorted(path.name for path in outside.iterdir()) == before
    assert "linked: kept, linked is a link" in out or "linked: kept, linked/" in out
    assert "evil: kept, evil/cells is a link" in out
    assert not RunFiles(results / "good").table("predictions").exists()


@pytest.mark.parametrize("content", ['{"schema_version": "two"}', '{"run_id": 3}', "[" * 100_000])
def test_a_mark_that_is_none_is_one_line(
    content: str, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (results / "baseline.json").write_text(content)
    status, _, err = ptdq(capsys, monkeypatch, "prune", "--results-dir", results, "--older-than", "30")
    assert status == 2
    assert "baseline.json" in err
    assert len(err.splitlines()) == 1


def test_a_name_too_long_is_one_line(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * 5000
    for command in (["show", long], ["compare", "good", long], ["report", long]):
        status, _, err = ptdq(capsys, monkeypatch, *command, "--results-dir", results)
        assert status == 2
        (line,) = err.splitlines()
        assert "too long" in line


def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    status, _, err = ptdq(capsys, monkeypatch, "variants")
    assert status == 2
    assert err == "ptdq: the working directory is gone; change to one that is there\n"


def test_versions_of_a_run_are_versions() -> None:
    from ptdq.export.build import requirements
    from ptdq.runtimes import ALWAYS

    load = ALWAYS["load.py"]
    assert requirements([load], {"numpy": "2.4.0+cpu"}) in ([], ["numpy==2.4.0"])
    evil = dict.fromkeys(("numpy", "json", "sys"), "1\n--index-url http://evil.example")
    with pytest.raises(UserError, match="damaged"):
        requirements([load], evil)
