"""``ptdq run --extend``: what is refused, in one line, before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.execution import extended
from ptdq.parameters import make_parameters
from ptdq.store.layout import RunFiles
from ptdq.store.record_file import write_record
from ptdq.store.record_model import CellPlan, DesignPlan, Pruning, RunRecord

ASKED = make_parameters({"model": "m", "data": "d.csv", "repeats": 4})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """With a run of four rounds, and one that was pruned."""
    cells = [
        CellPlan(cell_id=f"fp32-r{n}", variant="fp32", max_length=16, repeat=n, core=0, order=n)
        for n in range(4)
    ]
    run = RunRecord(status="completed", parameters=ASKED.model_dump(), design=DesignPlan(cells=cells))
    write_record(RunFiles(tmp_path / "done").record, run)
    pruned = run.model_copy(update={"pruned": Pruning(at="2026-01-01", freed_bytes=1)})
    write_record(RunFiles(tmp_path / "pruned").record, pruned)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["done"], "extend 'done': it has 4 rounds; ask for more in all (--repeats), or for a width"),
        (["done", "--repeats", "4"], "it has 4 rounds; ask for more in all"),
        (["done", "--max-minutes", "9"], "max_minutes: it limits what target_width adds"),
        (
            ["done", "--repeats", "8", "--margin", "0.5"],
            "margin: a run continues as it began; leave --margin",
        ),
        (["done", "--target-width", "200%"], "target_width: "),
        (["done", "--target-width", "wide%"], "target_width: "),
        (["pruned", "--repeats", "8"], "extend 'pruned': the rows of its documents were pruned"),
        (["none", "--repeats", "8"], "run 'none': no run.json in "),
        (["done", "--repeats", "8", "--resume", "done"], "--resume, --extend: give one of them"),
    ],
)
def test_what_cannot_be_extended_is_one_line(results: Path, words: list[str], said: str) -> None:
    ended = CliRunner().invoke(cli, ["run", "--results-dir", str(results), "--extend", *words])
    assert isinstance(ended.exception, UserError)
    assert said in str(ended.exception)
    assert len(str(ended.exception).splitlines()) == 1


@pytest.mark.parametrize(
    "given", [{"repeats": 6}, {"target_width": "2%"}, {"target_width": 0.02, "max_minutes": 60}]
)
def test_the_rest_is_as_it_was(results: Path, given: dict[str, Any]) -> None:
    parameters = extended("done", {"results_dir": str(results), **given})
    place = {"run_id": "done", "results_dir": str(results)}
    assert parameters == make_parameters({**ASKED.model_dump(), **given, **place})
