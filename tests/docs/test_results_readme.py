"""results/README.md describes every kind of directory that is found there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptdq.report.summary import summary_path
from ptdq.sensitivity.find import TABLE
from ptdq.sensitivity.report import CONFIG
from ptdq.store.layout import MatrixFiles, RunFiles, ShardFiles
from ptdq.store.schema import tables
from tests.support.running import ROOT

SECTIONS = (ROOT / "results" / "README.md").read_text(encoding="utf-8").split("\n## ")
HERE = Path()
RUN, SHARDS, MATRIX = RunFiles(HERE), ShardFiles(HERE), MatrixFiles(HERE)


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("A run", [RUN.record, RUN.report, summary_path(RUN), *map(RUN.table, tables())]),
        ("A run", [RUN.cells, RUN.requests, RUN.logs, RUN.plot("any").parent]),
        ("A sharded evaluation", [SHARDS.record, SHARDS.report, SHARDS.documents, SHARDS.shards]),
        ("A matrix", [MATRIX.record, MATRIX.report, MATRIX.table, MATRIX.runs]),
        ("A study of sensitivity", [Path(TABLE), Path(CONFIG)]),
    ],
)
def test_every_file_is_described(kind: str, files: list[Path]) -> None:
    (section,) = (text for text in SECTIONS if text.startswith(kind))
    for path in files:
        assert f"`{path.name}`" in section or f"`{path.name}/`" in section, path.name
