"""The tutorial, followed word by word: all its blocks in one shell, in an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import TUTORIAL, blocks
from tests.support.running import ROOT

pytestmark = pytest.mark.long


def test_it_works_as_written(tmp_path: Path) -> None:
    script = "\n".join(["set -euo pipefail", *blocks(TUTORIAL)])
    place = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": place, "PYTHONPATH": str(ROOT), "PTDQ_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    printed = ran.stdout.splitlines()
    # What the pages say is printed, is: directories of both runs, files of the copy and of the export.
    for line in ("results/first", "results/second", "baseline: second", "load.py", "model"):
        assert line in printed, line
    # One document, one class of the model.
    assert len(printed[-1]) > 2
    for run in ("first", "second"):
        assert (tmp_path / "results" / run / "report.md").is_file()
