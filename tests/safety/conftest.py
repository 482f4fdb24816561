"""The scene of the faults: a run to be broken, in directories of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptdq.store.layout import RunFiles
from tests.safety.scene import Scene


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of Prefect; its database is made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def scene(home: Path, tiny_model: Path, tiny_data: Path, tmp_path: Path) -> Iterator[Scene]:
    results = tmp_path / "results"
    results.mkdir()
    idle = subprocess.Popen([sys.executable, "-c", ""])
    made = Scene(RunFiles(results / "broken"), tmp_path, home, tiny_model, tiny_data, idle)
    idle.wait()
    try:
        yield made
    finally:
        made.end()
