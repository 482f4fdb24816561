"""Files of cells that were finished before a run was broken off: sound ones stay, others go."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptdq.measure.finished import drop_damaged
from ptdq.store import record
from ptdq.store.layout import RunFiles
from ptdq.store.tables import make_table_of_columns, read_table, write_table
from tests.store.test_record import beginning
from tests.support.cells import write_documents

CELLS = ("fp32-L16-r0", "int8-L16-r0")
DOCUMENTS = 40


def write_cell(files: RunFiles, cell_id: str, **changes: Any) -> Path:
    """A finished cell, with two rows of warm-up."""
    variant, *_ = cell_id.partition("-")
    asked = {
        "run_id": files.run_id,
        "cell_id": cell_id,
        "documents": "/where/it/was/documents.parquet",
        "limit": None,
    } | changes
    count = changes.pop("rows", DOCUMENTS) + 2
    index = np.arange(count)
    columns: dict[str, Any] = {
        "run_id": asked["run_id"], "variant": variant, "max_length": 16, "repeat": 0, "core": 0,
        "order": 0, "doc_id": [f"d{n}" for n in index], "position": index, "batch": index,
        "warmup": index < 2, "label": index % 3, "prediction": index % 3, "tokens": index,
        "tokenize_ns": index * 7, "forward_ns": index * 977,
        "logits": np.zeros((count, 3), np.float32),
    }  # fmt: skip
    write_table(
        files.cell(cell_id), make_table_of_columns("predictions", columns, {"cell": asked, "facts": {}})
    )
    return files.cell(cell_id)


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    files = RunFiles(tmp_path / "run")
    record.begin(files, beginning())
    write_documents(files.table("documents"), [f"text {n}" for n in range(DOCUMENTS)])
    for cell_id in CELLS:
        write_cell(files, cell_id)
    return files


def dropped(files: RunFiles) -> tuple[set[str], list[str]]:
    """Cells that are gone, and what was said."""
    said: list[str] = []
    drop_damaged(files, said.append)
    notes = record.read(files).notes
    assert notes == said
    return set(CELLS) - {path.stem for path in files.cells.iterdir()}, said


def test_sound_cells_stay(files: RunFiles) -> None:
    write_cell(files, CELLS[1], limit=16, rows=16)
    before = {path: path.stat().st_mtime_ns for path in files.cells.iterdir()}
    assert dropped(files) == (set(), [])
    assert {path: path.stat().st_mtime_ns for path in files.cells.iterdir()} == before


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def swap(path: Path) -> None:
    path.write_bytes(path.with_name(f"{CELLS[1]}.parquet").read_bytes())


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "not a readable Parquet file"),
        (lambda path: path.write_bytes(b""), "not a readable Parquet file"),
        (lambda path: path.write_text("{}"), "not a readable Parquet file"),
        (replace_by_pipe, "not a regular file"),
        (swap, "it is of cell int8-L16-r0 of run run"),
    ],
)  # fmt: skip
def test_a_damaged_cell_is_measured_again(
    files: RunFiles, damage: Callable[[Path], None], said: str
) -> None:
    damage(files.cell(CELLS[0]))
    gone, (line,) = dropped(files)
    assert gone == {CELLS[0]}
    assert line.startswith(f"cell {CELLS[0]} is measured again: its file was damaged (")
    assert said in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": DOCUMENTS - 1}, "it has 39 documents of 40"),
        ({"limit": 16}, "it has 40 documents of 16"),
        ({"run_id": "other"}, "of run other"),
    ],
)
def test_a_cell_of_another_run_or_of_other_documents_is_measured_again(
    files: RunFiles, changes: dict[str, Any], said: str
) -> None:
    write_cell(files, CELLS[0], **changes)
    gone, (line,) = dropped(files)
    assert gone == {CELLS[0]}
    assert said in line


def test_no_flipped_bit_stays_in_a_result(files: RunFiles) -> None:
    """One bit anywhere: the file is refused, or it reads as it was written."""
    path = files.cell(CELLS[0])
    written, whole = path.read_bytes(), read_table(path)
    draw, refused = random.Random(5), 0
    for place in draw.sample(range(len(written)), 150):
        flipped = bytearray(written)
        flipped[place] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        drop_damaged(files, lambda text: None)
        if path.is_file():
            assert read_table(path).equals(whole), place
        else:
            refused += 1
    assert refused > 75  # what remains are bytes that say nothing, as statistics of pages


def test_documents_that_are_damaged_are_copied_anew(files: RunFiles, tmp_path: Path) -> None:
    source = tmp_path / "cached.parquet"
    kept = files.table("documents")
    source.write_bytes(kept.read_bytes())
    before = kept.stat().st_mtime_ns
    files.keep_documents(source)
    assert kept.stat().st_mtime_ns == before
    truncate(kept)
    files.keep_documents(source)
    assert kept.read_bytes() == source.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    kept.unlink()
    kept.symlink_to(elsewhere)
    files.keep_documents(source)
    assert kept.is_file()
    assert not kept.is_symlink()
    assert not elsewhere.exists()
