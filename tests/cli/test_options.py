"""What the help of a command says is what the command does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ptdq.cli.main import cli
from ptdq.errors import UserError
from ptdq.evaluation.request import check
from ptdq.parameters import make_parameters
from ptdq.variants import registry


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, terminal_width=200)


def test_a_default_of_zero_is_told() -> None:
    (seed,) = (line for line in invoke("run", "--help").output.splitlines() if "--seed" in line)
    assert "[default: 0]" in seed


def test_what_is_off_or_empty_by_default_has_no_default_told() -> None:
    text = invoke("run", "--help").output
    assert "[default: False]" not in text
    assert "[default: None]" not in text
    assert "[default: ]" not in text


def test_evaluate_documents_what_it_takes() -> None:
    text = invoke("evaluate", "--help").output
    assert "fp32, int8-dynamic" not in text
    assert "128, 256, 384" not in text
    assert "demo" not in text
    assert "`all`" not in text
    assert "calibrate are refused" in " ".join(text.split())


@pytest.mark.parametrize("missing", ["--model", "--data", "--variant", "--max-length"])
def test_evaluate_asks_for_what_it_needs(missing: str, tmp_path: Path) -> None:
    given = {"--model": "m", "--data": "d.csv", "--variant": "fp32", "--max-length": "16"}
    words = [word for name, value in given.items() if name != missing for word in (name, value)]
    done = invoke("evaluate", *words, "--results-dir", str(tmp_path))
    assert done.exit_code == 2
    assert f"Missing option '{missing}'" in done.output


def test_variants_that_calibrate_are_refused_with_the_reason() -> None:
    name = next(name for name in registry.names() if registry.get(name).calibrates)
    values = {"model": "m", "data": "d.csv", "variant": [name], "max_length": [16]}
    with pytest.raises(UserError, match=f"variant {name}: those that calibrate .* use `ptdq run`"):
        check(make_parameters(values), 10)
