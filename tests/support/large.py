"""A run of many documents as its workers leave it, concluded: ``python -m tests.support.large DIR N``.

Prints as JSON the peak memory of the process before, and after tables, comparisons and report were made.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from ptdq.analysis.aggregate import write_cell_tables
from ptdq.analysis.comparisons import write_comparisons
from ptdq.analysis.question import Question
from ptdq.analysis.stability import nondeterministic
from ptdq.host.machine import peak_rss_bytes
from ptdq.measure.design import Cell, Design, make_design
from ptdq.report import build_report
from ptdq.report.summary import write_summary
from ptdq.store.disk import write_json
from ptdq.store.layout import RunFiles
from ptdq.store.rows import ReadBack
from ptdq.store.schema import names
from ptdq.store.tables import make_table_of_columns, write_table
from tests.support.factory import CLASSES, Factory

LENGTH = 128
MOMENT = "2026-11-23T08:00:00+00:00"


def make(directory: Path, documents: int) -> tuple[RunFiles, Design, Question]:
    """Cells of two variants in one round, and the documents."""
    made = Factory(directory, lengths=(LENGTH,), repeats=1)
    files, classes = made.write(), len(made.names)
    design, question = asked()
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, documents)
    ids = [f"{number:07d}-{number % 2**32:08x}" for number in range(documents)]
    texts = [f"第{number}篇 a document of about thirty" for number in range(documents)]
    columns = {"doc_id": ids, "text": texts, "label": labels}
    write_table(files.table("documents"), make_table_of_columns("documents", columns))
    order = random.permutation(documents)
    for cell in design.cells:
        write_cell(files, cell, order, ids, labels, classes)
    write_json(files.record, made.record | {"notes": [], "design": design.as_json()})
    return files, design, question


def asked() -> tuple[Design, Question]:
    """Which cells there are, and what is asked of them."""
    names = ("fp32", "int8-dynamic")
    question = Question(names, (LENGTH,), class_names=CLASSES, margin=0.9)
    return make_design(names, [LENGTH], 1, [0, 1], seed=0), question


def write_cell(
    files: RunFiles, cell: Cell, order: np.ndarray, ids: list[str], labels: np.ndarray, classes: int
) -> None:
    """The result of a cell in which every tenth prediction is wrong."""
    random = np.random.default_rng(cell.order)
    count = len(order)
    wrong = random.random(count) < 0.1
    mine = labels[order]
    read_back = dict.fromkeys(names(ReadBack)) | {
        "pinned": True, "measure_seconds": 1.0, "started_at": MOMENT, "ended_at": MOMENT,
    }  # fmt: skip
    columns = {
        "run_id": files.run_id,
        "variant": cell.variant,
        "max_length": cell.max_length,
        "repeat": cell.repeat,
        "kind": "timing",
        "core": cell.core,
        "order": cell.order,
        "doc_id": [ids[place] for place in order],
        "position": np.arange(count),
        "batch": np.arange(count),
        "tokens": 10 + order % 100,
        "truncated": np.zeros(count, bool),
        "label": mine,
        "prediction": (mine + wrong) % classes,
        "logits": random.normal(size=(count, classes)).astype(np.float32),
        "tokenize_ns": np.full(count, 400_000),
        "forward_ns": random.lognormal(15, 0.1, count).astype(np.int64),
        "warmup": np.zeros(count, bool),
        "first_of_shape": np.zeros(count, bool),
    }
    metadata = {"cell": {}, "facts": read_back}
    write_table(files.cell(cell.cell_id), make_table_of_columns("predictions", columns, metadata))


def main(directory: Path, documents: int | None) -> None:
    """Make the run, or conclude one that was made."""
    if documents is not None:
        make(directory, documents)
        return
    # A small one first: what is imported on the way is no cost of many documents.
    conclude(*make(directory.with_name("small"), 200))
    before = peak_rss_bytes()
    conclude(RunFiles(directory), *asked())
    print(json.dumps({"before": before, "after": peak_rss_bytes()}))


def conclude(files: RunFiles, design: Design, question: Question) -> None:
    """All that the parent of a run does once its cells are measured."""
    write_cell_tables(files, design, question)
    write_comparisons(files, question)
    nondeterministic(files, question.variants, question.max_lengths)
    write_summary(files)
    build_report(files)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
