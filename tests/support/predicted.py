"""A run directory with documents and predictions alone, and what is said of their quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ptdq.analysis.document_groups import read_groups
from ptdq.analysis.predictions import Comparer
from ptdq.analysis.question import Question
from ptdq.store.layout import RunFiles
from ptdq.store.rows import PairQuality
from ptdq.store.tables import make_table_of_columns, write_table
from tests.support.simulate import Ints

VARIANTS = ("fp32", "int8-dynamic")
LENGTH = 128
CLAIM = Question(VARIANTS, [LENGTH], seed=1)


def documents_of(
    labels: Ints, texts: Sequence[str] | None = None, groups: Sequence[str | None] | None = None
) -> pa.Table:
    """The table ``documents``; without texts all are different."""
    columns = {
        "doc_id": [f"{number:06d}" for number in range(len(labels))],
        "text": list(texts or [f"document {number}" for number in range(len(labels))]),
        "label": labels,
        "group": None if groups is None else list(groups),
    }
    return make_table_of_columns("documents", columns)


def predictions_of(documents: pa.Table, variant: str, predicted: Ints) -> pa.Table:
    """Rows of the table ``predictions`` of one variant, sure of what it predicts."""
    labels, place = documents["label"].to_numpy(), np.arange(documents.num_rows)
    classes = int(max(labels.max(), predicted.max())) + 1
    return make_table_of_columns(
        "predictions",
        {
            "run_id": "r", "variant": variant, "max_length": LENGTH, "repeat": 0, "core": 0, "order": 0,
            "doc_id": documents["doc_id"].combine_chunks(), "position": place, "batch": place,
            "tokens": 9, "truncated": False, "label": labels, "prediction": predicted,
            "logits": np.eye(classes, dtype=np.float32)[predicted], "tokenize_ns": 1,
            "forward_ns": 1000, "warmup": False,
        },
    )  # fmt: skip


def quality_of(
    directory: Path, documents: pa.Table, baseline: Ints, variant: Ints, question: Question = CLAIM
) -> PairQuality:
    """Columns of ``comparisons`` that a run of these predictions would have."""
    files = RunFiles(directory / "r")
    files.directory.mkdir(parents=True)
    tables = [
        predictions_of(documents, name, predicted)
        for name, predicted in zip(VARIANTS, (baseline, variant), strict=True)
    ]
    write_table(files.table("documents"), documents)
    write_table(files.table("predictions"), pa.concat_tables(tables))
    return Comparer(files, question, read_groups(files)).columns(*VARIANTS, LENGTH)
