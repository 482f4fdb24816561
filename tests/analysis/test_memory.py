"""What more documents cost the parent of a run in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import ROOT

DOCUMENTS = 1_000_000
BYTES = 400
"""For each document: what one gigabyte for a million leaves beside the process itself."""


def run(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.large", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.slow
@pytest.mark.long
def test_a_document_costs_the_parent_little(tmp_path: Path) -> None:
    directory = tmp_path / "large"
    run(directory, DOCUMENTS)
    found = json.loads(run(directory).splitlines()[-1])
    assert (directory / "report.md").is_file()
    assert (found["after"] - found["before"]) / DOCUMENTS < BYTES, found
