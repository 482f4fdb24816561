"""Artifacts of the tiny model, and cells of it measured by real workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ptdq.host.machine import usable_cores
from ptdq.inputs.checkpoint import open_checkpoint
from ptdq.measure.design import Cell
from ptdq.store.tables import make_table, read_table, table_metadata, write_table
from ptdq.variants import registry
from ptdq.variants.artifact import Artifact, make_artifact
from ptdq.variants.base import Settings
from ptdq.variants.engines import choose_engine


def artifact_of(model: Path, variant: str, target: Path) -> Artifact:
    """The variant's artifact, made in this process."""
    checkpoint = open_checkpoint(str(model), labels=[])
    settings = Settings(engine=choose_engine(None))
    return make_artifact(registry.get(variant), checkpoint.source, settings, None, target)


def write_documents(path: Path, texts: list[str]) -> Path:
    """A file of the schema ``documents``; every label is the first class."""
    rows = [{"doc_id": f"d{n}", "text": text, "label": 0} for n, text in enumerate(texts)]
    write_table(path, make_table("documents", rows))
    return path


def a_cell(variant: str, cell_id: str = "cell", order: int = 0) -> Cell:
    """A cell on the first core."""
    return Cell(cell_id, variant, 16, 0, usable_cores()[0], order, 7)


def columns(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of a cell's result as arrays, and what the worker says of itself."""
    table: pa.Table = read_table(path)
    arrays = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    return arrays, table_metadata(table)["facts"]
