"""A made-up run that measured a real artifact, which can be exported."""

from __future__ import annotations

from pathlib import Path

from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table, read_table, write_table
from ptdq.variants.artifact import Artifact
from tests.support.runs import make_run

VARIANT = "int8-dynamic"


def run_of(made: Artifact, tmp_path: Path) -> RunFiles:
    """The run ``results/run`` whose int8 variant is this artifact."""
    files = make_run(tmp_path / "results", "run", record={"versions": {"torch": "2.13.0+cpu"}})
    rows = read_table(files.table("variants")).to_pylist()
    rows[1] |= {"digest": made.digest, "engine": made.settings.engine}
    write_table(files.table("variants"), make_table("variants", rows))
    return files
