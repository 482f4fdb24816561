"""Sharded evaluation follows the task: the figures are scikit-learn's and scipy's, over all shards."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, ndcg_score, precision_score

import ptdq
from ptdq.errors import UserError
from ptdq.evaluation.collect import conclude, read_results
from ptdq.evaluation.request import begin, check_input, prepare, read_model
from ptdq.evaluation.shards import count_shards, score_shard
from ptdq.inputs.stream import split_documents
from ptdq.parameters import make_parameters
from ptdq.report.evaluation import document
from ptdq.store.layout import ShardFiles
from ptdq.store.record_model import EvaluationRecord
from tests.problem.test_runs import CROSS, TOPICS
from tests.support.problems import (
    logits_of,
    save_candidates,
    save_model,
    save_multi_label,
    save_scores,
)

SHARD = 7
RERANK = {"text_column": "query", "text_pair_column": "candidate", "label_column": "relevance"}


def save_sorted(model: Path, path: Path) -> pd.DataFrame:
    """Candidates, those of a query together."""
    rows = pd.read_csv(save_candidates(model, path)).sort_values("query", kind="stable")
    rows.to_csv(path, index=False)
    return rows.reset_index(drop=True)


def evaluate(directory: Path, model: Path, data: Path, **values: Any) -> tuple[EvaluationRecord, str]:
    """All shards in this process, as the flow has them done; the record and the report."""
    parameters = make_parameters(
        {"model": str(model), "data": str(data), "max_length": [32], "variant": ["fp32"]}
        | values
        | {"results_dir": str(directory), "run_id": "evaluation"}
    )
    check_input(parameters, SHARD)
    files = ShardFiles(directory / "evaluation")
    checkpoint = read_model(parameters)
    begin(files, parameters, SHARD, checkpoint)
    request = prepare(files, parameters, SHARD, checkpoint)
    for number in range(count_shards(files)):
        score_shard(request, number)
    record, scores = conclude(files, read_results(files), request, checkpoint.class_names)
    return record, document(record.model_dump(), scores.classes)


def shards(directory: Path) -> pd.DataFrame:
    return pd.read_parquet(directory / "evaluation" / "shards").sort_values("doc_id", ignore_index=True)


@pytest.mark.long
@pytest.mark.slow
def test_multi_label(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", TOPICS, problem_type="multi_label_classification")
    data = save_multi_label(model, tmp_path / "data.parquet", TOPICS)
    rows = pd.read_parquet(data)
    record, report = evaluate(tmp_path, model, data, threshold=0.6)
    given = logits_of(model, rows["text"].tolist(), tokens=32) > np.log(0.6 / 0.4)
    truth = np.array([[name in labels for name in TOPICS] for labels in rows["label"]])
    assert record.shards == 9
    assert record.documents == 60
    assert record.measures == pytest.approx(
        {
            "f1_micro": f1_score(truth, given, average="micro"),
            "f1_macro": f1_score(truth, given, average="macro"),
            "subset_accuracy": (truth == given).all(axis=1).mean(),
        }
    )
    assert record.f1_weighted is None
    assert np.stack(shards(tmp_path)["target"].tolist()).tolist() == truth.astype(float).tolist()
    assert f"micro F1 {record.measures['f1_micro']:.4f}" in report
    precision = precision_score(truth[:, 0], given[:, 0])
    assert f"| `sport` | {precision:.4f} |" in report


@pytest.mark.slow
def test_regression(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["score"], problem_type="regression")
    data = save_scores(model, tmp_path / "data.csv")
    rows = pd.read_csv(data)
    record, report = evaluate(
        tmp_path, model, data, text_column="first", text_pair_column="second", label_column="score"
    )
    found = logits_of(model, rows["first"].tolist(), rows["second"].tolist(), 32)[:, 0]
    assert record.measures == pytest.approx(
        {
            "spearman": stats.spearmanr(rows["score"], found).statistic,
            "pearson": stats.pearsonr(rows["score"], found).statistic,
            "mean_absolute_error": np.abs(rows["score"] - found).mean(),
        },
        abs=1e-5,
    )
    assert "over 60 documents" in report
    assert "| Class |" not in report


@pytest.mark.slow
def test_reranking(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", ["LABEL_0"], **CROSS)
    rows = save_sorted(model, tmp_path / "data.csv")
    record, report = evaluate(tmp_path, model, tmp_path / "data.csv", recall_at=2, **RERANK)
    rows["score"] = logits_of(model, rows["query"].tolist(), rows["candidate"].tolist(), 32)[:, 0]
    parts = shards(tmp_path)
    assert np.allclose(np.stack(parts["logits"].tolist())[:, 0], rows["score"], atol=1e-5)
    each = [(g["relevance"].to_numpy(), g["score"].to_numpy()) for _, g in rows.groupby("query")]
    recalls = [(gains[np.argsort(-scores)[:2]] > 0).sum() / (gains > 0).sum() for gains, scores in each]
    assert record.measures["ndcg_at_10"] == pytest.approx(
        np.mean([ndcg_score(gains[None], scores[None], k=10) for gains, scores in each])
    )
    assert record.measures["recall_at_2"] == pytest.approx(np.mean(recalls))
    assert record.queries == len(each)
    assert f"recall@2 {np.mean(recalls):.4f} over 12 queries with 60 candidates" in report
    # Five candidates each, and seven rows asked for: no query is cut.
    files = sorted((tmp_path / "evaluation" / "shards").iterdir())
    assert sum(pd.read_parquet(path)["group"].nunique() for path in files) == 12
    assert len(files) > 6


@pytest.mark.slow
@pytest.mark.long
def test_answers_of_shards_are_those_of_a_run(prefect_server: str, tmp_path: Path) -> None:
    """To the bit: a query's candidates are a batch in both."""
    model = save_model(tmp_path / "model", ["LABEL_0"], **CROSS)
    save_sorted(model, tmp_path / "data.csv")
    given: dict[str, Any] = {**RERANK, "variant": ["int8-dynamic"]}
    record, _ = evaluate(tmp_path, model, tmp_path / "data.csv", **given)
    run = ptdq.run(
        model, tmp_path / "data.csv", max_length=[32], repeats=1, control_documents=0, load_wait=0,
        results_dir=tmp_path / "results", **given | {"variant": ["fp32", "int8-dynamic"]},
    )  # fmt: skip
    frame = run.predictions
    mine = frame[(frame["variant"] == "int8-dynamic") & ~frame["warmup"].astype(bool)]
    whole = mine.sort_values("doc_id", ignore_index=True)
    parts = shards(tmp_path)
    assert whole["doc_id"].tolist() == parts["doc_id"].tolist()
    assert np.array_equal(np.stack([*whole["logits"]]), np.stack([*parts["logits"]]))
    measured = run.measures[run.measures["variant"] == "int8-dynamic"].set_index("measure")["value"]
    assert record.measures == pytest.approx({name: measured[name] for name in record.measures})


def split(tmp_path: Path, rows: pd.DataFrame, shard: int = 3) -> None:
    rows.to_csv(tmp_path / "data.csv", index=False)
    asked = {"model": "m", "data": str(tmp_path / "data.csv"), **RERANK}
    split_documents(make_parameters(asked), ["LABEL_0"], shard, tmp_path / "documents.parquet", "rerank")


def test_scattered_candidates_are_refused_with_the_row(tmp_path: Path) -> None:
    rows = pd.DataFrame({"query": [*"aabba"], "candidate": [*"vwxyz"], "relevance": [1, 0, 1, 0, 1]})
    with pytest.raises(UserError, match=r"the query of row 5 has candidates .* sort .* 'query'"):
        split(tmp_path, rows)
    assert not (tmp_path / "documents.parquet").exists()


def test_nothing_relevant_is_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"query": [*"aabb"], "candidate": [*"wxyz"], "relevance": [0, 0, 0, 0]})
    with pytest.raises(UserError, match="no candidate is relevant"):
        split(tmp_path, rows)
    assert not (tmp_path / "documents.parquet").exists()


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1, 1], [9], [2, 5, 1, 3], [3, 3], [4, 2, 1]])
def test_queries_stay_whole_however_long(tmp_path: Path, sizes: list[int]) -> None:
    import pyarrow.parquet as pq

    queries = [chr(ord("a") + n) for n, size in enumerate(sizes) for _ in range(size)]
    rows = pd.DataFrame({"query": queries, "candidate": queries, "relevance": 1})
    split(tmp_path, rows)
    file = pq.ParquetFile(tmp_path / "documents.parquet")
    groups = [file.read_row_group(n)["text"].to_pylist() for n in range(file.num_row_groups)]
    assert [text for group in groups for text in group] == queries
    for one, other in itertools.pairwise(groups):
        assert not set(one) & set(other)
