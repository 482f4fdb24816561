"""In a project with packages `tasks` and `flows` of its own, ours are ours, and its modules are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ptdq.inputs.calibration import CalibrationRequest
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine
from ptdq.variants.preparation import prepare_variant
from tests.conftest import CLASSES
from tests.support.running import ROOT

MINE = """
from ptdq.variants.fp32 import Fp32

class Mine(Fp32):
    name = "mine"
"""
# As Prefect's server and Dask's workers are started: from the environment that the command leaves.
OTHERS = """
import subprocess, sys
subprocess.run([sys.executable, "-P", "-c", "import ptdq.errors, ptdq.cli.options, helper"], check=True)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for package in ("tasks", "flows"):
        (tmp_path / package).mkdir()
        # An editable install of ours would find the modules that the user's package lacks.
        (tmp_path / package / "__init__.py").write_text("raise ImportError('not ours')")
    (tmp_path / "helper.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_children_find_both(project: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "mine.py").write_text(MINE)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, str(project)])  # as the command does
    prepared = prepare_variant(
        "mine:Mine",
        open_checkpoint(str(tiny_model), labels=CLASSES),
        Settings(engine=choose_engine(None)),
        CalibrationRequest(None, "random 16", "random token ids", 16),
        project / "log",
        timeout=300,
    )
    assert prepared.artifact.size_bytes > 0


def test_the_command_finds_both(project: Path) -> None:
    (project / "mine.py").write_text(OTHERS + MINE)
    ptdq = subprocess.run(
        [Path(sys.executable).with_name("ptdq"), "run", "--model", "./none", "--data", "none.csv",
         "--variant", "mine:Mine"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ptdq.returncode == 2
    (line,) = ptdq.stderr.splitlines()
    assert "none.csv" in line
