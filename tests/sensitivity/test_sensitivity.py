"""``ptdq sensitivity`` from the command line to its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.inputs.source import torch_predictor
from ptdq.parameters import make_parameters, read_config
from ptdq.sensitivity.find import Found, read_found
from ptdq.store.disk import read_json
from ptdq.store.layout import RunFiles
from ptdq.store.tables import read_table
from ptdq.variants.base import Settings
from ptdq.variants.dynamic import Int8DynamicMixed
from ptdq.variants.engines import choose_engine
from tests.support.running import start_ptdq
from tests.support.small_models import HARD, label, spoil, texts

TOKENS = 16
MARGIN = 0.8
COUNT = 100
"""Documents of a choice, enough to show the margin by the bound where few predictions change."""


@dataclass(frozen=True)
class Study:
    """One call of the command."""

    output: list[str]
    directory: Path
    found: Found
    model: Path
    data: Path


def sensitivity(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["sensitivity", *map(str, arguments)])


def complaint(*arguments: object) -> str:
    error = sensitivity(*arguments).exception
    assert isinstance(error, UserError)
    return str(error)


def study(model: Path, data: Path, results: Path, *arguments: object) -> Study:
    result = sensitivity(
        "--model", model, "--data", data, "--results-dir", results, "--max-length", TOKENS,
        "--f1-margin", MARGIN, *arguments,
    )  # fmt: skip
    assert result.exception is None, result.exception
    lines = result.stdout.splitlines()
    directory = Path(lines[-1])
    return Study(lines, directory, read_found(directory), model, data)


@pytest.fixture(scope="module")
def hard(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of a model with one module that is hard to quantize, on documents of its own."""
    directory = tmp_path_factory.mktemp("hard")
    model = spoil(tiny_model, directory / "model")
    data = label(model, texts(0, COUNT), directory / "test.csv", TOKENS)
    other = label(model, texts(COUNT, COUNT), directory / "validation.csv", TOKENS)
    return study(model, data, directory / "results", "--calibration-data", other)


@pytest.fixture(scope="module")
def easy(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study by block of a model that quantizes well, on the documents that runs report on."""
    directory = tmp_path_factory.mktemp("easy")
    data = label(tiny_model, texts(0, COUNT), directory / "test.csv", TOKENS)
    return study(tiny_model, data, directory / "results", "--by", "block", "--run-id", "mine")


def test_the_hard_module_comes_first_and_is_the_one_kept(hard: Study) -> None:
    first, *others = hard.found.rows
    assert first["name"] == HARD
    assert first["divergence"] > 10 * max(row["divergence"] for row in others)
    assert first["main_difference"] < MARGIN - 1
    assert hard.found.kept == [HARD]
    assert [row["name"] for row in hard.found.rows if row["kept"]] == [HARD]
    assert hard.found.everything["non_inferiority"] == "inferior"
    chosen = hard.found.chosen
    assert chosen["non_inferiority"] == "non-inferior"
    assert min(low for *_, low in chosen["shares"]) >= MARGIN


def test_the_mixed_variant_predicts_as_the_study_says(hard: Study) -> None:
    source = open_checkpoint(str(hard.model), labels=[]).source
    settings = Settings(engine=choose_engine(None), keep_float_mixed=tuple(hard.found.kept))
    float32, tokenizer = source.module(), source.tokenizer()
    mixed = torch_predictor(Int8DynamicMixed().quantize(source.module(), settings))
    chosen = hard.found.chosen["changed"]
    for texts_of, said in ((texts(COUNT, COUNT), chosen), (texts(0, COUNT), None)):
        changed = 0
        for text in texts_of:
            inputs = tokenizer([text], max_length=TOKENS, truncation=True, return_tensors="np")
            changed += torch_predictor(float32)(inputs).argmax() != mixed(inputs).argmax()
        assert changed <= (1 - MARGIN) * COUNT
        assert said in (None, changed)


def test_every_module_is_timed_in_both(hard: Study) -> None:
    for row in hard.found.rows:
        assert (row["float_ms"] or 0) > 0
        assert (row["int8_ms"] or 0) > 0
        ends = (row["gain_low_ms"], row["gain_ms"], row["gain_high_ms"])
        assert list(ends) == sorted(end for end in ends if end is not None)
        assert row["max_length"] == TOKENS


def test_the_configuration_is_one_of_a_run(hard: Study) -> None:
    parameters = make_parameters(read_config(hard.directory / "mixed.yaml"))
    assert parameters.variant == ["fp32", "int8-dynamic", "int8-dynamic-mixed"]
    assert parameters.keep_float_mixed == [HARD]
    assert parameters.data == str(hard.data)
    assert (parameters.max_length, parameters.margin, parameters.limit) == ([TOKENS], MARGIN, None)
    assert parameters.calibration_data is not None


@pytest.mark.long
def test_the_choice_is_measured_at_once(hard: Study, prefect_server: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("repeats: 1\ncontrol_documents: 0\nload_wait: 0\n")
    ptdq = start_ptdq(
        "sensitivity", "--model", hard.model, "--data", hard.data, "--results-dir", tmp_path / "results",
        "--max-length", TOKENS, "--f1-margin", MARGIN, "--config", config, "--measure",
        server=prefect_server,
    )  # fmt: skip
    output, errors = ptdq.communicate(timeout=300)
    assert ptdq.returncode == 0, errors.decode()
    run = RunFiles(Path(output.decode().splitlines()[-1]))
    found = {row["variant"]: row["accuracy"] for row in read_table(run.table("cells")).to_pylist()}
    assert set(found) == {"fp32", "int8-dynamic", "int8-dynamic-mixed"}
    assert found["int8-dynamic"] < found["int8-dynamic-mixed"]


def test_the_report_says_what_was_found_and_on_what(hard: Study) -> None:
    report = (hard.directory / "sensitivity.md").read_text(encoding="utf-8")
    assert f"| `{HARD}` |" in report
    assert "none of which is in" in report
    assert f"keep_float_mixed:\n- {HARD}" in report
    assert f"ptdq run --config {hard.directory / 'mixed.yaml'}" in " ".join(hard.output)
    facts: dict[str, Any] = read_json(hard.directory / "sensitivity.json")
    assert facts["kept"] == [HARD]
    assert facts["apart"] is True


def test_nothing_is_kept_where_nothing_has_to(easy: Study) -> None:
    assert easy.directory.name == "mine"
    assert easy.found.kept == []
    assert easy.found.tried == 1
    assert easy.found.everything == easy.found.chosen
    assert not (easy.directory / "mixed.yaml").exists()
    assert "Nothing has to stay in float" in " ".join(easy.output)
    names = {"bert.encoder.layer.0", "bert.encoder.layer.1", "bert.pooler.dense", "classifier"}
    assert {row["name"] for row in easy.found.rows} == names


def test_too_few_documents_to_decide_are_said_and_choose_nothing(hard: Study, tmp_path: Path) -> None:
    """On the code that went by the point 20 documents chose; no run could have confirmed it."""
    found = study(hard.model, hard.data, tmp_path, "--limit", 20, "--f1-margin", 0.99)
    assert (found.found.enough, found.found.kept, found.found.tried) == (False, [], 0)
    said = " ".join(" ".join(found.output).split())
    assert "20 documents are too few to decide" in said
    needed = found.found.nothing_lost["documents_needed"]
    assert needed > 200
    assert f"it takes about {needed:,}" in said
    assert not (found.directory / "mixed.yaml").exists()
    # What each module costs is known all the same.
    assert found.found.rows[0]["name"] == HARD


def test_documents_that_belong_together_count_as_one_for_the_choice(hard: Study, tmp_path: Path) -> None:
    rows = pd.read_csv(hard.data)
    grouped = tmp_path / "grouped.csv"
    rows.assign(author=[number % 10 for number in range(len(rows))]).to_csv(grouped, index=False)
    found = study(hard.model, grouped, tmp_path / "results", "--group-column", "author").found
    assert (found.groups, found.enough) == (10, False)
    assert hard.found.groups == COUNT


def test_a_choice_on_the_documents_of_the_run_is_called_that(easy: Study) -> None:
    assert "flatters" in (easy.directory / "sensitivity.md").read_text(encoding="utf-8")


def test_harm_is_what_the_table_is_sorted_by(hard: Study, easy: Study) -> None:
    for found in (hard.found, easy.found):
        harms = [row["divergence"] for row in found.rows]
        assert harms == sorted(harms, reverse=True)
        assert np.isfinite(harms).all()


def test_documents_of_the_run_are_refused_for_the_choice(hard: Study, tmp_path: Path) -> None:
    text = complaint(
        "--model", hard.model, "--data", hard.data, "--calibration-data", hard.data,
        "--max-length", TOKENS, "--results-dir", tmp_path,
    )  # fmt: skip
    assert "calibration_data" in text
    assert "test set" in text
    assert list(tmp_path.iterdir()) == []


def test_the_choice_needs_labels(hard: Study, tmp_path: Path) -> None:
    unlabelled = tmp_path / "unlabelled.csv"
    pd.DataFrame({"text": ["a", "b"]}).to_csv(unlabelled, index=False)
    text = complaint("--model", hard.model, "--data", hard.data, "--calibration-data", unlabelled)
    assert "no column 'label'" in text


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--f1-margin", "2"], "margin"),
        (["--max-length", "33"], "32 positions"),
        (["--limit", "0"], "limit"),
        (["--engine", "steam"], "'steam'"),
        (["--modules", "Conv9d"], "modules"),
        (["--run-id", "a/b"], "path separator"),
        (["--data", "none.csv"], "no such file"),
    ],
)
def test_input_is_wrong(options: list[str], part: str, hard: Study, tmp_path: Path) -> None:
    text = complaint(
        "--model", hard.model, "--data", hard.data, "--results-dir", tmp_path, "--max-length", TOKENS,
        *options,
    )  # fmt: skip
    assert part in text
    assert len(text.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_random_weights_have_no_quality_to_lose(hard: Study, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"model: {hard.model}\ndata: {hard.data}\nrandom_weights: true\n")
    assert "random_weights" in complaint("--config", config)


def test_wrong_input_has_status_2(tmp_path: Path) -> None:
    ptdq = start_ptdq(
        "sensitivity", "--model", tmp_path / "none", "--data", tmp_path / "none.csv",
        "--results-dir", tmp_path, server="http://127.0.0.1:9/api",
    )  # fmt: skip
    output, errors = ptdq.communicate(timeout=300)
    assert (ptdq.returncode, output) == (2, b"")
    (line,) = errors.decode().splitlines()
    assert line.startswith("ptdq: ")
    assert "none.csv" in line
