"""``ptdq tune``: what it refuses at once, and one search on the tiny model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.host import machine
from ptdq.variants import registry
from tests.support.small_models import texts

needs_all = pytest.mark.skipif(
    bool(registry.missing_packages(registry.get("int8-best"))), reason="needs OpenVINO"
)


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(cli, ["tune", *map(str, arguments)])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@needs_all
def test_there_must_be_documents_to_search_on(tiny_model: Path) -> None:
    assert "calibration_data" in refused(tiny_model)


@needs_all
@pytest.mark.skipif("amx_int8" in machine.cpu_flags(), reason="this CPU has it all")
def test_a_cap_above_the_cpu_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    text = refused(tiny_model, "--calibration-data", tmp_path / "none.csv", "--isa", "amx_int8")
    assert "this CPU has" in text


@needs_all
def test_the_test_set_is_none_to_search_on(tiny_model: Path, tiny_data: Path) -> None:
    text = refused(tiny_model, "--calibration-data", tiny_data, "--data", tiny_data, "--max-length", 32)
    assert "are in the test set" in text


@needs_all
@pytest.mark.long
@pytest.mark.slow
def test_it_prints_what_was_tried(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts(3, 40))])
    asked = ["tune", tiny_model, "--calibration-data", path, "--max-length", 32, "--tune-minutes", 0]
    result = CliRunner().invoke(cli, list(map(str, asked)))
    assert result.exit_code == 0, result.output
    assert "What was tried for int8-best" in result.output
    assert "chosen" in result.output
    again = CliRunner().invoke(cli, [*map(str, asked), "--json"])
    found = json.loads(again.stdout)
    assert found["documents"] == 40
    assert [one["out"] for one in found["tried"]].count(None) == 1
