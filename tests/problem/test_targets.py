"""Labels of each task, as files have them: read in one way, or refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ptdq.errors import UserError
from ptdq.inputs.checkpoint import Checkpoint
from ptdq.inputs.documents import RawDocuments, read_documents, stratified_sample
from ptdq.inputs.label_lists import ListColumn
from ptdq.inputs.load import with_task
from ptdq.inputs.targets import store_targets, targets_of
from ptdq.parameters import Parameters

TOPICS = ["sport", "health", "cars"]
EXPECTED = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def read(path: Path, labels: str | tuple[str, ...] = "label") -> RawDocuments:
    return read_documents(
        str(path),
        text_column="text",
        label_column=ListColumn(labels) if isinstance(labels, str) else labels,
        encoding="utf-8",
        limit=None,
        seed=0,
    )


def raw(*labels: Any) -> RawDocuments:
    ids = [f"{row:07d}-x" for row in range(1, 1 + len(labels))]
    return RawDocuments("data.csv", ids, ["a"] * len(labels), list(labels), None)


NAMES: list[Any] = [["sport", "cars"], [], ["health"]]
IDS: list[Any] = [[0, 2], [], [1]]
BITS: list[Any] = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("lists", [NAMES, IDS, BITS], ids=["names", "ids", "bits"])
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_lists_of_labels(lists: list[Any], kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{kind}"
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": lists})
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.assign(label=frame["label"].map(json.dumps)).to_csv(path, index=False)
    assert targets_of(read(path), "multi-label", TOPICS).tolist() == EXPECTED


def test_a_column_for_each_label(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,cars,sport,health\na,1,1,0\nb,0,0,0\nc,False,0.0,true\n", encoding="utf-8")
    found = read(path, ("sport", "health", "cars"))
    assert targets_of(found, "multi-label", TOPICS).tolist() == EXPECTED
    path.write_text("text,sport\na,1\nb,2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"column 'sport' has '2' in row 2.*0 and 1"):
        read(path, ("sport", "cars")[:1])
    with pytest.raises(UserError, match=r"no column 'cars'; there are text, sport"):
        read(path, ("cars",))


@pytest.mark.parametrize("label", ['["music"]', "[3]", "music", "[-1]", "[1.5]"])
def test_labels_that_the_model_does_not_know(label: str) -> None:
    with pytest.raises(
        UserError, match=r"data.csv: label '.*' in row 2 is not known.*sport, health, cars"
    ):
        targets_of(raw('["sport"]', label), "multi-label", TOPICS)


def test_numbers_and_relevances() -> None:
    assert targets_of(raw("2.5", "-1", "3"), "regression", []).tolist() == [[2.5], [-1.0], [3.0]]
    with pytest.raises(
        UserError, match=r"label 'good' in row 2 is no number.*regression.*--label-column"
    ):
        targets_of(raw("1", "good"), "regression", [])
    with pytest.raises(UserError, match="label 'nan' in row 1"):
        targets_of(raw("nan"), "regression", [])
    with pytest.raises(UserError, match="relevance in row 2 is below 0"):
        targets_of(raw("1", "-1"), "rerank", [])
    with pytest.raises(UserError, match="no candidate is relevant"):
        store_targets(raw("0", "0"), "rerank", [])


def test_a_sample_of_numbers_is_not_the_smallest_ones() -> None:
    labels = [f"{value:07.3f}" for value in np.linspace(0, 100, 2000)]
    chosen = stratified_sample(labels, 200, 0)
    assert len(chosen) == 200
    assert chosen == sorted(set(chosen))
    assert 40 < np.mean([float(labels[place]) for place in chosen]) < 60


def model(**values: Any) -> Checkpoint:
    given = {
        "name": "m", "revision": None, "digest": "", "directory": Path(), "architecture": "A",
        "class_names": ["LABEL_0"], "parameters": 1, "max_positions": None, "random_weights": False,
    }  # fmt: skip
    return Checkpoint(**given | values)


@pytest.mark.parametrize(
    ("task", "values", "said"),
    [
        ("rerank", {}, "task rerank: it needs queries and candidates.*--text-pair-column"),
        ("rerank", {"text_pair_column": "p", "batch_size": 8}, "batch_size.*candidates of a query"),
        ("rerank", {"text_pair_column": "p", "limit": 10}, "limit.*candidates"),
        ("rerank", {"text_pair_column": "p", "group_column": "g"}, "group_column.*belong together"),
        ("regression", {"max_f1_drop": 0.1}, "max_f1_drop.*--max-quality-drop is about Spearman"),
        ("rerank", {"text_pair_column": "p", "max_recall_drop": 0.1}, "max_recall_drop"),
        ("regression", {"label_map": "map.json"}, "label_map"),
        (None, {}, r"--task \(binary or regression or rerank\)"),
    ],
)
def test_parameters_that_do_not_go_with_the_task(task: Any, values: dict[str, Any], said: str) -> None:
    parameters = Parameters.model_validate({"model": "m", "data": "d", "task": task, **values})
    with pytest.raises(UserError, match=said):
        with_task(model(task=None, task_why="one output"), parameters)


def test_modules_of_a_loader_have_one_class() -> None:
    own = model(loader="a:b", class_names=["yes", "no"])
    parameters = Parameters.model_validate({"model": "m", "data": "d"})
    assert with_task(own, parameters).task == "single-label"
    with pytest.raises(UserError, match="with model_loader"):
        with_task(own, parameters.model_copy(update={"task": "multi-label"}))
