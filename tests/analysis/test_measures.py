"""Comparisons at tasks other than one class: what is lost is found, and gates and verdict say it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptdq.analysis.document_groups import read_groups
from ptdq.analysis.findings import quality
from ptdq.analysis.gates import Tables, judge_gates
from ptdq.analysis.measures import MeasureComparer
from ptdq.analysis.question import Question
from ptdq.problem.task import Task
from ptdq.store.layout import RunFiles
from ptdq.store.rows import ComparisonRow
from ptdq.store.schema import names
from ptdq.store.tables import make_table, write_table

LENGTH = 16
Array = NDArray[np.float64]


def comparer(
    directory: Path,
    task: Task,
    targets: Array,
    logits: dict[str, Array],
    queries: list[str] | None = None,
) -> MeasureComparer:
    """What compares the answers of made-up variants, the first of which is the baseline."""
    files = RunFiles(directory / "run")
    ids = [f"{n:05d}" for n in range(len(targets))]
    given: Sequence[str | None] = queries or [None] * len(ids)
    documents = [
        {"doc_id": name, "text": name, "target": list(target), "group": query}
        for name, target, query in zip(ids, targets, given, strict=True)
    ]
    write_table(files.table("documents"), make_table("documents", documents))
    rows = [
        {
            "variant": variant, "max_length": LENGTH, "repeat": 0, "kind": "timing", "core": 0,
            "order": 0, "doc_id": name, "position": place, "batch": place, "tokens": 5,
            "truncated": False, "logits": list(out), "tokenize_ns": 1, "forward_ns": 1, "warmup": False,
        }
        for variant, outputs in logits.items()
        for place, (name, out) in enumerate(zip(ids, outputs, strict=True))
    ]  # fmt: skip
    question = Question(
        tuple(logits), (LENGTH,), task=task, class_names=("a", "b", "c"),
        gates={"max_quality_drop": 0.02},
    )  # fmt: skip
    write_table(files.table("predictions"), make_table("predictions", rows))
    return MeasureComparer(files, question, read_groups(files))


def row_of(found: MeasureComparer, variant: str = "int8") -> ComparisonRow:
    """The row of ``comparisons``, as it is read back."""
    key = {"baseline": "fp32", "variant": variant, "max_length": LENGTH, "documents": 500}
    columns: Any = (
        dict.fromkeys(names(ComparisonRow)) | key | dict(found.columns("fp32", variant, LENGTH))
    )
    row: ComparisonRow = columns
    return row


def gate(found: MeasureComparer) -> Any:
    (decided,) = judge_gates(found.question, Tables([row_of(found)]))
    return decided


def labels(random: np.random.Generator, count: int = 600) -> tuple[Array, Array]:
    truth = (random.random((count, 3)) < (0.5, 0.3, 0.2)).astype(float)
    return truth, np.where(random.random(truth.shape) < 0.1, 0.5 - truth, truth - 0.5)


def test_a_label_that_is_lost_is_named(tmp_path: Path) -> None:
    truth, old = labels(np.random.default_rng(1))
    new = old.copy()
    new[np.flatnonzero(truth[:, 2])[:40], 2] = -1
    found = comparer(tmp_path, "multi-label", truth, {"fp32": old, "int8": new})
    said = quality(found.question, row_of(found))
    assert any("loses recall of class c" in text for text in said.against)
    assert any("micro F1" in text for text in said.against)
    changes = {change["label"]: change for change in json.loads(row_of(found)["class_changes"] or "")}
    assert changes[2]["lost"] == 40 - int((old[np.flatnonzero(truth[:, 2])[:40], 2] < 0).sum())
    assert changes[0]["lost"] == 0
    assert not gate(found).passed


def test_the_same_answers_pass(tmp_path: Path) -> None:
    truth, old = labels(np.random.default_rng(2))
    found = comparer(tmp_path, "multi-label", truth, {"fp32": old, "int8": 1.01 * old})
    row = row_of(found)
    assert (row["non_inferiority"], row["agreement"], row["main_difference"]) == (
        "non-inferior",
        1.0,
        0.0,
    )
    assert quality(found.question, row).against == []
    decided = gate(found)
    assert decided.passed
    assert 0 < decided.bound < 0.02


def test_numbers_that_all_moved(tmp_path: Path) -> None:
    """Correlations do not see it; the mean absolute error does."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 11, (1500, 1)) / 2
    old = truth + random.normal(0, 0.5, truth.shape)
    found = comparer(tmp_path, "regression", truth, {"fp32": old, "int8": old + 2})
    by_name = {row["measure"]: row for row in found.rows("run") if row["variant"] == "int8"}
    assert by_name["pearson"]["difference"] == pytest.approx(0, abs=1e-6)
    assert by_name["spearman"]["difference"] == pytest.approx(0, abs=1e-3)
    low = by_name["mean_absolute_error"]["difference_low"]
    assert low is not None
    assert low > 1
    assert by_name["mean_absolute_error"]["ratio"] is None
    assert row_of(found)["non_inferiority"] == "non-inferior"


def test_a_collapsed_reranker_is_found(tmp_path: Path) -> None:
    """Equal scores in the order of the file, which has the relevant candidate first."""
    queries = [f"q{n // 8:03d}" for n in range(1600)]
    truth = np.array([[float(n % 8 == 0)] for n in range(1600)])
    old = truth + np.random.default_rng(4).normal(0, 0.4, truth.shape)
    logits = {"fp32": old, "same": old, "int8": np.zeros_like(old)}
    found = comparer(tmp_path, "rerank", truth, logits, queries)
    by_name = {(row["variant"], row["measure"]): row["value"] for row in found.rows("run")}
    assert by_name["int8", "ndcg_at_10"] == pytest.approx(1 / np.log2(9))
    assert by_name["int8", "kendall_tau"] == 0
    assert by_name["same", "kendall_tau"] == pytest.approx(1)
    assert by_name["fp32", "ndcg_at_10"] == by_name["same", "ndcg_at_10"]
    row = row_of(found)
    assert (row["non_inferiority"], row["texts"]) == ("inferior", 200)
    assert row_of(found, "same")["non_inferiority"] in ("undecided", "non-inferior")


def test_of_a_reranker_the_documents_that_would_decide_are_pairs(tmp_path: Path) -> None:
    """Ten of a query, as those that were measured are counted; the queries are what is resampled."""
    queries = [f"q{n // 10:03d}" for n in range(300)]
    random = np.random.default_rng(7)
    truth = np.array([[float(n % 10 == 0)] for n in range(300)])
    old = truth + random.normal(0, 0.4, truth.shape)
    logits = {"fp32": old, "int8": old + random.normal(0, 0.05, old.shape)}
    found = comparer(tmp_path, "rerank", truth, logits, queries)
    row = row_of(found)
    assert row["non_inferiority"] == "undecided"
    assert row["documents_needed"] is not None
    assert row["documents_needed"] > 300  # of which thirty are the queries


def test_answers_that_are_no_numbers_lose(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    truth = random.normal(size=(300, 1))
    found = comparer(
        tmp_path, "regression", truth, {"fp32": truth + 0.1, "int8": np.full_like(truth, np.nan)}
    )
    assert row_of(found)["non_inferiority"] == "inferior"


def test_a_baseline_that_predicts_nothing_decides_nothing(tmp_path: Path) -> None:
    truth = np.random.default_rng(6).normal(size=(100, 1))
    found = comparer(tmp_path, "regression", truth, {"fp32": 0 * truth, "int8": truth})
    row = row_of(found)
    assert row["non_inferiority"] is None
    assert any("not decidable" in text for text in quality(found.question, row).open)
