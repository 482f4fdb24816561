"""A variant that needs other packages than the rest is prepared and measured by a Python of its own."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path

import pytest

from ptdq.errors import UserError
from ptdq.evaluation.request import check
from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.measure.cell import Work, measure_cell
from ptdq.parameters import make_parameters
from ptdq.store.layout import RunFiles
from ptdq.variants import registry
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import PreparedVariant, Terms, prepare_variant
from tests.conftest import CLASSES
from tests.support.cells import a_cell, write_documents
from tests.support.planted import PREFIX, Elsewhere

NAME = "tests.support.planted:Elsewhere"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that sees the packages of this one, as the variant's."""
    made = tmp_path / "environment"
    venv.create(made, symlinks=True)
    (site,) = made.glob("lib/python*/site-packages")
    (site / "under.pth").write_text(sysconfig.get_path("purelib"))
    python = made / "bin" / "python"
    monkeypatch.setenv("PLANTED_PYTHON", str(python))
    monkeypatch.setattr(Elsewhere, "python", str(python))
    return made


def prepared(model: Path, tmp_path: Path) -> PreparedVariant:
    return prepare_variant(
        NAME,
        open_checkpoint(str(model), labels=CLASSES),
        Settings(engine=choose_engine(None)),
        CalibrationRequest(None, "random 16", "random text", 16),
        tmp_path / "prepare.log",
        Terms(300, use_cache=False),
    )


@pytest.mark.slow
def test_both_halves_run_there(environment: Path, tiny_model: Path, tmp_path: Path) -> None:
    artifact = prepared(tiny_model, tmp_path).artifact
    assert (artifact.directory / PREFIX).read_text() == str(environment)
    files = RunFiles(tmp_path / "run")
    work = Work(write_documents(tmp_path / "documents.parquet", ["one", "two"]))
    assert measure_cell(files, a_cell(NAME), artifact, work).error is None
    # By this Python, which is not its own, the worker would have refused.
    Elsewhere.python = None
    outcome = measure_cell(files, a_cell(NAME, cell_id="here"), artifact, work)
    assert outcome.error is not None
    assert "loaded in" in outcome.error


def test_an_environment_that_is_not_there_is_named(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Elsewhere, "python", str(tmp_path / "none" / "python"))
    with pytest.raises(UserError, match=r"needs the environment of .*none/python, which is not there"):
        prepared(tiny_model, tmp_path)


def test_shards_are_evaluated_in_this_environment_and_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Elsewhere, "python", "/anywhere")
    parameters = make_parameters({"model": "m", "data": "d.csv", "variant": [NAME], "max_length": [16]})
    with pytest.raises(UserError, match="has an environment of its own"):
        check(parameters, 1000)


def test_what_it_needs_is_not_looked_for_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Elsewhere, "python", "/anywhere")
    monkeypatch.setattr(Elsewhere, "requires", ("no-such-distribution",))
    assert registry.missing_packages(registry.get(NAME)) == []
