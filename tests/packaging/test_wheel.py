"""What is in the wheel: all of the package under one name, and nothing else."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.running import ROOT

pytestmark = pytest.mark.slow


def tracked(*paths: str) -> set[str]:
    """Files of the repository, links followed, by the names that they have in the package."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    return {name if name.startswith("ptdq/") else f"ptdq/{name}" for name in files}


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == tracked("ptdq", "flows", "tasks")
    assert "ptdq/flows/benchmark.py" in names
    assert {name for name in names if not name.endswith(".py")} >= {
        "ptdq/py.typed", "ptdq/demo/phrases.toml", "ptdq/report/summary.schema.json",
    }  # fmt: skip


def test_it_names_one_package_and_one_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        assert archive.read(f"{info}/top_level.txt").split() == [b"ptdq"]
        assert archive.read(f"{info}/entry_points.txt").decode().split("\n")[:2] == [
            "[console_scripts]",
            "ptdq = ptdq.cli.main:main",
        ]
